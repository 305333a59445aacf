"""What the checker reads: the station's database, the cloud's store, the simulator's log.

By hand: `python tests/kit/checker_sources.py STATION station.db cloud.db [line.jsonl]`.
"""

import sqlite3
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa
from checker import Facts, Place, Report, Row, digest_of, join

from cloud_sync.hub.store.engine import open_engine
from cloud_sync.hub.store.tables import dead_letters, quarantine, records
from cloud_sync.wire.outbox import Stream
from edge.demo.compare import read_told
from edge.record.database import open_reader


def check(station: str, database: Path, store: str, log: Path | None = None, *, prunes: bool = False) -> Report:
    """Join what all three hold.

    Args:
        station: its id.
        database: the station's.
        store: the cloud's, a path or an URL.
        log: the simulator's; None where no line heard anything.
        prunes: whether the station deletes records that the cloud has acknowledged.
    """
    with closing(open_reader(database)) as mine:
        engine = open_engine(store, create=False)
        with engine.connect().execution_options(stream_results=True, yield_per=1000) as theirs:
            told = None if log is None else read_told(log)
            facts = _facts(station, mine, theirs, prunes=prunes)
            report = join(facts, _station_rows(mine), _cloud_rows(theirs, station), told)
        engine.dispose()
    return report


def _facts(station: str, mine: sqlite3.Connection, theirs: sa.Connection, *, prunes: bool) -> Facts:
    high = mine.execute("SELECT seq FROM sqlite_sequence WHERE name = 'inspections'").fetchone()
    quarantined: dict[Place, set[str]] = defaultdict(set)
    held = sa.select(quarantine.c.epoch, quarantine.c.stream, quarantine.c.seq, quarantine.c.payload)
    for epoch, stream, seq, payload in theirs.execute(held.where(quarantine.c.station == station)):
        quarantined[epoch, stream, seq].add(digest_of(payload))
    dead = theirs.scalars(sa.select(dead_letters.c.payload).where(dead_letters.c.station == station))
    return Facts(
        station=station,
        epochs=frozenset(_epochs(mine).values()),
        high=0 if high is None else int(high[0]),
        waiting=_places(mine, "outbox"),
        buried=_places(mine, "dead_letters"),
        quarantined={place: frozenset(digests) for place, digests in quarantined.items()},
        dead=frozenset(map(digest_of, dead)),
        prunes=prunes,
    )


def _epochs(mine: sqlite3.Connection) -> dict[int, str]:
    return dict(mine.execute("SELECT id, epoch FROM epochs").fetchall())


def _places(mine: sqlite3.Connection, table: str) -> frozenset[Place]:
    query = f"SELECT epochs.epoch, stream, seq FROM {table} AS held JOIN epochs ON epochs.id = held.epoch"  # noqa: S608
    return frozenset(mine.execute(query).fetchall())


def _station_rows(mine: sqlite3.Connection) -> Iterator[Row]:
    query = "SELECT seq, sha256, payload FROM records WHERE stream = ? AND epoch = ? ORDER BY seq"
    for number, epoch in sorted(_epochs(mine).items(), key=lambda item: item[1]):
        for stream in sorted(Stream):
            for seq, digest, payload in mine.execute(query, (stream.value, number)):
                yield Row((epoch, stream.value, seq), digest, bytes(payload))


def _cloud_rows(theirs: sa.Connection, station: str) -> Iterator[Row]:
    held = records.c
    query = sa.select(held.epoch, held.stream, held.seq, held.sha256, held.payload).where(held.station == station)
    for epoch, stream, seq, digest, payload in theirs.execute(query.order_by(held.epoch, held.stream, held.seq)):
        yield Row((epoch, stream, seq), digest, bytes(payload))


if __name__ == "__main__":
    NAME, DATABASE, STORE, *LOG = sys.argv[1:]
    REPORT = check(NAME, Path(DATABASE), STORE, Path(LOG[0]) if LOG else None, prunes=True)
    sys.stdout.write(f"{REPORT!r}\n")
    sys.exit(not REPORT.clean)
