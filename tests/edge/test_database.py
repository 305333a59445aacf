"""The station's database over its versions, and what it counts."""

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from edge_rows import rows

from edge.domain.errors import StorageError
from edge.record.counts import read_counts
from edge.record.database import current_epoch, open_database, open_reader

EPOCH = "0123456789abcdef" * 2
PARTS = 200
VERSION_1 = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE inspections (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    part_id TEXT NOT NULL,
    product TEXT NOT NULL,
    verdict TEXT NOT NULL,
    triggered_at TEXT NOT NULL,
    outcome TEXT,
    told_verdict TEXT,
    told_ms REAL
);
CREATE INDEX inspections_by_part ON inspections (part_id);
CREATE INDEX inspections_open ON inspections (seq) WHERE outcome IS NULL;
CREATE TABLE images (
    seq INTEGER NOT NULL REFERENCES inspections (seq),
    camera TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    media_type TEXT NOT NULL,
    stored INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (seq, camera)
) WITHOUT ROWID;
CREATE INDEX images_by_content ON images (sha256);
CREATE TABLE records (
    stream TEXT NOT NULL,
    seq INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    payload BLOB NOT NULL,
    UNIQUE (stream, seq)
);
CREATE TABLE outbox (
    stream TEXT NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (stream, seq)
) WITHOUT ROWID;
CREATE TABLE master_checks (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    product TEXT NOT NULL,
    at TEXT NOT NULL,
    outcome TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    payload BLOB NOT NULL
);
CREATE INDEX master_checks_by_product ON master_checks (product, seq);
"""


def write_version_1(path: Path, parts: int = PARTS) -> None:
    """A database as inspectd 1 left it: every third part a reject, the last quarter not acknowledged, the last open."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("PRAGMA journal_mode = WAL;" + VERSION_1)
        connection.executemany("INSERT INTO meta VALUES (?, ?)", [("schema", "1"), ("epoch", EPOCH)])
        seqs = range(1, parts + 1)
        connection.executemany(
            "INSERT INTO inspections VALUES (?, ?, 'blob', ?, '2026-03-01T12:00:00+00:00', ?, NULL, NULL)",
            [(n, f"p-{n}", "PASS" if n % 3 else "REJECT", "told" if n < parts else None) for n in seqs],
        )
        content = b'{"n":%d}'
        connection.executemany(
            "INSERT INTO records VALUES ('inspections', ?, ?, ?)", [(n, f"{n:064x}", content % n) for n in seqs]
        )
        connection.executemany(
            "INSERT INTO images VALUES (?, 'top', ?, 100, 'image/png', 1)", [(n, f"{n:064x}") for n in seqs]
        )
        connection.executemany(
            "INSERT INTO outbox VALUES ('inspections', ?)", [(n,) for n in seqs if n > parts * 3 // 4]
        )
        connection.commit()


@pytest.fixture
def version_1(tmp_path: Path) -> Path:
    path = tmp_path / "station.db"
    write_version_1(path)
    return path


def test_a_database_of_version_1_is_brought_up_to_date_with_everything_in_it(version_1: Path) -> None:
    before = rows_of(version_1, "SELECT stream, seq, sha256, payload FROM records ORDER BY seq")
    for _ in range(2):
        with closing(open_database(version_1)) as connection:
            assert current_epoch(connection) == (1, EPOCH)
            counts = read_counts(connection)
    assert rows_of(version_1, "SELECT stream, seq, sha256, payload FROM records ORDER BY seq") == before
    waiting = "SELECT seq, epochs.epoch FROM outbox JOIN epochs ON epochs.id = outbox.epoch ORDER BY seq"
    assert rows_of(version_1, waiting) == [(seq, EPOCH) for seq in range(151, 201)]
    assert rows(version_1, "SELECT DISTINCT epoch FROM inspections") == [(1,)]
    assert (counts["outbox:inspections"], counts["verdict:PASS"], counts["verdict:REJECT"]) == (50, 134, 66)
    assert (counts["outcome:told"], counts["outcome:open"], counts["records:inspections"]) == (199, 1, 200)


def test_a_reader_of_a_database_of_version_1_says_who_brings_it_up_to_date(version_1: Path) -> None:
    with pytest.raises(StorageError, match="`edge run` brings it up to date"):
        open_reader(version_1)


_KILLED_MIGRATION = """
import os, signal, sqlite3, sys
from pathlib import Path
from edge.record import database

class Killed(sqlite3.Connection):
    left = int(sys.argv[2])
    def execute(self, *arguments):
        Killed.left -= 1
        if Killed.left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().execute(*arguments)

made = sqlite3.connect
database.sqlite3.connect = lambda *given, **named: made(*given, factory=Killed, **named)
database.open_database(Path(sys.argv[1])).close()
"""


@pytest.mark.parametrize("each", [pytest.param(13, id="13th"), pytest.param(5, id="5th", marks=pytest.mark.long)])
def test_a_migration_killed_anywhere_leaves_the_old_version_or_the_new_one_whole(tmp_path: Path, each: int) -> None:
    left: dict[str, int] = {}
    for statements in range(2, 400, each):
        path = tmp_path / f"{statements}.db"
        write_version_1(path, 20)
        command = [sys.executable, "-c", _KILLED_MIGRATION, str(path), str(statements)]
        ended = subprocess.run(command, check=False, timeout=60).returncode
        ((version,),) = rows_of(path, "SELECT value FROM meta WHERE key = 'schema'")
        left[version] = left.get(version, 0) + 1
        with closing(open_database(path)) as connection:
            assert connection.execute("SELECT count(*) FROM outbox JOIN records USING (stream, seq)").fetchone() == (5,)
            assert read_counts(connection)["outbox:inspections"] == 5
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        if ended == 0:
            break
        assert ended == -signal.SIGKILL
    assert left["1"] > 3
    assert left["2"] > 0


def test_a_database_of_a_newer_version_is_refused_with_what_to_do_and_not_a_byte_of_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "station.db"
    open_database(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("UPDATE meta SET value = '3' WHERE key = 'schema'; PRAGMA journal_mode = DELETE;")
    before = path.read_bytes()
    for opens in (open_database, open_reader):
        with pytest.raises(StorageError, match="install the newer inspectd"):
            opens(path)
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["station.db"]


def test_what_a_newer_daemon_left_in_its_log_stays_in_the_log(tmp_path: Path) -> None:
    path = tmp_path / "station.db"
    open_database(path).close()
    text = (
        "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1]); "
        "c.execute('UPDATE meta SET value = 3 WHERE key = \\'schema\\''); c.commit(); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", text, str(path)], check=True, timeout=60)
    files = {file: file.read_bytes() for file in (path, path.with_name("station.db-wal"))}
    with pytest.raises(StorageError, match="install the newer inspectd"):
        open_database(path)
    assert {file: file.read_bytes() for file in files} == files


def test_counts_are_those_of_the_rows_whatever_came_of_a_transaction(tmp_path: Path) -> None:
    with closing(open_database(tmp_path / "station.db")) as connection:
        add = "INSERT INTO outbox VALUES ('outcomes', ?, 1)"
        connection.executemany(add, [(n,) for n in range(10)])
        connection.execute("BEGIN")
        connection.execute("DELETE FROM outbox")
        connection.execute("ROLLBACK")
        assert read_counts(connection)["outbox:outcomes"] == 10
        connection.execute("DELETE FROM outbox WHERE seq < 4")
        assert read_counts(connection)["outbox:outcomes"] == 6
        connection.execute("DELETE FROM outbox")
        assert read_counts(connection)["outbox:outcomes"] == 0


def rows_of(path: Path, query: str) -> list[tuple[object, ...]]:
    """What a query finds in a database of any version."""
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        return connection.execute(query).fetchall()
