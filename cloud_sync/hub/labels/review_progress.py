"""How far the reviewers are: what is left, what was said today, how fast, how far they agree."""

from dataclasses import dataclass

import sqlalchemy as sa

from cloud_sync.hub.labels.review_queue import Chosen, count_open
from cloud_sync.hub.labels.second_looks import Agreement, agreements
from cloud_sync.hub.store.label_tables import labels, samples

_HOUR_MS = 3_600_000
_DISPUTES_MOST = 1000
_SPAN_LEAST_MS = 60_000  # a pace of the first seconds would say nothing


@dataclass(frozen=True, slots=True)
class Pace:
    """One reviewer: labels since midnight, labels an hour over the last hour in which they worked, agreement."""

    name: str
    today: int
    an_hour: int
    agreement: Agreement | None


@dataclass(frozen=True, slots=True)
class Progress:
    """Of one choice; `left` is counted up to a limit and one, `disputed` up to a thousand."""

    left: int
    disputed: int
    reviewers: tuple[Pace, ...]


def progress(connection: sa.Connection, chosen: Chosen, midnight_ms: int, now_ms: int) -> Progress:
    """What a page shows beside the picture. Raises SQLAlchemyError."""
    today = _counted(connection, chosen.product, midnight_ms)
    last_hour = _counted(connection, chosen.product, now_ms - _HOUR_MS)
    alike = agreements(connection, chosen.product)
    reviewers = []
    for name in sorted(today.keys() | last_hour.keys() | alike.keys()):
        count, first_ms = last_hour.get(name, (0, now_ms))
        pace = pace_of(count, now_ms - first_ms)
        reviewers.append(Pace(name, today.get(name, (0, 0))[0], pace, alike.get(name)))
    return Progress(count_open(connection, chosen), _disputed(connection, chosen.product), tuple(reviewers))


def pace_of(labels_said: int, span_ms: int) -> int:
    """Labels an hour, of so many within so long. Pure."""
    return round(labels_said * _HOUR_MS / max(span_ms, _SPAN_LEAST_MS))


def _counted(connection: sa.Connection, product: str, since_ms: int) -> dict[str, tuple[int, int]]:
    """Labels by reviewer since a time, and when the first was said."""
    table = labels.c
    query = sa.select(table.said_by, sa.func.count(), sa.func.min(table.written_at_ms))
    mine = table.product == product, table.source == "review", table.written_at_ms >= since_ms
    return {
        name: (count, first_ms)
        for name, count, first_ms in connection.execute(query.where(*mine).group_by(table.said_by))
    }


def _disputed(connection: sa.Connection, product: str) -> int:
    some = sa.select(sa.literal(1)).where(samples.c.product == product, samples.c.conflict).limit(_DISPUTES_MOST)
    return connection.scalar(sa.select(sa.func.count()).select_from(some.subquery())) or 0
