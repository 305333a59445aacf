"""The bench, top-down: frames, OpenVINO alone, and one station after the other, each started anew and ended."""

import os
import platform
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import openvino as ov

from edge.bench.alone import openvino_alone
from edge.bench.frames import Frames, prepare_frames
from edge.bench.result import BenchResult, Row
from edge.bench.serving import Copying, Effort, Yardstick, broker_kind, has_collector, measure, missing_broker, serving
from edge.bench.settings import BrokerState, Setting, choose_settings
from edge.config import ProductSection, StationConfig
from edge.domain.errors import InspectdError, StorageError
from edge.fitting import chosen_plan
from edge.infer.plan import Plan
from edge.status import read_status
from models.bundle import Bundle, open_for_line
from models.bundle_store import active_bundle
from models.cpus import cpu_grant, cpu_model
from models.progress import Progress
from models.tiling import tiles

_SCRATCH = ".bench-"
_ALONE_S = (2, 1)
_FIRST_LONGER = 2.5
_BUSY = 0.5
_SWING = 1.2


@dataclass(frozen=True, slots=True)
class BenchRequest:
    """What to measure.

    Args:
        config: the station's, checked.
        product: which of its products.
        cameras: counts to measure, ascending.
        effort: how long each run takes.
        out: folder for a scratch copy, which goes again, and for the report.
        frames: a folder of images; None takes the bundle's self-test frames.
        quick: fewer settings.
    """

    config: StationConfig
    product: ProductSection
    cameras: tuple[int, ...]
    effort: Effort
    out: Path
    frames: Path | None = None
    quick: bool = False


def run_bench(request: BenchRequest, progress: Progress) -> BenchResult:
    """Measure; nothing of the station's own is written or connected to.

    Raises:
        InspectdError, ModelError, LinkError: what is needed is missing, or a process did not come up.
    """
    started_s = time.monotonic()
    bundle = open_for_line(active_bundle(request.config.bundles_dir, request.product.bundle))
    warnings = [*_disturbances(request.config)]
    for count in request.cameras:
        _plan(request, bundle, count)  # refuses what cannot be before anything starts
    with _scratch(request.out) as scratch:
        frames = prepare_frames(bundle, request.frames, scratch / "frames", request.config.camera[0].roi)
        copying = Copying(request.config, request.product, frames, scratch)
        rows, missing = _measure_all(request, bundle, copying, progress)
    if any(row.setting.broker is BrokerState.UP for row in rows) and not has_collector():
        warnings.append("no collector here (pip install 'inspectd[hub]'): nothing that was sent was acknowledged")
    warnings += _swings(rows)
    return BenchResult(
        station=request.config.station.id,
        product=request.product.id,
        model=bundle.model_id,
        machine=_machine(),
        frames=frames.as_json(),
        rows=tuple(rows),
        missing=missing,
        warnings=tuple(warnings),
        seconds=time.monotonic() - started_s,
    )


def _measure_all(
    request: BenchRequest, bundle: Bundle, copying: Copying, progress: Progress
) -> tuple[list[Row], dict[str, str]]:
    settings = choose_settings(request.cameras, quick=request.quick)
    rows: list[Row] = []
    missing: dict[str, str] = {}
    progress.stage("bench", len(settings))
    for setting in settings:
        progress.note(setting.text)
        why = missing_broker() if setting.needs_broker else ""
        if why:
            missing[f"broker {setting.broker}"] = why
        else:
            plan = _plan(request, bundle, setting.cameras)
            alone = openvino_alone(bundle, plan, copying.scratch, _ALONE_S[request.quick])
            yardstick = Yardstick(alone, _images_per_part(bundle, copying.frames, setting))
            with serving(copying, setting) as station:
                found = measure(station, setting, _effort(request, first=not rows), yardstick)
            shutil.rmtree(station.folder, ignore_errors=True)
            rows += found
        progress.advance()
    return rows, missing


def _plan(request: BenchRequest, bundle: Bundle, cameras: int) -> Plan:
    """As the daemon makes it for so many cameras."""
    return chosen_plan(request.config.model_copy(update={"camera": [request.config.camera[0]] * cameras}), bundle)


def _effort(request: BenchRequest, *, first: bool) -> Effort:
    """The first setting is measured longer, so that its tail can be told."""
    if request.quick or not first:
        return request.effort
    return replace(request.effort, seconds=request.effort.seconds * _FIRST_LONGER)


def _images_per_part(bundle: Bundle, frames: Frames, setting: Setting) -> int:
    return setting.cameras * len(list(tiles(*frames.size, bundle.spec.tiling)))


def _disturbances(config: StationConfig) -> Iterator[str]:
    with suppress(InspectdError):
        if read_status(config)["running"]:
            yield f"station {config.station.id!r} is running on this machine: both disturb each other"
    busy = os.getloadavg()[0]
    granted = cpu_grant().amount
    if busy > _BUSY * granted:
        yield f"the machine was busy before the bench began: load {busy:.1f} on {granted:g} CPUs"


def _swings(rows: list[Row]) -> list[str]:
    """OpenVINO alone is the same work each time, so what it varies by is what disturbed the machine."""
    found = []
    for cameras in sorted({row.setting.cameras for row in rows}):
        rates = [row.alone.images_per_s for row in rows if row.setting.cameras == cameras]
        if max(rates) > _SWING * min(rates):
            found.append(
                f"OpenVINO alone gave {min(rates):.0f} to {max(rates):.0f} images/s for {cameras} cam: something else "
                "took CPU time during the bench, so ratios and latencies mean little"
            )
    return found


def _machine() -> dict[str, object]:
    return {
        "cpu": cpu_model(),
        "cpus": str(cpu_grant()),
        "openvino": ov.get_version(),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "broker": None if missing_broker() else broker_kind(),
    }


@contextmanager
def _scratch(out: Path) -> Iterator[Path]:
    """An empty folder beside the report, so on a disk that is asked for; removed however the block ends."""
    scratch = out.absolute() / f"{_SCRATCH}{os.getpid()}"
    try:
        out.mkdir(parents=True, exist_ok=True)
        for left in out.glob(f"{_SCRATCH}*"):
            if not Path(f"/proc/{left.name.removeprefix(_SCRATCH)}").exists():
                shutil.rmtree(left, ignore_errors=True)
        scratch.mkdir()
    except OSError as error:
        raise StorageError(f"bench: cannot write {out}: {error.strerror}: name another folder with --out") from error
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
