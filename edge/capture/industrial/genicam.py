"""A camera behind its vendor's GenTL producer (USB3 Vision, CoaXPress and others): free-running, settings read back.

Only what the simulated cameras of the genicam package prove is offered: they run freely and take no trigger.
"""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.capture.camera import Shot
from edge.capture.industrial.genicam_settings import GenicamSettings, apply_settings, frame_period_s
from edge.capture.industrial.gentl_producer import Producer, ProducerError, producer_files
from edge.capture.industrial.pixels import bgr_image
from edge.domain.errors import CameraError, ConfigError

if TYPE_CHECKING:
    from harvesters.core import ImageAcquirer

_BUFFERS = 8
_SILENT_S = 0.8
_SILENT_PERIODS = 4
_UNKNOWN_PERIOD_S = 0.5


class GenicamCamera:
    """A free-running camera, found by its serial number, id or model.

    Args:
        name: what it is found by; one camera alone may answer to it.
        producer: the .cti file; None takes those on GENICAM_GENTL64_PATH.
        settings: what it is told when it is opened.

    Raises:
        ConfigError: no producer, no harvesters, or a trigger is asked for.
    """

    def __init__(self, name: str, producer: Path | None, settings: GenicamSettings) -> None:
        if settings.trigger != "free":
            raise ConfigError(
                f'genicam://{name}: trigger "{settings.trigger}" is not offered, as no simulated camera proves it: set '
                'trigger = "free", or use gige:// where it is a GigE camera'
            )
        self._name = name
        self._files = producer_files(producer)
        self._settings = settings
        self._producer: Producer | None = None
        self._acquirer: ImageAcquirer | None = None
        self._silent_s = _SILENT_S
        self._heard_s = 0.0

    def open(self) -> None:
        """Find the camera, set it up and start it. Raises CameraError."""
        try:
            self._producer = Producer.of(self._files)
            self._acquirer = self._producer.acquire(self._name)
        except ProducerError as error:
            raise self._error(f"cannot be opened: {error}") from error
        try:
            self._start(self._acquirer)
        except Exception as error:  # the libraries' errors have no common root
            self.close()
            raise self._error(f"cannot be set up: {str(error) or type(error).__name__}") from error

    def trigger(self, number: int) -> None:
        """Nothing to do: the camera runs freely."""

    def read(self, timeout_s: float) -> Shot | None:
        """The next whole image; raises CameraError when the camera is gone or silent."""
        if self._acquirer is None:
            raise self._error("was read before it was opened")
        try:
            buffer = self._acquirer.try_fetch(timeout=timeout_s)
            if buffer is not None:
                return self._shot(buffer)
            self._check_silence()
        except CameraError as error:
            raise self._error(str(error)) from error
        except Exception as error:  # as in `open`
            raise self._error(f"is lost: {str(error) or type(error).__name__}") from error
        return None

    def close(self) -> None:
        """Let go of the camera."""
        acquirer, self._acquirer = self._acquirer, None
        if acquirer is not None and self._producer is not None:
            self._producer.release(acquirer)

    def _start(self, acquirer: "ImageAcquirer") -> None:
        features = NodeFeatures(acquirer.remote_device.node_map)
        apply_settings(features, self._settings)
        self._silent_s = max(_SILENT_S, _SILENT_PERIODS * (frame_period_s(features) or _UNKNOWN_PERIOD_S))
        acquirer.num_buffers = _BUFFERS
        acquirer.start()
        self._heard_s = time.monotonic()

    def _check_silence(self) -> None:
        silent_s = time.monotonic() - self._heard_s
        if silent_s > self._silent_s:
            raise CameraError(f"is lost: no image for {silent_s:.1f} s, though it runs freely")

    def _shot(self, buffer: Any) -> Shot:  # noqa: ANN401 - the library's buffer, with what the producer put into it
        self._heard_s = time.monotonic()
        try:
            image = buffer.payload.components[0]
            return Shot(bgr_image(image.data, image.data_format_value, image.width, image.height))
        finally:
            buffer.queue()

    def _error(self, why: str) -> CameraError:
        return CameraError(f"GenICam camera {self._name!r} {why}", "camera_lost")


class NodeFeatures:
    """A camera's features, as `genicam_settings` asks for them.

    Args:
        nodes: the camera's node map.
    """

    def __init__(self, nodes: Any) -> None:  # noqa: ANN401 - its attributes are the camera's own features
        self._nodes = nodes

    def has(self, feature: str) -> bool:
        """Whether the camera offers it."""
        return bool(self._nodes.has_node(feature))

    def text(self, feature: str) -> str:
        """An enumeration's entry."""
        return str(getattr(self._nodes, feature).value)

    def set_text(self, feature: str, value: str) -> None:
        """Choose an enumeration's entry."""
        getattr(self._nodes, feature).value = value

    def number(self, feature: str) -> float:
        """A float, in the standard's unit."""
        return float(getattr(self._nodes, feature).value)

    def set_number(self, feature: str, value: float) -> None:
        """Set a float."""
        getattr(self._nodes, feature).value = value

    def set_flag(self, feature: str, *, value: bool) -> None:
        """Set a boolean."""
        getattr(self._nodes, feature).value = value
