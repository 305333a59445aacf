"""How much of OpenVINO's own speed a whole station keeps, and how long a part waits: ratios measured in one run."""

import json
import os
import re
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
from brokers import eventually
from station_kit import Station, process, run_json

from edge.demo.cells import Cell
from edge.demo.compare import read_station, read_told
from models.bundle import Bundle
from models.compile import compile_bundle
from models.spec import Precision

_BENCHMARK_APP = (
    "import sys; sys.modules['openvino_telemetry'] = None;"
    "from openvino.tools.benchmark.main import main; sys.exit(main())"
)
_HINT = {Precision.FP32: "f32", Precision.INT8: "f32", Precision.BF16: "bf16"}
_FSYNCS = 300


@dataclass(frozen=True, slots=True)
class Raw:
    """What benchmark_app reached: images per second of its asynchronous requests, median ms of one at a time."""

    images_per_s: float
    median_ms: float


@dataclass(frozen=True, slots=True)
class Served:
    """What the station reached: parts per second as the line saw them; ms from trigger to decided and to told."""

    parts_per_s: float
    decided_p99_ms: float
    told_p50_ms: float
    told_p99_ms: float


def benchmark_app(bundle: Bundle, threads: int, folder: Path, *, seconds: float, one_at_a_time: bool) -> Raw:
    """Run OpenVINO's own tool on the bundle's graph with the station's precision, threads, stream and requests."""
    config = folder / "plugin.json"
    config.write_text(json.dumps({"CPU": {"ENABLE_CPU_PINNING": "NO"}}))
    arguments = ["-m", str(bundle.model_xml), "-d", "CPU", "-hint", "none", "-t", f"{seconds:g}"]
    arguments += ["-nthreads", str(threads), "-nstreams", "1", "-infer_precision", f"CPU:{_HINT[bundle.precision]}"]
    arguments += ["-load_config", str(config), "-api", "sync" if one_at_a_time else "async"]
    arguments += [] if one_at_a_time else ["-nireq", "2"]
    done = subprocess.run(
        [sys.executable, "-c", _BENCHMARK_APP, *arguments], capture_output=True, text=True, check=True, timeout=120
    )
    return Raw(_figure(r"Throughput:\s+([\d.]+) FPS", done.stdout), _figure(r"Median:\s+([\d.]+) ms", done.stdout))


def paced_raw_ms(bundle: Bundle, threads: int, rate_hz: float, count: int) -> float:
    """Median ms of one inference at a part's pace: after a pause, cores and caches are as no closed loop has them."""
    request = compile_bundle(bundle, threads=threads).create_infer_request()
    pause = threading.Event()
    times = []
    for _ in range(count):
        pause.wait(1 / rate_hz)
        started_s = time.perf_counter()
        request.infer()
        times.append((time.perf_counter() - started_s) * 1000)
    return median(times)


def _figure(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    assert found is not None, text[-2000:]
    return float(found.group(1))


def make_station(folder: Path, bundles: Path, threads: int, images: str) -> Station:
    """A station that looks at BMP frames, so that decoding files, which no camera does, stays out of the figures."""
    settings = {
        "inference": {"threads": threads, "streams": 1, "requests": 2},
        "retention": {"images": images, "image_format": "jpeg"},
        "camera": {"source": str(folder / "frames"), "timeout_ms": 2000, "max_age_ms": 5000},
        "line": {"deadline_ms": 5000},
    }
    station = Station(folder / f"station-{threads}-{images}-{time.monotonic_ns()}", settings=settings)
    station.write_config()
    station.config.write_text(station.config.read_text().replace("bundle = 'blob'", "bundle = 'cell'"))
    station.bundles.parent.mkdir(parents=True)
    station.bundles.symlink_to(bundles)
    return station


def write_bmp_frames(cells: tuple[Cell, ...], folder: Path) -> None:
    """The cells as bitmaps."""
    folder.mkdir(parents=True)
    for cell in cells:
        cv2.imwrite(str(folder / f"{cell.path.stem}.bmp"), cv2.imread(str(cell.path), cv2.IMREAD_COLOR))


def serve(station: Station, parts: int, *options: str) -> Served:
    """Run a simulated line against the station; a short run before warms both."""
    log = station.folder / "line.jsonl"
    base = ["edge", "simulate", "--product", "blob", "--port", f"tcp://127.0.0.1:{station.port}", "--json"]
    with process(["edge", "run", "-c", str(station.config)], station.folder / "daemon.log"):
        run_json([*base, "--log", str(station.folder / "warm.jsonl"), "--parts", "30", "--prefix", "warm"])
        code, summary = run_json([*base, "--log", str(log), "--parts", str(parts), *options], 300)
        eventually(lambda: run_json(["edge", "status", "-c", str(station.config), "--json"])[1]["ready"])
    assert code == 0
    decided = sorted(_decided_ms(station))
    told = sorted(each.latency_ms or 0.0 for each in read_told(log))
    return Served(
        float(str(summary["parts_per_s"])), percentile(decided, 0.99), percentile(told, 0.5), percentile(told, 0.99)
    )


def _decided_ms(station: Station) -> list[float]:
    records = [json.loads(payload) for _sha, payload in read_station(station.database, "test-1").values()]
    return [record["latency_ms"]["decided"] for record in records if not record["part_id"].startswith("warm")]


def percentile(ordered: list[float], share: float) -> float:
    """The value below which `share` of an ordered list lies."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def fsync_p99_ms(folder: Path) -> float:
    """The 99th percentile of a 4 KiB write and fsync where the station's database lies."""
    times = []
    with (folder / "fsync.probe").open("wb", buffering=0) as file:
        for _ in range(_FSYNCS):
            file.write(b"\0" * 4096)
            started_s = time.perf_counter()
            os.fsync(file.fileno())
            times.append((time.perf_counter() - started_s) * 1000)
    return percentile(sorted(times), 0.99)


def median(values: list[float]) -> float:
    """The middle value."""
    return statistics.median(values)


def cpu_name() -> str:
    """The processor, as the kernel calls it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
