"""A released detector, taken by `edge calibrate` and run by `edge run` against a simulated line: real processes."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from brokers import eventually
from detector_kit import RECIPE, make_detector, pattern, with_square
from station_kit import Station, process, run_json, simulate

WORLD = pattern((104, 84), seed=11)


@pytest.mark.long
def test_a_released_detector_with_a_reference_runs_a_line(tmp_path: Path) -> None:
    release = make_detector(tmp_path / "cloud", "boards", compares=True, active=False)
    station = Station(tmp_path / "station", settings={"camera": {"loop": False}})
    text = station.write_config().read_text()
    station.config.write_text(text + "reference = 'golden.png'\n" + RECIPE)
    good = np.ascontiguousarray(WORLD[10:74, 20:84])
    moved = np.ascontiguousarray(WORLD[12:76, 17:81])
    frames = [good, with_square(moved, 20, 30), pattern(seed=5), moved]
    (station.folder / "frames").mkdir()
    for number, frame in enumerate(frames):
        cv2.imwrite(str(station.folder / "frames" / f"{number}.png"), frame)
    cv2.imwrite(str(station.folder / "golden.png"), good)

    take = [
        "edge",
        "calibrate",
        "-c",
        str(station.config),
        "--bundle",
        str(release.path),
        "--tune-s",
        "1",
        "--no-study",
        "--json",
    ]
    assert run_json(take)[0] == 0
    log = tmp_path / "line.jsonl"
    with process(["edge", "run", "-c", str(station.config)], tmp_path / "daemon.log"):
        eventually(lambda: run_json(["edge", "status", "-c", str(station.config), "--json"])[0] == 0, 30)
        code, said = run_json(simulate(station, log, len(frames)))
    assert (code, said["untold"]) == (0, 0)
    told = [event for event in map(json.loads, log.read_text().splitlines()) if event["event"] == "told"]
    assert [(event["verdict"], event["reasons"]) for event in told] == [
        ("PASS", []),
        ("REJECT", ["bright:1"]),
        ("UNDECIDED", ["reference_misaligned"]),
        ("PASS", []),
    ]
