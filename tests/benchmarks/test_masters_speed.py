"""What checking master parts without end costs the parts on the line: trigger to told, with and without, in one run."""

import sys
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from daemon_kit import line_to
from edge_kit import LineClient
from full_size_kit import anomaly_256
from masters_kit import new
from paced_kit import prepared
from station_kit import Station, process

from edge.line.masters import ask_station
from edge.line.protocol import VerifyMasters, parse_address
from edge.masters.store import MasterStore
from models.bundle_store import activate

pytestmark = pytest.mark.benchmark
MASTERS = 8
PARTS = 60


@pytest.mark.parametrize("period_s", [pytest.param(0.07, id="14 a second"), pytest.param(0.0, id="back to back")])
def test_parts_wait_little_longer_while_masters_are_checked(tmp_path: Path, period_s: float) -> None:
    made = station(tmp_path)
    waits: dict[bool, list[float]] = {False: [], True: []}
    with process(["edge", "run", "-c", str(made.config)], made.folder / "daemon.log"), line_to(made) as line:
        line.hear_ready(ready=True)
        serve(line, "warm", period_s)
        checks = 0
        for turn in range(4):
            asking, stop = bool(turn % 2), threading.Event()
            counted: list[int] = []
            thread = threading.Thread(target=ask_on, args=(made, stop, counted))
            if asking:
                thread.start()
            waits[asking] += serve(line, f"turn-{turn}", period_s)
            stop.set()
            if asking:
                thread.join(60)
            checks += len(counted)
    quiet, busy = (np.percentile(waits[asking], (50, 99)) for asking in (False, True))
    sys.stdout.write(
        f"\na part each {period_s:g} s: trigger to told p50 {quiet[0]:.1f} ms, p99 {quiet[1]:.1f}; while "
        f"{checks} checks of {MASTERS} master parts ran: p50 {busy[0]:.1f} ms ({busy[0] / quiet[0]:.2f}x), p99 "
        f"{busy[1]:.1f} ({busy[1] / quiet[1]:.2f}x), worst {max(waits[True]):.1f}"
    )
    assert checks > 0
    assert max(waits[True]) < 1000, "no part missed its deadline"


def station(folder: Path) -> Station:
    settings = {"line": {"deadline_ms": 1000}, "camera": {"source": "frames"}, "inference": {"threads": 1}}
    made = Station(folder / "station", settings=settings)
    made.config.parent.mkdir()
    made.config.write_text(made.write_config().read_text().replace("bundle = 'blob'", "bundle = 'anomaly'"))
    frames = prepared(MASTERS, (640, 480))
    anomaly_256(made.bundles, frames)
    activate(made.bundles, "anomaly", 1)
    (made.folder / "frames").mkdir()
    for number, frame in enumerate(frames):
        cv2.imwrite(str(made.folder / "frames" / f"{number}.bmp"), frame)
    files = sorted((made.folder / "frames").iterdir())
    named = [new(file, f"m{number}", good=number % 2 == 0) for number, file in enumerate(files)]
    MasterStore(made.folder / "data", "blob").add(named)
    return made


def serve(line: LineClient, name: str, period_s: float) -> list[float]:
    """Milliseconds from trigger to told of each part; with a period of 0 each is triggered once the last was told.

    Whether the station is ready does not matter here: the weights are chance's, so its masters are told wrong.
    """
    waits_ms, pause, next_s = [], threading.Event(), time.monotonic()
    for number in range(PARTS):
        pause.wait(max(0.0, next_s - time.monotonic()))
        next_s = max(next_s + period_s, time.monotonic())
        started_s = time.monotonic()
        line.trigger(f"{name}-{number}")
        told = line.hear()
        waits_ms.append((time.monotonic() - started_s) * 1000)
        line.ack(told["part_id"])
        assert told["verdict"] != "UNDECIDED", told
    return waits_ms


def ask_on(made: Station, stop: threading.Event, counted: list[int]) -> None:
    """Have masters checked, one check after the other."""
    while not stop.is_set():
        answer = ask_station(parse_address(f"tcp://127.0.0.1:{made.port}"), VerifyMasters("blob", "benchmark"))
        counted.append(answer.check_id or 0)
