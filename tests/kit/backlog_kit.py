"""A backlog as a station that ran for long without its cloud would hold: real records, outbox marks and hashes."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from cloud_sync.wire.records import content_hash
from edge.domain.inspection import FrameInfo, Inspection, Outcome, OutcomeOf, View
from edge.domain.part import Part, Verdict
from edge.record.database import open_database
from edge.record.inspections import insert_inspection, insert_outcome, next_seq
from models.detections import Detections
from models.spec import ModelId, Precision

MODEL = ModelId("cell", 3, "0123456789abcdef" * 4, Precision.INT8)
BEGAN = datetime(2026, 3, 1, 6, tzinfo=UTC)
PER_S = 30  # parts a second
_REAL = 1_000
_BLOT = Detections(
    np.array([[20.5, 30.25, 60.75, 70.0]], np.float32), np.array([0.83125], np.float32), np.zeros(1, np.int32)
)
_REASON = "anomaly: score 0.831 > 0.500, area 1590.5 px"


def fill(database: Path, station: str, parts: int, outcome: Outcome = Outcome.TOLD) -> None:
    """Make so many inspected parts that nobody sent yet, every twentieth a REJECT; all have the same outcome.

    The first thousand are written by the station's own functions. What is more is copied from them with numbers, part
    ids and content hashes of its own: a day's parts in minutes.
    """
    with closing(open_database(database)) as connection:
        connection.execute("PRAGMA synchronous = OFF")  # nothing here need survive
        connection.execute("PRAGMA cache_size = -200000")
        first = next_seq(connection)
        connection.execute("BEGIN IMMEDIATE")
        for seq in range(first, first + min(parts, _REAL)):
            inspection = backlog_inspection(seq)
            insert_inspection(connection, station, seq, inspection, keeps_image=False)
            told = OutcomeOf(seq, inspection.part.part_id, outcome, inspection.verdict, 12.5 + seq % 7)
            insert_outcome(connection, station, told)
        connection.execute("COMMIT")
        for shift in range(_REAL, parts, _REAL):
            _copy(connection, range(first, first + min(_REAL, parts - shift)), shift)


def _copy(connection: sqlite3.Connection, seqs: range, shift: int) -> None:
    which = (shift, seqs[0], seqs[-1])
    inspections = (
        "INSERT INTO inspections (seq, part_id, product, verdict, triggered_at, outcome, told_verdict, told_ms, epoch)"
        " SELECT seq + ?1, printf('cell-%08d', seq + ?1), product, verdict, triggered_at, outcome, told_verdict,"
        " told_ms, epoch FROM inspections WHERE seq BETWEEN ?2 AND ?3"
    )
    query = "SELECT stream, seq, payload, epoch FROM records WHERE stream IN ('inspections', 'outcomes')"
    query += " AND seq BETWEEN ? AND ?"
    made = connection.execute(query, which[1:]).fetchall()
    payloads = [_renumbered(payload, seq, seq + shift) for _stream, seq, payload, _epoch in made]
    records = [
        (stream, seq + shift, content_hash(payload), payload, epoch)
        for (stream, seq, _, epoch), payload in zip(made, payloads, strict=True)
    ]
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(inspections, which)
    connection.executemany("INSERT INTO records (stream, seq, sha256, payload, epoch) VALUES (?, ?, ?, ?, ?)", records)
    outbox = (
        "INSERT INTO outbox (stream, seq, epoch)"
        " SELECT stream, seq + ?1, epoch FROM records WHERE stream IN ('inspections', 'outcomes')"
        " AND seq BETWEEN ?2 AND ?3"
    )
    connection.execute(outbox, which)
    connection.execute("COMMIT")


def _renumbered(payload: bytes, old: int, new: int) -> bytes:
    for text in (b'"seq":%d,', b'"frame_seq":%d,', b'"cell-%08d"'):
        payload = payload.replace(text % old, text % new)
    return payload


def backlog_inspection(seq: int) -> Inspection:
    """One part as a camera at 30 a second sees it."""
    at = BEGAN + timedelta(seconds=seq / PER_S)
    frame = FrameInfo(seq, at + timedelta(milliseconds=9), "")
    is_bad = seq % 20 == 0
    view = View(
        camera_id="top",
        verdict=Verdict.REJECT if is_bad else Verdict.PASS,
        reasons=(_REASON,) if is_bad else (),
        frame=frame,
        detections=_BLOT if is_bad else Detections.none(),
        labels=("anomaly",),
        model=MODEL,
    )
    stages = {"captured": 9.4 + seq % 3, "inferred": 14.125 + seq % 5, "decided": 14.75 + seq % 5}
    return Inspection(
        Part(f"cell-{seq:08d}", "cell", at, 0.0), (view,), recipe_version="4f1c2a77d0b9", latency_ms=stages
    )
