"""One setting measured: a daemon on the scratch copy, a simulated line, and a broker where it asks for one."""

import importlib.util
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from cloud_sync.wire.broker import Kind, LocalBroker, available_kinds, free_port
from edge.bench.figures import Latency, latency, tail
from edge.bench.frames import Frames
from edge.bench.result import Alone, Row
from edge.bench.scratch import ScratchStation, scratch_config, write_scratch
from edge.bench.settings import BrokerState, Pace, Setting, parts_in_flight
from edge.config import ProductSection, StationConfig
from edge.demo.compare import Told, read_told
from edge.processes import ask_json, running
from models.errors import GateError

_WARM_PARTS = 20
_CONNECT_S = 10.0
_PACED_IN_FLIGHT = 16
_PACED_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Effort:
    """How long and how much.

    Args:
        parts: at most, in each run.
        seconds: at most, in each run.
        rate_hz: of the paced runs; 0 takes half of what came as told.
    """

    parts: int
    seconds: float
    rate_hz: float = 0.0


@dataclass(frozen=True, slots=True)
class Yardstick:
    """OpenVINO alone, and how many of its images one part takes."""

    alone: Alone
    images_per_part: int

    @property
    def parts_per_s(self) -> float:
        """What OpenVINO alone would do."""
        return self.alone.images_per_s / self.images_per_part


@dataclass(frozen=True, slots=True)
class Copying:
    """What every scratch copy is made from."""

    config: StationConfig
    product: ProductSection
    frames: Frames
    scratch: Path


@contextmanager
def serving(copying: Copying, setting: Setting) -> Iterator[ScratchStation]:
    """The setting's station, running; ended and its data left for the caller to remove.

    Raises:
        InspectdError, LinkError: broker or station did not come up.
    """
    folder = copying.scratch / f"{setting.cameras}-{setting.images}-{setting.broker}"
    config = scratch_config(copying.config, copying.product, setting, copying.frames, folder)
    with ExitStack() as stack:
        if setting.broker is not BrokerState.NONE:
            address = f"mqtt://127.0.0.1:{free_port()}"
            config = config.model_copy(update={"sync": config.sync.model_copy(update={"broker": address})})
        station = write_scratch(config, copying.config, copying.scratch / "cache", folder)
        broker = _broker(station) if setting.needs_broker else None
        if broker is not None:
            stack.callback(broker.stop)  # first: a start that is interrupted leaves it running
            broker.start()
        if setting.broker is BrokerState.UP and has_collector():
            stack.enter_context(_collector(station))
        stack.enter_context(
            running(["edge", "run", "-c", str(station.file), "--json"], folder / "daemon.log", outlives=False)
        )
        simulate(station, "warm", ["--parts", str(_WARM_PARTS)])
        if broker is not None:
            _await_connected(station)
        if broker is not None and setting.broker is BrokerState.HUNG:
            broker.pause()
        yield station


def measure(station: ScratchStation, setting: Setting, effort: Effort, yardstick: Yardstick) -> list[Row]:
    """A run as fast as parts are told, and a paced one.

    Args:
        station: running.
        setting: what it was made for.
        effort: how long.
        yardstick: what OpenVINO alone does.

    Raises:
        GateError: not one part of the warm-up was judged, so there is nothing to measure.
    """
    warm = _warm(station)
    in_flight = parts_in_flight(station.config.line.deadline_ms, warm.p90 or 0.0)
    fast = _row(station, setting, Pace.AS_TOLD, effort, (None, in_flight), yardstick)
    rate_hz = effort.rate_hz or max(1.0, round(_PACED_SHARE * fast.parts_per_s, 1))
    return [fast, _row(station, setting, Pace.PACED, effort, (rate_hz, _PACED_IN_FLIGHT), yardstick)]


def simulate(station: ScratchStation, name: str, options: Sequence[str]) -> dict[str, object]:
    """Run a simulated line against a station that runs; its log is `NAME.jsonl`."""
    base = ["edge", "simulate", "--product", station.config.product[0].id, "--port", station.config.line.port]
    log = ["--log", str(station.folder / f"{name}.jsonl"), "--prefix", name, "--json"]
    return ask_json([*base, *log, *options], may_refuse=True)


def missing_broker() -> str:
    """Why no broker can be started here; empty if one can."""
    return "" if available_kinds() else "no broker here: install mosquitto, or pip install 'inspectd[demo]' for iotcore"


def has_collector() -> bool:
    """Whether the cloud's end can run here, which acknowledges what the broker brings it."""
    return importlib.util.find_spec("sqlalchemy") is not None


def broker_kind() -> Kind:
    """The broker that is started: the best one here."""
    return available_kinds()[0]


def _row(
    station: ScratchStation,
    setting: Setting,
    pace: Pace,
    effort: Effort,
    flow: tuple[float | None, int],
    yardstick: Yardstick,
) -> Row:
    (rate_hz, in_flight), name = flow, pace.replace(" ", "-")
    options = ["--parts", str(effort.parts), "--seconds", f"{effort.seconds:g}", "--in-flight", str(in_flight)]
    summary = simulate(station, name, [*options, *([] if rate_hz is None else ["--rate", f"{rate_hz:g}"])])
    told = read_told(station.folder / f"{name}.jsonl")
    times_ms, served_per_s = _times_ms(told), float(str(summary["parts_per_s"] or 0))
    return Row(
        setting,
        pace,
        rate_hz,
        in_flight,
        seconds=float(str(summary["seconds"])),
        parts=int(str(summary["parts"])),
        parts_per_s=served_per_s,
        alone=yardstick.alone,
        ratio_to_openvino=round(served_per_s / yardstick.parts_per_s, 3) if rate_hz is None else None,
        told=latency(times_ms),
        verdicts=cast("dict[str, int]", summary["verdicts"]),
        undecided_reasons=_undecided(told),
        untold=int(str(summary["untold"])),
        tail=tuple(tail(times_ms)),
    )


def _warm(station: ScratchStation) -> Latency:
    told = read_told(station.folder / "warm.jsonl")
    reasons = _undecided(told)
    if all(one.verdict == "UNDECIDED" for one in told):
        raise GateError(
            f"bench: none of {len(told)} parts was judged ({', '.join(sorted(reasons)) or 'none was told'}): show "
            "frames that this product's camera could give with --from"
        )
    return latency(_times_ms(told))


def _undecided(told: Sequence[Told]) -> dict[str, int]:
    return dict(Counter(reason for one in told if one.verdict == "UNDECIDED" for reason in one.reasons))


def _times_ms(told: Sequence[Told]) -> list[float]:
    return [one.latency_ms for one in told if one.latency_ms is not None]


def _broker(station: ScratchStation) -> LocalBroker:
    port = int(str(station.config.sync.broker).rpartition(":")[2])
    return LocalBroker(broker_kind(), station.folder / "broker", port)


@contextmanager
def _collector(station: ScratchStation) -> Iterator[None]:
    where = ["--broker", str(station.config.sync.broker), "--store", str(station.folder / "cloud.db"), "--json"]
    with running(["cloud", "collect", *where], station.folder / "collector.log", wait_for_line=True, outlives=False):
        yield


def _await_connected(station: ScratchStation) -> None:
    """Until the daemon says so; one that does not within 10 s is measured as it is."""
    until_s, pause = time.monotonic() + _CONNECT_S, threading.Event()
    while not _connected(station) and time.monotonic() < until_s:
        pause.wait(0.05)


def _connected(station: ScratchStation) -> bool:
    try:
        return bool(json.loads(station.config.status_path.read_text(encoding="utf-8"))["sync"]["connected"])
    except (OSError, ValueError, LookupError, TypeError):
        return False
