"""kill -9 of the station and the collector while samples are chosen: each is in the cloud once, with its image."""

import json
import random
import signal
from collections import Counter
from contextlib import closing
from pathlib import Path

import cv2
import pytest
from brokers import eventually
from edge_rows import rows
from line_kit import STATION, Line, make_line
from station_kit import end, good_frame
from triage_kit import scored

from cloud_sync.wire.broker import LocalBroker, available_kinds, free_port
from edge.demo.compare import read_station
from edge.record.database import open_reader

PER_HOUR = 400
KILLS = [
    pytest.param(3, id="3", marks=[pytest.mark.long]),
    pytest.param(200, id="200", marks=[pytest.mark.soak, pytest.mark.timeout(3600)]),
]
pytestmark = pytest.mark.skipif("mosquitto" not in available_kinds(), reason="mosquitto is not on this machine")


def make(folder: Path) -> tuple[LocalBroker, Line]:
    """A line of which every second part is uncertain, and a budget that it will exhaust."""
    broker = LocalBroker("mosquitto", folder / "broker", free_port())
    triage = {"per_hour": PER_HOUR, "audit_share": 0.2}
    settings = {"triage": triage, "sync": {"broker": f"mqtt://{broker.address}", "resend_s": 0.5}}
    line = make_line(folder, broker, settings=settings)
    for number, path in enumerate(sorted((line.station.folder / "frames").iterdir())):
        cv2.imwrite(str(path), scored(0.48, seed=number) if number % 2 else good_frame(seed=number))
    return broker, line


def images_wait(line: Line) -> int:
    with closing(open_reader(line.station.database)) as reader:
        return int(reader.execute("SELECT count(*) FROM uploads").fetchone()[0])


@pytest.mark.parametrize("kills", KILLS)
def test_kills_between_choosing_and_writing_double_no_sample_and_give_no_budget_twice(
    tmp_path: Path, kills: int
) -> None:
    broker, line = make(tmp_path)
    chance = random.Random(9)
    with broker, line.simulator(200_000, "--in-flight", "4", "--rate", "100") as simulator:
        for _ in range(kills):
            with line.collector() as collector, line.daemon() as daemon:
                goal = line.told() + chance.randint(20, 80)
                eventually(lambda goal=goal: line.told() >= goal, 60)
                end(daemon, signal.SIGKILL)
                end(collector, signal.SIGKILL)
        end(simulator, signal.SIGKILL)
    with broker, line.collector(), line.daemon():
        line.await_acknowledged(90)
        eventually(lambda: images_wait(line) == 0, 60)

    report = line.check()
    assert report.clean, report
    records = [json.loads(payload) for _, payload in read_station(line.station.database, STATION, "samples").values()]
    assert len(records) >= 10
    named = Counter((one["inspection_seq"], one["camera"], why) for one in records for why in one["reasons"])
    assert max(named.values()) == 1
    assert {why for one in records for why in one["reasons"]} >= {"uncertain", "candidate", "audit"}
    assert sorted(one["seq"] for one in records) == list(range(1, len(records) + 1))
    [(charged,)] = rows(line.station.database, "SELECT count(*) FROM samples WHERE charged")
    assert charged == len(records) <= PER_HOUR
    kept = [json.loads(payload) for _, payload in read_station(line.station.database, STATION, "images").values()]
    by_seq = {one["seq"]: one["images"] for one in kept}
    shown = [by_seq[one["inspection_seq"]]["top"]["sha256"] for one in records if by_seq[one["inspection_seq"]]]
    assert len(shown) > len(records) / 2
    blobs = line.store.with_suffix(".blobs")
    assert [sha256 for sha256 in shown if not (blobs / sha256[:2] / sha256).exists()] == []
    inspected = {seq for (seq,) in rows(line.station.database, "SELECT seq FROM inspections")}
    assert {one["inspection_seq"] for one in records} <= inspected
