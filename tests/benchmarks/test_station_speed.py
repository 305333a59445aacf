"""Ratios of a whole station to OpenVINO alone, each measured beside its yardstick; printed, and kept as JSON.

The floors are what a defect would fall through on any machine that is otherwise idle; the aims stand in README.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from station_kit import run_json
from station_speed import (
    Served,
    fsync_p99_ms,
    make_station,
    median,
    paced_raw_ms,
    serve,
)

from edge.bench.alone import openvino_alone
from edge.bench.frames import prepare_frames
from edge.bench.result import Alone
from edge.demo.cells import FAST, link_cells, load_cells, split_cells
from edge.infer.plan import Plan
from models.bundle import Bundle, open_bundle
from models.bundle_store import active_bundle
from models.cpus import cpu_model, granted_cpus
from models.speed import compare_speed

pytestmark = pytest.mark.benchmark
ROUNDS = 3
PARTS = 1000
RATE_HZ = 20
THREADS = sorted({1, granted_cpus()})
RESULTS = Path("build") / "bench.json"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("bench")
    split = split_cells(load_cells(), FAST)
    link_cells(split.learn, made / "good")
    link_cells(split.inspect, made / "cells")
    config = made / "station.toml"
    config.write_text(
        "[station]\nid = 'bench'\n[[camera]]\nid = 'top'\nsource = 'cells'\n[[product]]\nid = 'cell'\nbundle = 'cell'\n"
    )
    code, answer = run_json(
        ["edge", "calibrate", "-c", str(config), "--from", str(made / "good"), "--fast", "--json"], 300
    )
    assert code == 0, answer
    prepare_frames(open_bundle(active_bundle(made / "data" / "bundles", "cell")), made / "cells", made / "frames")
    return made


@pytest.fixture(scope="module")
def bundle(folder: Path) -> Bundle:
    return open_bundle(active_bundle(folder / "data" / "bundles", "cell"))


@pytest.fixture(scope="module")
def results() -> Iterator[dict[str, object]]:
    found: dict[str, object] = {"machine": f"{cpu_model()}, {os.cpu_count()} CPUs"}
    yield found
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(found, indent=1))
    print(json.dumps(found, indent=1))  # noqa: T201 - a benchmark's output


@pytest.mark.parametrize("images", ["none", "all"])
@pytest.mark.parametrize("threads", THREADS)
def test_parts_per_second_over_benchmark_app(
    folder: Path, bundle: Bundle, results: dict[str, object], threads: int, images: str
) -> None:
    pairs: list[tuple[Alone, Served]] = []
    for _ in range(ROUNDS):
        raw = openvino_alone(bundle, Plan(threads, 1, 2), folder, 6)
        station = make_station(folder, folder / "data" / "bundles", threads, images)
        pairs.append((raw, serve(station, PARTS, "--in-flight", "4")))
    ratios = [served.parts_per_s / raw.images_per_s for raw, served in pairs]
    results[f"parts per second over benchmark_app, {threads} threads, images {images}"] = {
        "ratio": round(median(ratios), 3),
        "rounds": [round(ratio, 3) for ratio in ratios],
        "benchmark_app": round(median([raw.images_per_s for raw, _ in pairs]), 1),
        "station": round(median([served.parts_per_s for _, served in pairs]), 1),
        "precision": bundle.precision.value,
    }
    assert median(ratios) > (0.85 if (threads, images) == (1, "none") else 0.3)


@pytest.mark.parametrize("threads", THREADS)
def test_latency_over_raw_inference(folder: Path, bundle: Bundle, results: dict[str, object], threads: int) -> None:
    decided: list[float] = []
    decided_paced: list[float] = []
    told: list[float] = []
    for _ in range(ROUNDS):
        raw = openvino_alone(bundle, Plan(threads, 1, 2), folder, 5, one_at_a_time=True)
        paced_ms = paced_raw_ms(bundle, threads, RATE_HZ, 200)
        station = make_station(folder, folder / "data" / "bundles", threads, "none")
        served = serve(station, 400, "--in-flight", "1", "--rate", str(RATE_HZ))
        decided.append(served.decided_p99_ms / raw.median_ms)
        decided_paced.append(served.decided_p99_ms / paced_ms)
        told.append(served.told_p99_ms / (served.decided_p99_ms + 2 * fsync_p99_ms(folder)))
    results[f"latency, {threads} threads"] = {
        "decide p99 over median raw inference": round(median(decided), 2),
        "rounds": [round(ratio, 2) for ratio in decided],
        "decide p99 over median raw inference at the same pace": round(median(decided_paced), 2),
        "told p99 over decide p99 + 2 x fsync p99": round(median(told), 2),
        "told rounds": [round(ratio, 2) for ratio in told],
    }
    assert median(decided) < 10
    assert median(told) < 2


def test_bundle_precision_over_fp32(bundle: Bundle, results: dict[str, object]) -> None:
    speed = compare_speed(bundle, seconds=6)
    results["precision against FP32"] = {"precision": speed.precision.value, "ratio": round(speed.ratio, 2)}
    assert speed.ratio > 0.8
