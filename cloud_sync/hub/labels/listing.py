"""Samples with what is said of them, page by page: a hundred thousand take no more memory than a few hundred."""

import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from cloud_sync.hub.labels.truths import LabelTruth, truth_of
from cloud_sync.hub.store.file_tables import files
from cloud_sync.hub.store.label_tables import feedback, labels, sample_reasons, samples

_PAGE = 500
_FAR_PX = 1e6
ImageState = Literal["ready", "waiting", "dropped"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which samples; None, or False, asks for nothing in particular.

    Args:
        product: its id.
        station: its id.
        reason: one of why a sample was kept.
        unlabelled: nobody said anything of it yet.
        conflicts: people say different things of it.
    """

    product: str | None = None
    station: str | None = None
    reason: str | None = None
    unlabelled: bool = False
    conflicts: bool = False


@dataclass(frozen=True, slots=True)
class Word:
    """What an operator said of the verdict: proof of nothing, unless it became a label."""

    verdict: str
    is_right: bool
    label: str
    by: str


@dataclass(frozen=True, slots=True)
class SampleView:
    """One sample. `label` is the number of the label that counts, 0 where nobody said anything.

    Args:
        image: ready: its file is here; waiting: it may still come; dropped: its station kept none.
        proposals: what models made of it, by `champion` and `challenger`, as their records say; without boxes that lie
            on no picture.
        words: what operators said of the inspection.
    """

    id: str
    product: str
    station: str
    epoch: str
    seq: int
    camera: str
    part_id: str
    belongs: str
    sha256: str | None
    size_bytes: int | None
    image: ImageState
    reasons: tuple[str, ...]
    at_ms: int
    label: int
    truth: LabelTruth | None
    source: str
    by: str
    conflict: bool
    proposals: dict[str, Any]
    words: tuple[Word, ...]


def list_samples(connection: sa.Connection, wanted: Wanted) -> Iterator[SampleView]:
    """In the order of their ids. Raises SQLAlchemyError."""
    return walk_samples(lambda: nullcontext(connection), wanted)


def walk_samples(reading: Callable[[], AbstractContextManager[sa.Connection]], wanted: Wanted) -> Iterator[SampleView]:
    """In the order of their ids, a page by a connection of its own: whoever takes long between two holds none.

    Raises SQLAlchemyError.
    """
    after = ""
    while page := _views_after(reading, wanted, after):
        yield from page
        after = page[-1].id


def sample_views(connection: sa.Connection, ids: Sequence[str]) -> list[SampleView]:
    """These samples, in this order, without those that are none. Raises SQLAlchemyError."""
    rows = connection.execute(_told().where(samples.c.id.in_(ids))).all()
    reasons, words = _reasons(connection, [row.id for row in rows]), _words(connection, rows)
    views = [_view(row, reasons[row.id], words[row.station, row.epoch, row.seq]) for row in rows]
    return sorted(views, key=lambda view: ids.index(view.id))


def _views_after(
    reading: Callable[[], AbstractContextManager[sa.Connection]], wanted: Wanted, after: str
) -> list[SampleView]:
    with reading() as connection:
        rows = connection.execute(_page(wanted, after)).all()
        reasons, words = _reasons(connection, [row.id for row in rows]), _words(connection, rows)
    return [_view(row, reasons[row.id], words[row.station, row.epoch, row.seq]) for row in rows]


def _page(wanted: Wanted, after: str) -> sa.Select[Any]:
    query = _told().where(samples.c.id > after, *_conditions(wanted))
    return query.order_by(samples.c.id).limit(_PAGE)


def _told() -> sa.Select[Any]:
    """Samples, what counts of what was said of them, and whether their file is here."""
    whole = (
        (files.c.station == samples.c.station) & (files.c.sha256 == samples.c.sha256) & (files.c.state == "complete")
    )
    told = samples.outerjoin(labels, labels.c.seq == samples.c.label).outerjoin(files, whole)
    said = (labels.c.says, labels.c.classes, labels.c.boxes, labels.c.source, labels.c.said_by)
    sent = (files.c.state.label("file_state"), files.c.size_bytes.label("file_bytes"))
    return sa.select(samples, *said, *sent).select_from(told)


def _conditions(wanted: Wanted) -> list[sa.ColumnElement[bool]]:
    table, asked = samples.c, []
    if wanted.product is not None:
        asked.append(table.product == wanted.product)
    if wanted.station is not None:
        asked.append(table.station == wanted.station)
    if wanted.reason is not None:
        why = sample_reasons.c.sample == table.id, sample_reasons.c.reason == wanted.reason
        asked.append(sa.exists().where(*why))
    if wanted.unlabelled:
        asked.append(table.label.is_(None))
    if wanted.conflicts:
        asked.append(table.conflict)
    return asked


def _reasons(connection: sa.Connection, ids: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    query = sa.select(sample_reasons).where(sample_reasons.c.sample.in_(ids)).order_by(*sample_reasons.primary_key)
    for sample, reason in connection.execute(query):
        found[sample].append(reason)
    return found


def _words(connection: sa.Connection, rows: Sequence[sa.Row[Any]]) -> dict[tuple[str, str, int], list[Word]]:
    """What operators said of these inspections."""
    found: dict[tuple[str, str, int], list[Word]] = defaultdict(list)
    table = feedback.c
    by_epoch: dict[tuple[str, str], list[int]] = defaultdict(list)
    for row in rows:
        if row.station:
            by_epoch[row.station, row.epoch].append(row.seq)
    for (station, epoch), seqs in by_epoch.items():
        own = table.station == station, table.inspection_epoch == epoch, table.inspection_seq.in_(seqs)
        for row in connection.execute(sa.select(feedback).where(*own).order_by(table.said_at_ms, table.seq)):
            word = Word(row.verdict, bool(row.is_right), row.label, row.said_by)
            found[station, epoch, row.inspection_seq].append(word)
    return found


def _view(row: sa.Row[Any], reasons: Sequence[str], words: Sequence[Word]) -> SampleView:
    said = {name: _proposal(getattr(row, name)) for name in ("champion", "challenger") if getattr(row, name)}
    same = {name: getattr(row, name) for name in ("id", "product", "station", "epoch", "seq", "camera", "part_id")}
    return SampleView(
        **same,
        belongs=row.belongs,
        sha256=row.sha256,
        size_bytes=row.file_bytes if row.station else row.size_bytes,  # what came, not what was said of it
        image=_image_state(row),
        reasons=tuple(reasons),
        at_ms=row.at_ms,
        label=row.label or 0,
        truth=truth_of(row.says, row.classes, row.boxes) if row.says else None,
        source=row.source or "",
        by=row.said_by or "",
        conflict=bool(row.conflict),
        proposals=said,
        words=tuple(words),
    )


def _proposal(said: str) -> dict[str, Any]:
    """What a model made of it. A station may say anything: boxes that no page and no file can say are left out."""
    proposal: dict[str, Any] = json.loads(said)
    found = proposal.get("detections", [])
    return proposal | {"detections": [each for each in found if _is_somewhere(each["box_xyxy"])]}


def _is_somewhere(corners_px: Sequence[float | None]) -> bool:
    return all(at is not None and math.isfinite(at) and abs(at) <= _FAR_PX for at in corners_px)


def _image_state(row: sa.Row[Any]) -> ImageState:
    if row.dropped:
        return "dropped"
    return "ready" if row.sha256 and (row.file_state or not row.station) else "waiting"
