"""Inspections by what is recorded of them, newest first: for who looks back, beside a daemon that writes.

- Pages go by the inspection's number: the next one asks for what lies below the last one seen.
- Time, part, verdict, outcome and what people said have an index. Class, camera and model stand in the record alone: of
  those a search reads one stretch of numbers after another, and stops once its time is up, saying where.
- What a record says is looked for in its canonical bytes, where a member and its value stand as one exact string.
"""

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from cloud_sync.wire.records import SEQ_LIMIT

WORK_S = 0.4
NEWEST = SEQ_LIMIT
_STRETCH = 10_000
_FEW = 2_000
_LAST = "\U0010ffff"
Outcome = Literal["", "told", "late", "unconfirmed", "open"]
Word = Literal["", "given", "wrong", "none"]


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for; what is empty does not matter.

    Args:
        since: triggered at this moment or later.
        until: triggered before this moment.
        part: the part id; with `*` at its end, how it begins.
        verdict: PASS, REJECT or UNDECIDED.
        label: a class that a model found.
        camera: a camera that had to see it.
        model: the id of a bundle that looked.
        version: of that bundle.
        product: the product.
        outcome: what became of the verdict at the line.
        word: whether a person said something of it.
    """

    since: datetime | None = None
    until: datetime | None = None
    part: str = ""
    verdict: str = ""
    label: str = ""
    camera: str = ""
    model: str = ""
    version: int | None = None
    product: str = ""
    outcome: Outcome = ""
    word: Word = ""


@dataclass(frozen=True, slots=True)
class Hits:
    """What a search found.

    Args:
        seqs: the numbers, newest first.
        looked_to_seq: nothing at this number or above is left unlooked at.
        at_end: there is nothing below.
    """

    seqs: tuple[int, ...]
    looked_to_seq: int
    at_end: bool


def search(
    connection: sqlite3.Connection,
    wanted: Search,
    before_seq: int,
    most: int,
    work_s: float = WORK_S,
    clock_s: Callable[[], float] = time.monotonic,
) -> Hits:
    """The newest inspections below a number that are as wanted: `most` at most. Raises sqlite3.Error.

    After `work_s` seconds it begins no further stretch.
    """
    until_s = clock_s() + work_s
    lowest, highest = _bounds(connection, wanted)
    top = min(before_seq, highest + 1)
    query, values = _query(connection, wanted)
    found: list[int] = []
    while top > lowest:
        bottom = max(lowest, top - _STRETCH)
        rows = connection.execute(query, {**values, "bottom": bottom, "top": top, "most": most - len(found)}).fetchall()
        found += [int(seq) for (seq,) in rows]
        if len(found) >= most:
            return Hits(tuple(found), found[-1], found[-1] <= lowest)
        top = bottom
        if clock_s() >= until_s:
            break
    return Hits(tuple(found), top, top <= lowest)


def _bounds(connection: sqlite3.Connection, wanted: Search) -> tuple[int, int]:
    """The lowest and the highest number there is, within the time that is wanted; low above high where there is none.

    The clock of a station may step, so numbers need not lie in the order of time: the index is asked for both ends.
    """
    low = connection.execute("SELECT min(seq) FROM inspections").fetchone()[0]
    high = connection.execute("SELECT max(seq) FROM inspections").fetchone()[0]
    if low is None:
        return 1, 0
    first = connection.execute("SELECT min(triggered_at) FROM inspections").fetchone()[0]
    last = connection.execute("SELECT max(triggered_at) FROM inspections").fetchone()[0]
    since = None if wanted.since is None or wanted.since.isoformat() <= first else wanted.since
    until = None if wanted.until is None or wanted.until.isoformat() > last else wanted.until
    terms, values = _time_terms(Search(since=since, until=until))
    if not terms:
        return int(low), int(high)
    query = f"SELECT min(seq), max(seq) FROM inspections INDEXED BY inspections_by_time WHERE {' AND '.join(terms)}"  # noqa: S608 - our own text
    found = connection.execute(query, values).fetchone()
    return (1, 0) if found[0] is None else (int(found[0]), int(found[1]))


def _query(connection: sqlite3.Connection, wanted: Search) -> tuple[str, dict[str, object]]:
    terms, values = _time_terms(wanted)
    for more, bound in _column_terms(connection, wanted), _word_terms(wanted):
        terms += more
        values |= bound
    texts = list(_texts(wanted))
    for number, text in enumerate(texts):
        terms.append(f"instr(told.payload, :text{number})")
        values[f"text{number}"] = text
    joined = " CROSS JOIN records AS told ON told.stream = 'inspections' AND told.seq = looked.seq" if texts else ""
    where = " AND ".join(["looked.seq >= :bottom", "looked.seq < :top", *terms])
    hint = " INDEXED BY inspections_by_part" if any(term.startswith("part_id") for term in terms) else ""
    query = f"SELECT looked.seq FROM inspections AS looked{hint}{joined} WHERE {where}"  # noqa: S608 - our own text
    return f"{query} ORDER BY looked.seq DESC LIMIT :most", values


def _time_terms(wanted: Search) -> tuple[list[str], dict[str, object]]:
    terms: list[str] = []
    values: dict[str, object] = {}
    for name, sign, at in (("since", ">=", wanted.since), ("until", "<", wanted.until)):
        if at is not None:
            terms.append(f"triggered_at {sign} :{name}")
            values[name] = at.isoformat()
    return terms, values


def _column_terms(connection: sqlite3.Connection, wanted: Search) -> tuple[list[str], dict[str, object]]:
    terms: list[str] = []
    if wanted.part:
        terms.append(_part_term(connection, wanted.part))
    if wanted.verdict:
        terms.append("verdict = :verdict")
        if wanted.verdict != "PASS":
            terms.append("verdict <> 'PASS'")  # so that the index of those is seen to hold them
    if wanted.outcome == "open":
        terms.append("outcome IS NULL")
    elif wanted.outcome:
        terms += ["outcome = :outcome", *(["outcome <> 'told'"] if wanted.outcome != "told" else [])]
    if wanted.product:
        terms.append("product = :product")
    begins = wanted.part.removesuffix("*")
    return terms, {
        "part": begins,
        "part_end": begins + _LAST,
        "verdict": wanted.verdict,
        "outcome": wanted.outcome,
        "product": wanted.product,
    }


def _part_term(connection: sqlite3.Connection, part: str) -> str:
    """By the index where few parts begin so; where many do, those are met on the way through the numbers."""
    if not part.endswith("*"):
        return "part_id = :part"
    begins = part.removesuffix("*")
    query = "SELECT count(*) FROM (SELECT 1 FROM inspections WHERE part_id >= ? AND part_id < ? LIMIT ?)"
    few = connection.execute(query, (begins, begins + _LAST, _FEW)).fetchone()[0] < _FEW
    column = "part_id" if few else "+part_id"
    return f"{column} >= :part AND {column} < :part_end"


def _word_terms(wanted: Search) -> tuple[list[str], dict[str, object]]:
    within = "SELECT inspection_seq FROM words WHERE inspection_seq >= :bottom AND inspection_seq < :top"
    match wanted.word:
        case "given":
            return [f"looked.seq IN ({within})"], {}
        case "wrong":
            return [f"looked.seq IN ({within} AND NOT is_right)"], {}
        case "none":
            return ["NOT EXISTS (SELECT 1 FROM words WHERE inspection_seq = looked.seq)"], {}
    return [], {}


def _texts(wanted: Search) -> Iterator[bytes]:
    if wanted.label:
        yield _text('"label":', wanted.label)
    if wanted.camera:
        yield _text('"camera":', wanted.camera)
    if wanted.model:
        yield _text('"model":{"id":', wanted.model)
    if wanted.version is not None:
        yield f'"version":{wanted.version}}}'.encode()


def _text(member: str, value: str) -> bytes:
    return (member + json.dumps(value, ensure_ascii=False)).encode()
