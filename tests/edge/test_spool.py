"""`edge spool` as it is typed: beside a running daemon, without one, with much that waits."""

import contextlib
import io
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from backlog_kit import fill
from brokers import eventually
from edge_rows import rows
from line_kit import STATION, Line, make_line

from cloud_sync.wire.broker import LocalBroker, available_kinds, free_port
from cloud_sync.wire.link import Address
from cloud_sync.wire.outbox import Stream
from edge.cli import main
from edge.config import load_config
from edge.daemon import Daemon
from edge.domain.errors import ConfigError, StorageError
from edge.record.database import open_database
from edge.record.lock import sole_owner
from edge.record.spool import read_spool
from edge.spool import drain, spool_status
from models.progress import SilentProgress

pytestmark = pytest.mark.skipif("mosquitto" not in available_kinds(), reason="mosquitto is not on this machine")
SMALL = "max_packet_size 1150"  # outcomes fit, inspections do not


@pytest.fixture
def line(tmp_path: Path) -> Line:
    """A station with five inspected parts that nobody sent, and the address of a broker that is not there yet."""
    made = make_line(tmp_path, LocalBroker("mosquitto", tmp_path, free_port()))
    fill(made.station.database, STATION, 5)
    return made


@contextmanager
def broker_for(line: Line, *options: str) -> Iterator[LocalBroker]:
    port = Address.parse(str(line.station.broker)).port
    with LocalBroker("mosquitto", line.station.folder / "broker", port, options=options) as made:
        yield made


def spool(line: Line, *words: str) -> tuple[int, dict[str, Any]]:
    said = io.StringIO()
    with contextlib.redirect_stdout(said), pytest.raises(SystemExit) as ended:
        main(["spool", *words, "-c", str(line.station.config), "--json"])
    content: dict[str, Any] = json.loads(said.getvalue().splitlines()[-1])
    return int(str(ended.value.code)), content


def found(line: Line) -> dict[str, Any]:
    status: dict[str, Any] = spool_status(load_config(line.station.config))
    return status


def bury(line: Line, stream: str, why: str) -> None:
    at = "2026-01-01T00:00:00+00:00"
    with closing(open_database(line.station.database)) as connection:
        move = "INSERT INTO dead_letters SELECT stream, seq, epoch, ?, ? FROM outbox WHERE stream = ?"
        connection.execute(move, (why, at, stream))
        connection.execute("DELETE FROM outbox WHERE stream = ?", (stream,))


def test_a_station_that_no_longer_runs_is_seen_retried_and_emptied(line: Line) -> None:
    bury(line, "outcomes", "as the test says")
    code, status = spool(line, "status")
    inspections, sizes = status["waiting"]["inspections"], "SELECT sum(length(payload)) FROM records WHERE stream = ?"
    assert (code, status["rows"], inspections["rows"], status["next_seq"]) == (1, 5, 5, 6)
    assert inspections["bytes"] == rows(line.station.database, sizes, "inspections")[0][0]
    assert inspections["oldest_at"].startswith("2026-03-01T06:00:00.033")
    assert inspections["oldest_age_s"] > 3600
    assert status["dead_letters"]["newest"][0]["reason"] == "as the test says"
    assert (status["link"]["daemon"], status["link"]["connected"]) == (False, False)

    assert spool(line, "retry-dead", "--stream", "outcomes") == (0, {"ok": True, "records": 5})
    assert spool(line, "drain", "--timeout-s", "0.3")[0] == 1
    with broker_for(line), line.collector():
        code, result = spool(line, "drain", "--timeout-s", "20")

    assert (code, result["records"], result["by"]) == (0, 0, "command")
    assert found(line)["rows"] == 0
    assert line.check().clean


def test_dead_letters_are_shown_and_sent_again_by_a_running_station(line: Line) -> None:
    with line.daemon():
        with broker_for(line, SMALL), line.collector():
            eventually(lambda: found(line)["rows"] == 0)
            status = found(line)
            assert status["dead_letters"]["rows"] == {"inspections": 5}
            assert "expected at most" in status["dead_letters"]["newest"][0]["reason"]
            eventually(lambda: found(line)["link"]["last_ack_at"])
        with broker_for(line), line.collector():
            assert spool(line, "retry-dead", "--stream", "outcomes") == (0, {"ok": True, "records": 0})
            eventually(lambda: found(line)["link"]["connected"])
            assert spool(line, "retry-dead") == (0, {"ok": True, "records": 5})
            code, result = spool(line, "drain", "--timeout-s", "20")
        assert (code, result["by"], result["dead_letters"]) == (0, "daemon", 0)
    assert line.check().clean


def test_a_stream_that_is_none_and_a_station_without_a_broker_are_wrong_usage(tmp_path: Path) -> None:
    line = make_line(tmp_path)
    assert spool(line, "retry-dead", "--stream", "verdicts")[0] == 2
    assert spool(line, "drain")[0] == 2
    assert spool(line, "status")[0] == 3  # there is no database yet
    assert spool(line, "retry-dead")[0] == 3
    assert not line.station.database.exists()  # nor does asking make one


def test_what_waits_under_another_stations_id_is_refused_for_the_cloud_would_never_take_it(line: Line) -> None:
    config = line.station.config
    config.write_text(config.read_text().replace(STATION, "renamed"))
    code, said = spool(line, "drain", "--timeout-s", "1")
    assert (code, said["kind"]) == (2, "ConfigError")
    assert STATION in said["error"]
    with pytest.raises(ConfigError, match="move that file away"):
        Daemon(load_config(config))
    assert found(line)["rows"] == 10


class Begun(SilentProgress):
    """Says when the waiting has begun."""

    def __init__(self) -> None:
        super().__init__()
        self.waits = threading.Event()

    def stage(self, name: str, total: int) -> None:
        super().stage(name, total)
        self.waits.set()


def test_a_drain_beside_a_station_that_ends_says_so_and_waits_for_nobody(line: Line) -> None:
    config, begun = load_config(line.station.config), Begun()
    with ThreadPoolExecutor(1) as aside:
        with sole_owner(config.station.data_dir):  # as a station does while it runs
            drained = aside.submit(drain, config, begun, 60)
            assert begun.waits.wait(10)
        with pytest.raises(StorageError, match="has ended"):
            drained.result(30)


def test_what_waits_is_read_at_once_however_much_it_is(tmp_path: Path) -> None:
    def made(count: int) -> Path:
        path, numbers = tmp_path / f"{count}.db", [(number,) for number in range(1, count + 1)]
        with closing(open_database(path)) as connection:
            connection.execute("BEGIN")
            write = "INSERT INTO records (stream, seq, sha256, payload) VALUES ('outcomes', ?, '', x'7b7d')"
            connection.executemany(write, numbers)
            connection.execute("INSERT INTO outbox (stream, seq) SELECT stream, seq FROM records")
            connection.execute("COMMIT")
        return path

    def took_s(path: Path, count: int) -> float:
        started_s = time.perf_counter()
        for _ in range(20):
            assert read_spool(path).lanes[Stream.OUTCOMES].rows == count
        return time.perf_counter() - started_s

    few, many = made(2_000), made(60_000)

    assert took_s(many, 60_000) < 5 * took_s(few, 2_000)
