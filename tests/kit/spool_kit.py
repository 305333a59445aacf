"""A station's spool for tests: a database filled as a line fills it, and who looks after the disk, by hand."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from edge_kit import Collected, inspection, part
from edge_rows import rows

from edge.domain.inspection import Outcome, OutcomeOf
from edge.domain.part import Verdict
from edge.record.database import open_database
from edge.record.eviction import Limits
from edge.record.images import ImageStore
from edge.record.inspections import insert_images, insert_inspection, insert_outcome, next_seq
from edge.record.letting_go import NEWEST_KEPT
from edge.record.recorder import Recorder
from edge.record.retention import Retention
from edge.record.shelf import Shelf

MANY = NEWEST_KEPT + 1500
_TIDIES = 2000


def every_third_bad(seq: int) -> Verdict:
    """Two good parts, then a reject."""
    return Verdict.PASS if seq % 3 else Verdict.REJECT


def fill(path: Path, count: int = MANY, verdict_of: Callable[[int], Verdict] = every_third_bad) -> None:
    """Write inspections with outcome and images record, none of them acknowledged."""
    with closing(open_database(path)) as connection:
        connection.execute("BEGIN")
        for seq in range(next_seq(connection), next_seq(connection) + count):
            verdict, part_id = verdict_of(seq), f"p-{seq}"
            insert_inspection(connection, "test-1", seq, inspection(verdict, part(part_id)), keeps_image=True)
            insert_outcome(connection, "test-1", OutcomeOf(seq, part_id, Outcome.TOLD, verdict, 12.0))
            insert_images(connection, "test-1", seq, part_id, {}, ["top"])
        connection.execute("COMMIT")


def execute(path: Path, query: str) -> None:
    """Change the database by hand."""
    with closing(open_database(path)) as connection:
        connection.execute(query)


def used_bytes(path: Path) -> int:
    """What the database's pages take that hold something."""
    with closing(open_database(path)) as connection:
        size, pages, unused = (
            int(connection.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("page_size", "page_count", "freelist_count")
        )
    return size * (pages - unused)


@dataclass
class Spool:
    """A recorder that runs, and its retention, turned by the test."""

    path: Path
    recorder: Recorder
    retention: Retention
    alarms: dict[str, str]
    committed: Collected

    def tidy(self) -> None:
        """Turn until nothing is left to do."""
        for _ in range(_TIDIES):
            if not self.retention.tidy():
                return
        raise AssertionError(f"still busy after {_TIDIES} turns: {self.retention.usage}")

    def seqs(self, stream: str = "inspections", table: str = "outbox") -> list[int]:
        """The numbers of a stream in the outbox, or in the records."""
        query = f"SELECT seq FROM {table} WHERE stream = ? ORDER BY seq"  # noqa: S608 - our own text
        found = rows(self.path, query, stream)
        return [int(str(seq)) for (seq,) in found]


@contextmanager
def spool(folder: Path, limits: Limits, *, sends: bool = True) -> Iterator[Spool]:
    """A spool in a folder whose database may be filled already."""
    path, committed = folder / "station.db", Collected()
    recorder = Recorder(
        "test-1",
        path,
        keeps_image=lambda _inspection: False,
        on_committed=committed,
        on_unrecorded=lambda _inspection: None,
        on_storage=lambda _works, _why: None,
    )
    recorder.start()
    recorder.settle(10)
    alarms: dict[str, str] = {}
    shelf = Shelf(ImageStore(folder / "images", "png"), recorder)
    shelf.settle()
    retention = Retention(shelf, recorder, limits, alarms.__setitem__, sends=sends)
    try:
        yield Spool(path, recorder, retention, alarms, committed)
    finally:
        recorder.stop(10)
        assert recorder.failure is None
