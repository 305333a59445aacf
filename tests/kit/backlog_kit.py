"""A backlog as a station that ran for long without its cloud would hold: real records by the real insert functions."""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from edge.domain.inspection import FrameInfo, Inspection, Outcome, OutcomeOf, View
from edge.domain.part import Part, Verdict
from edge.record.database import open_database
from edge.record.inspections import insert_inspection, insert_outcome, next_seq
from models.detections import Detections
from models.spec import ModelId, Precision

MODEL = ModelId("cell", 3, "0123456789abcdef" * 4, Precision.INT8)
BEGAN = datetime(2026, 3, 1, 6, tzinfo=UTC)
PER_S = 30  # parts a second
_PER_COMMIT = 5_000
_BLOT = Detections(
    np.array([[20.5, 30.25, 60.75, 70.0]], np.float32), np.array([0.83125], np.float32), np.zeros(1, np.int32)
)
_REASON = "anomaly: score 0.831 > 0.500, area 1590.5 px"


def fill(database: Path, station: str, parts: int, outcome: Outcome = Outcome.TOLD) -> None:
    """Add so many inspected parts that nobody sent yet, every twentieth a REJECT; all have the same outcome."""
    with closing(open_database(database)) as connection:
        first = next_seq(connection)
        for start in range(first, first + parts, _PER_COMMIT):
            connection.execute("BEGIN IMMEDIATE")
            for seq in range(start, min(start + _PER_COMMIT, first + parts)):
                inspection = backlog_inspection(seq)
                insert_inspection(connection, station, seq, inspection, keeps_image=False)
                told = OutcomeOf(seq, inspection.part.part_id, outcome, inspection.verdict, 12.5 + seq % 7)
                insert_outcome(connection, station, told)
            connection.execute("COMMIT")


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
