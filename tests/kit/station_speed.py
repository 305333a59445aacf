"""How much of OpenVINO's own speed a whole station keeps, and how long a part waits: ratios measured in one run."""

import json
import os
import statistics
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from brokers import eventually
from station_kit import Station, process, run_json

from edge.demo.compare import read_station, read_told
from edge.domain.percentile import percentile
from models.bundle import Bundle
from models.compile import compile_bundle

_FSYNCS = 300


@dataclass(frozen=True, slots=True)
class Served:
    """What the station reached: parts per second as the line saw them; ms from trigger to decided and to told."""

    parts_per_s: float
    decided_p99_ms: float
    told_p50_ms: float
    told_p99_ms: float


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
