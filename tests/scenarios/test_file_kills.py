"""Files in both directions over a real broker while station and collector are killed at random bytes."""

import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import sqlalchemy as sa
from brokers import eventually
from clouds import CloudProcess
from file_kit import STATION, picture, sha256_of
from file_station import FolderUploads
from typer.testing import CliRunner

from cloud_sync.hub.cli import app
from cloud_sync.hub.files.releases import job_rows
from cloud_sync.hub.store.engine import open_engine
from cloud_sync.hub.store.file_tables import file_chunks, files
from cloud_sync.wire.broker import LocalBroker, available_kinds, free_port
from cloud_sync.wire.messages import BLOCK_BYTES

pytestmark = pytest.mark.skipif("mosquitto" not in available_kinds(), reason="mosquitto is not on this machine")

PROGRAM = Path(__file__).parent.parent / "kit" / "file_station.py"
LONG = [pytest.mark.soak, pytest.mark.timeout(1800)]
KILLS = [
    pytest.param(1, 2, id="one collector, 2 each side"),
    pytest.param(1, 50, id="one collector, 50 each side", marks=LONG),
    pytest.param(3, 50, id="three collectors, 50 each side", marks=LONG),
]


class Rig:
    """A broker, collectors and a station, each a process."""

    def __init__(self, folder: Path, collectors: int) -> None:
        self.folder = folder
        self.store = folder / "cloud.db"
        self.broker = LocalBroker("mosquitto", folder / "broker", free_port())
        self.clouds = [
            CloudProcess(self.broker.address, self.store, folder / f"{number}.log", ("--client-id", f"c-{number}"))
            for number in range(collectors)
        ]
        self.contents: list[bytes] = []
        self._chance = random.Random(13)
        self.uploads = FolderUploads(folder)
        self._station: subprocess.Popen[bytes] | None = None

    def start_station(self) -> None:
        with (self.folder / "station.log").open("ab") as log:
            arguments = [sys.executable, str(PROGRAM), str(self.broker.address), str(self.folder)]
            self._station = subprocess.Popen(arguments, stdout=log, stderr=log)

    def kill_station(self) -> None:
        station, self._station = self._station, None
        if station is not None:
            station.kill()
            station.wait(5)

    def kill_both_in_turn(self, kills: int, progress: Callable[[], int], most: int) -> None:
        """Kill each side so often, after a random number of pieces more went over."""
        chance = self._chance
        sides = [self._restart_cloud, self._restart_station] * kills
        chance.shuffle(sides)
        for restart in sides:
            self.feed()
            goal = progress() + chance.randint(1, most)
            eventually(lambda goal=goal: progress() >= goal, 60)
            restart()

    def feed(self) -> None:
        """See to it that more than one file waits to go up."""
        while len(list((self.folder / "up").iterdir())) < 2:
            seed = len(self.contents)
            self.contents.append(picture(40 * BLOCK_BYTES + seed, seed))
            self.uploads.add(self.contents[-1])

    def _restart_cloud(self) -> None:
        cloud = self._chance.choice(self.clouds)
        cloud.kill()
        cloud.start()

    def _restart_station(self) -> None:
        self.kill_station()
        self.start_station()


@pytest.fixture
def rig(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Rig]:
    made = Rig(tmp_path, request.param)
    with made.broker:
        for cloud in made.clouds:
            cloud.start()
        yield made
        made.kill_station()
        for cloud in made.clouds:
            cloud.stop()


def pieces_up(rig: Rig) -> int:
    engine = open_engine(str(rig.store), create=False)
    with engine.connect() as connection:
        done = connection.scalar(sa.select(sa.func.sum(files.c.size_bytes)).where(files.c.state == "complete"))
        held = connection.scalar(sa.select(sa.func.count()).select_from(file_chunks))
    engine.dispose()
    return int(done or 0) // BLOCK_BYTES + int(held or 0)


def stored(rig: Rig, content: bytes) -> bool:
    sha256 = sha256_of(content)
    path = rig.store.with_suffix(".blobs") / sha256[:2] / sha256
    return path.exists() and path.read_bytes() == content


@pytest.mark.long
@pytest.mark.parametrize(("rig", "kills"), KILLS, indirect=["rig"])
def test_files_go_up_and_a_release_comes_down_through_kills_of_both_sides(rig: Rig, kills: int) -> None:
    release = picture(40 * kills * BLOCK_BYTES + 9)
    source = rig.folder / "cells-v7.bundle"
    source.write_bytes(release)
    part, whole = rig.folder / "releases" / f".{source.name}.part", rig.folder / "releases" / source.name
    rig.feed()
    rig.start_station()
    words = ["release", "offer", str(source), "--station", STATION, "--broker", f"mqtt://{rig.broker.address}"]
    done = CliRunner().invoke(app, [*words, "--store", str(rig.store), "--json"])
    assert done.exit_code == 0, done.output
    rig.kill_both_in_turn(kills, lambda: pieces_up(rig) + size_of(part, whole) // BLOCK_BYTES, 16)
    eventually(lambda: len(list((rig.folder / "done").iterdir())) == len(rig.contents), 120)
    eventually(lambda: [row.state for row in job_rows(str(rig.store))] == ["verified"], 60)
    assert whole.read_bytes() == release
    assert all(stored(rig, content) for content in rig.contents)
    assert pieces_up(rig) == sum(len(content) for content in rig.contents) // BLOCK_BYTES  # and no piece is left over


def size_of(part: Path, whole: Path) -> int:
    """How much of a release is there."""
    for path in (whole, part):
        with suppress(FileNotFoundError):
            return path.stat().st_size
    return 0
