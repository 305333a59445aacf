"""What `cloud` prints of strangers' words, and what it keeps to itself."""

import json
import socket
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from clouds import CLOUD, CloudProcess
from outboxes import EPOCH, STATION, inspection
from postgres_kit import Postgres
from stores import engine

from cloud_sync.hub.station_desks import HealthDesk, StateDesk
from cloud_sync.hub.store.writing import Key, NewRecord, StoreWriter
from cloud_sync.wire.broker import LocalBroker
from cloud_sync.wire.messages import HealthMessage, StateMessage

HOSTILE = "\x1b[2J\npress-9  online\t\x00"
AT = datetime(2026, 3, 1, tzinfo=UTC)


def cloud(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*CLOUD, *arguments], capture_output=True, text=True, check=False, timeout=30)


def health(**changes: object) -> dict[str, object]:
    counts = dict.fromkeys(("dead_letters", "losses", "uploads", "spool_bytes", "disk_free_bytes"), 0)
    said = HealthMessage(at=AT, epoch=EPOCH, ready=True, faults={}, alarms={HOSTILE: ""}, outbox={}, **counts)
    return said.model_dump(mode="json", by_alias=True) | changes


@pytest.fixture
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A station that says evil things wherever it may say something, and was offered a release."""
    place = str(tmp_path_factory.mktemp("words") / "cloud.db")
    row = inspection(1, part_id=HOSTILE)
    state = StateMessage(state="online", epoch=EPOCH, next_seq=9, version=HOSTILE, at=AT)
    job = (
        "INSERT INTO jobs (station, job, name, state, why, offered_at_ms, changed_at_ms)"
        " VALUES (:station, 'j', 'cells', 'rejected', :why, 1, 1)"
    )

    def write(connection: sa.Connection) -> None:
        StateDesk().take(connection, STATION, "state", state.pack(), 1)
        HealthDesk().take(connection, STATION, "health", json.dumps(health()).encode(), 1)
        connection.execute(sa.text(job), {"station": STATION, "why": HOSTILE})

    with StoreWriter(place) as writer:
        writer.insert([NewRecord(Key(STATION, EPOCH, row.stream, 1), row.payload, HOSTILE)], [], 1)
        writer.commit(write)
    return place


@pytest.mark.parametrize("words", [("stations",), ("status", "--records"), ("release", "status"), ("quarantine",)])
def test_a_station_writes_no_lines_of_its_own_and_nothing_to_the_terminal(store: str, words: tuple[str, ...]) -> None:
    said = cloud(*words, "--store", store)

    assert said.returncode == 0, said.stderr
    assert all(line.isprintable() or "\t" in line for line in said.stdout.splitlines())
    assert "\x1b" not in said.stdout
    assert not [line for line in said.stdout.splitlines() if line.startswith("press-9")]


def test_a_word_of_health_of_a_later_version_hides_no_station(store: str) -> None:
    with engine(store).begin() as connection:
        later = json.dumps(health(humidity=0.4))
        connection.execute(sa.text("UPDATE conditions SET health = :health"), {"health": later})

    said = cloud("stations", "--store", store, "--json")

    assert (said.returncode, json.loads(said.stdout)["station"]) == (0, STATION)


SECRET_PLACES = [
    "postgresql+psycopg://me:hush@127.0.0.1:1/db",
    "postgresql://me:hush%40@127.0.0.1:1/db",
    "postgres://me@127.0.0.1:1/db?password=hush",
]


@pytest.mark.parametrize("place", SECRET_PLACES)
def test_a_database_that_is_away_is_named_without_its_password(place: str) -> None:
    said = cloud("status", "--store", place)

    assert said.returncode == 3
    assert "127.0.0.1" in said.stderr
    assert "connection" in said.stderr  # it was tried, by the driver that we have
    assert "hush" not in said.stderr


def test_a_collector_says_where_it_collects_without_the_password(
    broker: LocalBroker, postgres: Postgres, tmp_path: Path
) -> None:
    broker.start()
    process = CloudProcess(broker.address, postgres.new_database().replace("@", ":hush@", 1), tmp_path / "log")
    process.start(awaited=False)

    ready = process.next_event()

    assert process.stop() == 0
    assert ":***@" in str(ready["store"])
    assert "hush" not in f"{ready}{process.log()}"


WRONG_OFFERS = [
    pytest.param(("--station", STATION, "--broker", "nowhere"), "HOST:PORT", id="broker"),
    pytest.param(("--station", "Press 3"), "a station id is", id="station"),
]


@pytest.mark.parametrize(("words", "said_of_it"), WRONG_OFFERS)
def test_an_offer_in_wrong_words_is_wrong_usage(
    store: str, tmp_path: Path, words: tuple[str, ...], said_of_it: str
) -> None:
    (tmp_path / "cells").write_bytes(b"x")

    said = cloud("release", "offer", str(tmp_path / "cells"), "--store", store, *words)

    assert (said.returncode, said.stdout) == (2, "")
    assert said_of_it in said.stderr


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        said = cloud("collect", "--store", str(tmp_path / "cloud.db"), "--metrics", address)

    assert said.returncode == 3
    assert f"nobody can listen for Prometheus at {address}" in said.stderr
    assert said.stderr.count("\n") == 1
