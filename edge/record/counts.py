"""How many of everything the station's database holds, kept by the database itself.

- Triggers count inside the transaction that changes a row: a failed commit, a kill or another program cannot put them
  at odds with the rows, and reading one costs the same however many rows there are.
- `outbox:`, `dead:`, `records:` and `outcome:open` are of now; the others go up for as long as the
  database lives, though old records are let go of.
- Rows of the counted tables are never written by INSERT OR REPLACE: what it replaces, no trigger sees.
"""

import sqlite3
from collections.abc import Iterator, Mapping

from cloud_sync.wire.outbox import Stream

_VERDICTS = ("PASS", "REJECT", "UNDECIDED")
_OUTCOMES = ("open", "told", "late", "unconfirmed")
_UP, _DOWN = "+ 1", "- 1"


def count_from_now_on(connection: sqlite3.Connection) -> None:
    """Count what is there and keep counting; where that was done before, count what is new since that version."""
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'counts'").fetchone():
        connection.executemany("INSERT OR IGNORE INTO counts VALUES (?, 0)", [(name,) for name in _names()])
        return
    connection.execute("CREATE TABLE counts (name TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID")
    connection.executemany("INSERT INTO counts VALUES (?, 0)", [(name,) for name in _names()])
    for name, table in (
        ("'outbox:' || stream", "outbox"),
        ("'dead:' || stream", "dead_letters"),
        ("'verdict:' || verdict", "inspections"),
        ("'outcome:' || coalesce(outcome, 'open')", "inspections"),
        ("'records:' || stream", "records"),
    ):
        found = f"SELECT {name}, count(*) FROM {table} GROUP BY 1 HAVING count(*)"  # noqa: S608 - our own text
        connection.execute(f"INSERT OR REPLACE INTO counts {found}")
    for trigger in _triggers():
        connection.execute(trigger)


def read_counts(connection: sqlite3.Connection) -> Mapping[str, int]:
    """Every count by its name."""
    return dict(connection.execute("SELECT name, n FROM counts").fetchall())


def counts_under(counts: Mapping[str, int], kind: str) -> dict[str, int]:
    """Those of one kind, by what follows the colon; those at zero are left out."""
    prefix = f"{kind}:"
    return {name.removeprefix(prefix): n for name, n in counts.items() if n and name.startswith(prefix)}


def add_to_count(connection: sqlite3.Connection, name: str, more: int) -> int:
    """Add to a count that no trigger keeps; says what it is now."""
    query = "INSERT INTO counts VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET n = n + excluded.n RETURNING n"
    return int(connection.execute(query, (name, more)).fetchone()[0])


def next_number(connection: sqlite3.Connection, stream: Stream) -> int:
    """The next number of a stream that counts its own records: one above the highest ever given."""
    return add_to_count(connection, f"seq:{stream.value}", 1)


def _names() -> Iterator[str]:
    for stream in Stream:
        yield from (f"{kind}:{stream.value}" for kind in ("outbox", "dead", "records", "lost"))
    yield from (f"verdict:{verdict}" for verdict in _VERDICTS)
    yield from (f"outcome:{outcome}" for outcome in _OUTCOMES)


def _triggers() -> Iterator[str]:
    for kind, table in (("outbox", "outbox"), ("dead", "dead_letters"), ("records", "records")):
        yield _trigger(f"{kind}_added", f"INSERT ON {table}", (f"'{kind}:' || NEW.stream", _UP))
        yield _trigger(f"{kind}_gone", f"DELETE ON {table}", (f"'{kind}:' || OLD.stream", _DOWN))
    made = ("'verdict:' || NEW.verdict", _UP), ("'outcome:' || coalesce(NEW.outcome, 'open')", _UP)
    yield _trigger("inspection_made", "INSERT ON inspections", *made)
    closed = (f"'outcome:' || coalesce({row}.outcome, 'open')" for row in ("OLD", "NEW"))
    yield _trigger("inspection_closed", "UPDATE OF outcome ON inspections", *zip(closed, (_DOWN, _UP), strict=True))


def _trigger(name: str, event: str, *changes: tuple[str, str]) -> str:
    steps = " ".join(f"UPDATE counts SET n = n {change} WHERE name = {which};" for which, change in changes)  # noqa: S608
    return f"CREATE TRIGGER {name} AFTER {event} BEGIN {steps} END"
