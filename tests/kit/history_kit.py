"""A station's database with as many inspections as a test wants, made quickly."""

import json
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from edge.record.counts import add_to_count
from edge.record.database import open_database

EPOCH = "e" * 32
BEGIN = datetime(2026, 6, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Made:
    """One inspection, as a search could ask for it."""

    seq: int
    part_id: str
    product: str
    verdict: str
    at: datetime
    outcome: str | None
    label: str
    camera: str
    model: str
    version: int
    word: bool | None

    def payload(self) -> bytes:
        boxes = ([1.0, 2.0, 30.0, 40.0], 0.9), ([5.0, 6.0, 9.0, 9.0], 0.45)
        found = [{"box_xyxy": box, "label": self.label, "score": score} for box, score in boxes if self.label]
        model = {"id": self.model, "precision": "INT8", "sha256": "ab" * 32, "version": self.version}
        view = {
            "camera": self.camera,
            "captured_at": self.at.isoformat().replace("+00:00", "Z"),
            "detections": found,
            "detections_total": len(found),
            "frame_seq": self.seq,
            "model": model,
            "reasons": [],
            "score": 0.5,
            "source": "replay",
            "verdict": self.verdict,
        }
        content = {
            "code": None,
            "epoch": EPOCH,
            "image": "none",
            "latency_ms": {"decided": 12.5, "looked": 2.25},
            "master": None,
            "part_id": self.part_id,
            "product": self.product,
            "reasons": [],
            "recipe_version": "1",
            "replayed": True,
            "schema": "inspectd.inspection.v1",
            "seq": self.seq,
            "station": "test-1",
            "triggered_at": self.at.isoformat().replace("+00:00", "Z"),
            "verdict": self.verdict,
            "views": [view],
        }
        return _bytes(content)

    def feedback(self, number: int) -> bytes:
        content = {
            "at": self.at.isoformat().replace("+00:00", "Z"),
            "boxes": [],
            "by": "kim",
            "epoch": EPOCH,
            "inspection_epoch": EPOCH,
            "inspection_seq": self.seq,
            "is_right": self.word,
            "label": "",
            "note": "",
            "part_id": self.part_id,
            "schema": "inspectd.feedback.v1",
            "seq": number,
            "station": "test-1",
            "verdict": self.verdict,
        }
        return _bytes(content)


def some(count: int, seed: int = 1) -> Iterator[Made]:
    """Inspections by chance; the clock steps back once, as that of a station that starts without a network."""
    chance = random.Random(seed)
    for seq in range(1, count + 1):
        verdict = chance.choices(["PASS", "REJECT", "UNDECIDED"], [90, 9, 1])[0]
        back = timedelta(hours=2) if count // 3 < seq < count // 2 else timedelta()
        yield Made(
            seq=seq,
            part_id=f"p-{seq % (count - count // 10 or 1):06d}",
            product=chance.choice(["cell", "wafer"]),
            verdict=verdict,
            at=BEGIN + timedelta(seconds=seq) - back,
            outcome=chance.choices(["told", "late", "unconfirmed", None], [95, 2, 2, 1])[0],
            label="" if verdict == "PASS" else chance.choice(["scratch", 'a "dent"', "Kratzer ß"]),
            camera=chance.choice(["top", "side"]),
            model=chance.choice(["cell", "cells"]),
            version=1 + (seq > count // 2),
            word=chance.choices([None, True, False], [98, 1, 1])[0],
        )


def fill(path: Path, inspections: Iterator[Made]) -> list[Made]:
    """A database with these; says them."""
    made = list(inspections)
    with closing(open_database(path)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN")
        connection.execute("UPDATE epochs SET epoch = ?", (EPOCH,))
        connection.executemany(
            "INSERT INTO inspections VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1)",
            ((m.seq, m.part_id, m.product, m.verdict, m.at.isoformat(), m.outcome, m.verdict, 18.0) for m in made),
        )
        _insert(connection, (("inspections", m.seq, m.payload()) for m in made))
        said = [m for m in made if m.word is not None]
        _insert(connection, (("feedback", number, m.feedback(number)) for number, m in enumerate(said, 1)))
        add_to_count(connection, "seq:feedback", len(said))
        connection.execute("COMMIT")
    open_database(path).close()  # as every start does: it catches up with the words
    return made


def _insert(connection: sqlite3.Connection, records: Iterator[tuple[str, int, bytes]]) -> None:
    rows = ((stream, seq, "0" * 64, payload) for stream, seq, payload in records)
    connection.executemany("INSERT INTO records VALUES (?, ?, ?, ?, 1)", rows)


def _bytes(content: dict[str, object]) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
