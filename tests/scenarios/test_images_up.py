"""Images of a real line go up over a real broker, through kills of either side, and lie in the cloud bit for bit."""

import random
import signal
from pathlib import Path

import cv2
import pytest
import sqlalchemy as sa
from brokers import eventually
from file_kit import picture
from line_kit import STATION, Line, make_line
from station_kit import end, good_frame, run_json

from cloud_sync.hub.files.releases import job_rows
from cloud_sync.hub.store.engine import open_engine
from cloud_sync.hub.store.file_tables import file_chunks, files
from cloud_sync.wire.broker import LocalBroker, available_kinds, free_port
from edge.record.database import open_reader

pytestmark = pytest.mark.skipif("mosquitto" not in available_kinds(), reason="mosquitto is not on this machine")


def uploads(line: Line) -> tuple[int, int]:
    """How many images wait to go up, and how many were refused."""
    connection = open_reader(line.station.database)
    try:
        query = "SELECT count(*) FILTER (WHERE refused IS NULL), count(refused) FROM uploads"
        waiting, refused = connection.execute(query).fetchone()
        return int(waiting), int(refused)
    finally:
        connection.close()


def stored_images(line: Line) -> dict[str, Path]:
    """Of each image that lies on the station's disk, its hash and where."""
    return {path.stem: path for path in (line.station.folder / "data" / "images").glob("??/*.png")}


def cloud_has(line: Line) -> dict[str, str]:
    engine = open_engine(str(line.store), create=False)
    with engine.connect() as connection:
        images = sa.select(files).where(files.c.station == STATION, files.c.media_type.startswith("image/"))
        found = {row.sha256: row.state for row in connection.execute(images)}
        assert connection.scalar(sa.select(sa.func.count()).select_from(file_chunks)) == 0
    engine.dispose()
    return found


def assert_all_up(line: Line) -> None:
    images = stored_images(line)
    assert images
    assert cloud_has(line) == dict.fromkeys(images, "complete")
    for sha256, path in images.items():
        assert (line.store.with_suffix(".blobs") / sha256[:2] / sha256).read_bytes() == path.read_bytes()


def make(folder: Path, **sync: object) -> tuple[LocalBroker, Line]:
    broker = LocalBroker("mosquitto", folder / "broker", free_port())
    settings = {"sync": {"broker": f"mqtt://{broker.address}", "resend_s": 0.5, "images": "all", **sync}}
    line = make_line(folder, broker, settings=settings)
    for number, path in enumerate(sorted((line.station.folder / "frames").iterdir())):
        cv2.imwrite(str(path), good_frame((220, 150), number))  # some pieces each
    return broker, line


@pytest.mark.long
def test_images_go_up_and_a_release_comes_down_bit_for_bit(tmp_path: Path) -> None:
    broker, line = make(tmp_path)
    release = tmp_path / "cells-v7.bundle"
    release.write_bytes(picture(300_000))
    with broker, line.collector(), line.daemon():
        line.run_parts(12)
        offer = [
            "cloud",
            "release",
            "offer",
            str(release),
            "--station",
            STATION,
            "--broker",
            f"mqtt://{broker.address}",
        ]
        code, said = run_json([*offer, "--store", str(line.store), "--json"])
        assert (code, said["name"]) == (0, release.name)
        eventually(lambda: uploads(line) == (0, 0), 30)
        eventually(lambda: [row.state for row in job_rows(str(line.store))] == ["verified"], 30)
    assert_all_up(line)
    assert (line.station.folder / "data" / "releases" / release.name).read_bytes() == release.read_bytes()


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_kills_of_daemon_and_collector_cost_no_image(tmp_path: Path) -> None:
    chance = random.Random(11)
    broker, line = make(tmp_path)
    with broker, line.daemon():
        line.run_parts(100, "--rate", "20", within_s=120)
    with broker:
        for _ in range(50):
            with line.collector() as collector, line.daemon() as daemon:
                goal = max(0, uploads(line)[0] - chance.randint(0, 2))
                eventually(lambda goal=goal: uploads(line)[0] <= goal, 60)
                end(chance.choice((collector, daemon)), signal.SIGKILL)
        with line.collector(), line.daemon():
            eventually(lambda: uploads(line) == (0, 0), 120)
    assert_all_up(line)
