"""A GigE Vision camera through Aravis: hardware or software triggered, or free-running; settings locked and read back.

Three threads: the drain's reads images; the control thread fires triggers and asks five times a second whether the
camera lives and is ours (Aravis itself notices a lost camera after 5.9 s); and letting go of a camera that does not
answer, which takes the library up to 10 s, has one of its own, so that neither a stop nor a reopening waits for it.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from edge.capture.camera import Shot
from edge.capture.industrial.aravis_library import COMPLETE, AravisCamera, AravisError, Arrival, library
from edge.capture.industrial.camera_control import CameraControl
from edge.capture.industrial.genicam_settings import GenicamSettings, apply_settings, frame_period_s
from edge.capture.industrial.gige_discovery import address_of
from edge.capture.industrial.pixels import bgr_image
from edge.capture.industrial.trigger_count import CountCounters, OutOfStepError, TriggerCount
from edge.domain.errors import CameraError

log = structlog.get_logger()
_BUFFERS = 8
_SOCKET_BYTES = 4 * 1024 * 1024
_SILENT_S = 0.8
_SILENT_PERIODS = 4
_MOST_UNANSWERED = 5
_LET_GO_S = 1.0


@dataclass(slots=True)
class GigeCounters:
    """Since the start: frames that came whole, and frames refused because packets of them were missing."""

    complete: int = 0
    incomplete: int = 0


class GigeCamera:
    """A GigE Vision camera, found by its serial number, by the name that Aravis gives it, or by its IP address.

    Args:
        name: serial number, `vendor-model-serial`, hardware address or IPv4 address.
        settings: what it is told when it is opened.

    Raises:
        ConfigError: Aravis is not installed.
    """

    def __init__(self, name: str, settings: GenicamSettings) -> None:
        library()
        self.counters = GigeCounters()
        self.count_counters = CountCounters()
        self._name = name
        self._settings = settings
        self._session: _Session | None = None
        self._letting_go: threading.Thread | None = None

    def open(self) -> None:
        """Find the camera, take control, set it up and start it. Raises CameraError."""
        self._await_let_go()
        try:
            device = AravisCamera(address_of(self._name))
        except AravisError as error:
            raise self._error(
                f"cannot be opened ({error}): check that it is powered and cabled, and that nobody else controls it"
            ) from error
        session = _Session(device, self._settings, self.counters, self.count_counters)
        try:
            session.start()
        except (AravisError, CameraError) as error:
            self._let_go(session)
            raise self._error(f"cannot be set up: {error}") from error
        self._session = session

    def trigger(self, number: int) -> None:
        """Fire trigger `number`, or expect its frame where a line input fires it; never blocks, lost if not open."""
        session = self._session
        if session is not None:
            session.trigger(number)

    def read(self, timeout_s: float) -> Shot | None:
        """The next whole image. Raises CameraError where it is gone, silent or out of step with its triggers."""
        if self._session is None:
            raise self._error("was read before it was opened")
        try:
            return self._session.read(timeout_s)
        except (AravisError, OutOfStepError, CameraError) as error:
            raise self._error(str(error)) from error

    def close(self) -> None:
        """Let go of the camera; one that does not answer is let go of in the background."""
        session, self._session = self._session, None
        if session is not None:
            self._let_go(session)
            log.info("camera closed", camera=self._name, **_plain(self.counters), **_plain(self.count_counters))

    def _let_go(self, session: "_Session") -> None:
        self._letting_go = threading.Thread(target=session.close, name="let-go", daemon=True)
        self._letting_go.start()
        self._letting_go.join(_LET_GO_S)

    def _await_let_go(self) -> None:
        if self._letting_go is not None:
            self._letting_go.join(_LET_GO_S)
            if self._letting_go.is_alive():
                raise self._error("does not answer: its old connection is still being let go of")
            self._letting_go = None

    def _error(self, why: str) -> CameraError:
        return CameraError(f"GigE camera {self._name!r} {why}", "camera_lost")


class _Session:
    """One connection to the camera, from its setting up to its end."""

    def __init__(
        self,
        device: AravisCamera,
        settings: GenicamSettings,
        counters: GigeCounters,
        count_counters: CountCounters,
    ) -> None:
        self._device = device
        self._settings = settings
        self._counters = counters
        started_s = time.monotonic() if settings.trigger == "hardware" else None
        self._count = TriggerCount(settings.within_s, count_counters, started_s)
        self._control = CameraControl(
            self._count, settings.within_s, lambda: device.execute("TriggerSoftware"), device.owns_control
        )
        self._silent_s = float("inf")
        self._heard_s = 0.0

    def start(self) -> None:
        apply_settings(self._device, self._settings)
        if self._settings.trigger == "free" and (period_s := frame_period_s(self._device)) is not None:
            self._silent_s = max(_SILENT_S, _SILENT_PERIODS * period_s)
        self._heard_s = time.monotonic()
        _warn_of_small_socket(self._device.start(_BUFFERS, _SOCKET_BYTES))
        self._control.start()

    def trigger(self, number: int) -> None:
        match self._settings.trigger:
            case "software":
                self._control.ask(number)
            case "hardware":
                self._count.expect(number, time.monotonic())
            case "free":
                pass

    def read(self, timeout_s: float) -> Shot | None:
        if fault := self._control.fault(time.monotonic()):
            raise CameraError(f"is lost: {fault}")
        arrival = self._device.pop(timeout_s)
        if arrival is None:
            self._check_silence(time.monotonic())
            return None
        self._heard_s = time.monotonic()
        try:
            return self._shot(arrival)
        finally:
            self._device.give_back(arrival)

    def close(self) -> None:
        """Every step is tried; a connection that is dead already refuses some."""
        if not self._control.stop():
            log.error("a call to the camera does not end: its connection is left behind")
            return
        alive = not self._control.fault(time.monotonic())
        for step in ([self._device.stop] if alive else []) + [self._device.close]:
            _try(step)

    def _check_silence(self, now_s: float) -> None:
        silent_s = now_s - self._heard_s
        if silent_s > self._silent_s:
            raise CameraError(f"is lost: no image for {silent_s:.1f} s, though it runs freely")
        unanswered = self._count.unanswered(now_s)
        if unanswered >= _MOST_UNANSWERED:
            raise CameraError(
                f"is lost: {unanswered} triggers in a row had no frame: check its line input, and that no firewall "
                "keeps its stream from this machine"
            )

    def _shot(self, arrival: Arrival) -> Shot | None:
        complete = arrival.status == COMPLETE
        number = None
        if self._settings.trigger != "free":
            number = self._count.arrived(arrival.frame_id, self._heard_s, complete=complete)
            self._control.answered()
        if not complete or arrival.pixels is None:
            self._counters.incomplete += 1
            return None
        self._counters.complete += 1
        return Shot(
            bgr_image(arrival.pixels, arrival.pixel_format, arrival.width, arrival.height), trigger_number=number
        )


def _warn_of_small_socket(granted_bytes: int) -> None:
    """Linux grants no more than its limit, without a word; with its usual 208 KiB most big frames lose packets."""
    if granted_bytes < _SOCKET_BYTES:
        log.warning(
            "packets will get lost: the socket of a GigE camera is too small",
            expected=_SOCKET_BYTES,
            got=granted_bytes,
            todo=f"sysctl -w net.core.rmem_max={_SOCKET_BYTES}",
        )


def _plain(counters: GigeCounters | CountCounters) -> dict[str, int]:
    return {name: getattr(counters, name) for name in type(counters).__slots__}


def _try(step: Callable[[], None]) -> None:
    try:
        step()
    except AravisError as error:
        log.info("the camera refuses to be let go of", why=str(error))
