"""Which samples a reviewer is given next, from a million as fast as from ten: every step is one look into an index.

Unlabelled samples of one product lie in heaps, one for each set of reasons (see `usefulness`). There are few heaps, so
each is asked in turn, the most useful first, for its newest samples.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from cloud_sync.hub.labels.claims import is_free
from cloud_sync.hub.labels.usefulness import BITS, HIGHEST
from cloud_sync.hub.store.distinct import values_of
from cloud_sync.hub.store.file_tables import files
from cloud_sync.hub.store.label_tables import samples

COUNTED_MOST = 10_000
_NAMES_MOST = 1000


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a reviewer chose to look at; "" asks for nothing in particular.

    Args:
        product: its id.
        reason: one of why a sample was kept.
        station: its id.
        proposed: the class that the model proposes.
    """

    product: str
    reason: str = ""
    station: str = ""
    proposed: str = ""


@dataclass(frozen=True, slots=True)
class Reviewer:
    """Who asks: their name, and the mark of the page that they have before them."""

    name: str
    page: str

    @property
    def holder(self) -> str:
        """What their claims are called."""
        return f"{self.name} {self.page}"[:128]


def next_ids(
    connection: sa.Connection, chosen: Chosen, reviewer: Reviewer, have: Collection[str], limit: int, now_ms: int
) -> list[str]:
    """Samples that nobody judged and nobody else has, the most useful first. Raises SQLAlchemyError."""
    found: list[str] = []
    free = is_free(samples.c.id, reviewer.holder, reviewer.name, now_ms)
    for heap in heaps(connection, chosen):
        query = sa.select(samples.c.id).where(*_open(chosen), samples.c.usefulness == heap, *free, _is_here())
        if have:
            query = query.where(samples.c.id.not_in(sorted(have)))
        query = query.order_by(samples.c.at_ms.desc(), samples.c.id.desc()).limit(limit - len(found))
        found += connection.scalars(query)
        if len(found) >= limit:
            break
    return found


def heaps(connection: sa.Connection, chosen: Chosen) -> Iterator[int]:
    """The numbers of the heaps that hold something chosen, the most useful first. Raises SQLAlchemyError."""
    below, bit = HIGHEST + 1, BITS.get(chosen.reason, 0)
    while True:
        under = sa.select(sa.func.max(samples.c.usefulness)).where(*_open(chosen), samples.c.usefulness < below)
        found = connection.scalar(under)
        if found is None:
            return
        if found & bit == bit:
            yield found
        below = found


def count_open(connection: sa.Connection, chosen: Chosen) -> int:
    """How many are left, counted up to `COUNTED_MOST` and one. Raises SQLAlchemyError."""
    total = 0
    for heap in heaps(connection, chosen):
        some = sa.select(sa.literal(1)).where(*_open(chosen), samples.c.usefulness == heap)
        some = some.order_by(samples.c.at_ms).limit(COUNTED_MOST + 1 - total)  # by the heap's index, not by the table
        total += connection.scalar(sa.select(sa.func.count()).select_from(some.subquery())) or 0
        if total > COUNTED_MOST:
            break
    return total


def products(connection: sa.Connection) -> list[str]:
    """Of which there are samples. Raises SQLAlchemyError."""
    return _distinct(connection, samples.c.product, [])


def stations(connection: sa.Connection, product: str) -> list[str]:
    """That sent samples of it which nobody judged. Raises SQLAlchemyError."""
    return [name for name in _distinct(connection, samples.c.station, _open(Chosen(product))) if name]


def classes_proposed(connection: sa.Connection, product: str) -> list[str]:
    """That models propose for what nobody judged. Raises SQLAlchemyError."""
    return [name for name in _distinct(connection, samples.c.proposed, _open(Chosen(product))) if name]


def _open(chosen: Chosen) -> list[sa.ColumnElement[bool]]:
    asked = [samples.c.product == chosen.product, samples.c.label.is_(None), samples.c.sha256.is_not(None)]
    asked += [samples.c.proposed == chosen.proposed] if chosen.proposed else []
    return asked + ([samples.c.station == chosen.station] if chosen.station else [])


def _is_here() -> sa.ColumnElement[bool]:
    """Its image came; an imported one was there from the first."""
    sent = files.c.station == samples.c.station, files.c.sha256 == samples.c.sha256, files.c.state == "complete"
    return (samples.c.station == "") | sa.exists().where(*sent)


def _distinct(
    connection: sa.Connection, column: sa.ColumnElement[str], conditions: list[sa.ColumnElement[bool]]
) -> list[str]:
    found = values_of(column, "name", conditions)
    return list(connection.scalars(sa.select(found.c.name).limit(_NAMES_MOST)))
