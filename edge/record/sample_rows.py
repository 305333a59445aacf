"""Which views are samples, and why: a row for each reason, so that none is told twice. For inside a transaction."""

import sqlite3
from collections.abc import Mapping, Sequence

from edge.domain.sample import SampleReason
from edge.record.upload_choice import UploadValue

_KEPT_MINUTES = 24 * 60


def known_reasons(connection: sqlite3.Connection, seq: int, camera: str) -> set[SampleReason]:
    """Why an inspection's view is a sample already; empty where it is none."""
    rows = connection.execute("SELECT reason FROM samples WHERE seq = ? AND camera = ?", (seq, camera))
    return {SampleReason(reason) for (reason,) in rows}


def sample_value(connection: sqlite3.Connection, seq: int, camera: str) -> UploadValue | None:
    """What the image of a sample is worth up there; None where the view is none."""
    known = known_reasons(connection, seq, camera)
    if not known:
        return None
    return UploadValue.OVERRULED if SampleReason.OVERRULED in known else UploadValue.SAMPLE


def note_reasons(
    connection: sqlite3.Connection,
    seq: int,
    camera: str,
    reasons: Sequence[SampleReason],
    minute: int,
    charged: SampleReason | None,
) -> None:
    """Write why a view is a sample from now on, and to which of these reasons' budget it went."""
    rows = [(seq, camera, reason.value, minute, reason is charged) for reason in reasons]
    connection.executemany("INSERT INTO samples VALUES (?, ?, ?, ?, ?)", rows)


def charged_since(connection: sqlite3.Connection, minute: int) -> Mapping[tuple[int, SampleReason], int]:
    """How many samples were charged to which reason in each minute from this one on."""
    query = "SELECT minute, reason, count(*) FROM samples WHERE charged AND minute >= ? GROUP BY minute, reason"
    return {(at, SampleReason(reason)): number for at, reason, number in connection.execute(query, (minute,))}


def forget_rows(connection: sqlite3.Connection, minute: int) -> None:
    """Forget the rows of inspections that were let go of, once no budget looks back on them."""
    query = "DELETE FROM samples WHERE seq < (SELECT min(seq) FROM inspections) AND minute < ?"
    connection.execute(query, (minute - _KEPT_MINUTES,))
