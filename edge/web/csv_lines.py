"""Inspections as lines of a CSV file that a spreadsheet opens without running anything of it. Pure."""

import csv
from collections.abc import Iterable, Iterator
from io import StringIO

from edge.record.recorded import Brief

COLUMNS = (
    *("seq", "epoch", "triggered_at", "part_id", "product", "verdict", "reasons", "classes", "scores", "models"),
    *("outcome", "told_verdict", "told_ms", "recipe", "code", "master", "pictures"),
    *("feedback", "label", "note", "boxes", "by", "said_at"),
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_line(cells: Iterable[object]) -> str:
    """One line; text that a spreadsheet would take for a formula begins with an apostrophe."""
    text = StringIO()
    csv.writer(text).writerow([_plain(cell) for cell in cells])
    return text.getvalue()


def cells_of(brief: Brief) -> Iterator[object]:
    """What stands in the columns of an inspection."""
    record, word = brief.record, brief.last_word
    scores = [view.score for view in record.views if view.score is not None] if record else []
    yield from (brief.seq, brief.epoch, brief.triggered_at, brief.part_id, brief.product, brief.verdict)
    yield "; ".join(record.reasons) if record else ""
    yield "; ".join(brief.labels)
    yield "; ".join(f"{score:g}" for score in scores)
    yield "; ".join(brief.models)
    yield from (brief.outcome, brief.told_verdict, brief.told_ms)
    yield from (record.recipe_version, record.code, record.master) if record else ("", "", "")
    yield "; ".join(f"{picture.camera}={picture.sha256}" for picture in brief.pictures)
    if word is None:
        yield from ("", "", "", "", "", "")
    else:
        boxes = "; ".join(f"{box.camera} {box.label} {box.box_xyxy}" for box in word.boxes)
        yield from ("right" if word.is_right else "wrong", word.label, word.note, boxes, word.by, word.at.isoformat())


def _plain(cell: object) -> object:
    if isinstance(cell, str) and cell.startswith(_FORMULA):
        return f"'{cell}"
    return "" if cell is None else cell
