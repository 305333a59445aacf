"""A small share of the samples is judged twice, the second time by somebody who does not know the first word.

- Which samples are, their ids alone decide, so nobody can choose.
- Until the second word is given, nobody but the first reviewer is shown the first one: each of the others may be the
  second. `is_hidden` says so, and every page asks it.
- What agrees becomes no label more: it stands beside the first one in `second_looks`. What differs becomes a label
  that saw what the first one saw, so both stand and are a conflict for an engineer.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from cloud_sync.hub.labels.agreement import kappa, name_said
from cloud_sync.hub.labels.claims import is_free
from cloud_sync.hub.labels.review_queue import Chosen, Reviewer
from cloud_sync.hub.labels.samples import ID_DIGITS
from cloud_sync.hub.labels.truths import LabelTruth
from cloud_sync.hub.store.adding import add_absent
from cloud_sync.hub.store.label_tables import samples
from cloud_sync.hub.store.review_tables import second_looks

_PAIRS_MOST = 2000


@dataclass(frozen=True, slots=True)
class SecondLook:
    """One that is asked for, or was given: who judged first, and what label they had seen."""

    first_by: str
    first_seen: int
    second_by: str | None


@dataclass(frozen=True, slots=True)
class Agreement:
    """How one reviewer and the others agree: images that both judged, how many alike, kappa where it says anything."""

    judged: int
    alike: int
    kappa: float | None


def is_judged_twice(sample: str, share: float) -> bool:
    """Whether a sample's id is among those. Pure."""
    return bool(int(sample, 16) < share * 16**ID_DIGITS)


def ask_again(
    connection: sa.Connection, sample: str, product: str, first: tuple[str, int, LabelTruth], at_ms: int
) -> None:
    """Ask for a second look; of one that nobody gave yet, keep what the first reviewer says now.

    Raises SQLAlchemyError.
    """
    by, seen, truth = first
    row = {"sample": sample, "product": product, "first_by": by, "first_seen": seen}
    add_absent(connection, second_looks, row | {"first_name": name_said(truth), "asked_at_ms": at_ms})
    mine = second_looks.c.sample == sample, second_looks.c.first_by == by, second_looks.c.second_by.is_(None)
    connection.execute(sa.update(second_looks).where(*mine).values(first_name=name_said(truth)))


def second_look_of(connection: sa.Connection, sample: str, by: str) -> SecondLook | None:
    """The second look that this person gives, or gave, a sample. Raises SQLAlchemyError."""
    table = second_looks.c
    theirs = table.first_by != by, table.second_by.is_(None) | (table.second_by == by)
    columns = table.first_by, table.first_seen, table.second_by
    row = connection.execute(sa.select(*columns).where(table.sample == sample, *theirs)).first()
    return None if row is None else SecondLook(*row)


def is_hidden(sample: sa.ColumnElement[str], reader: str) -> sa.ColumnElement[bool]:
    """Whether labels of a sample are kept from a reader, who may still give the second look. Pure: for a query."""
    table = second_looks.c
    return sa.exists().where(table.sample == sample, table.second_by.is_(None), table.first_by != reader)


def hidden_from(connection: sa.Connection, among: Collection[str], reader: str) -> frozenset[str]:
    """Those of some samples whose labels are kept from a reader. Raises SQLAlchemyError."""
    table = second_looks.c
    waits = table.sample.in_(sorted(among)), table.second_by.is_(None), table.first_by != reader
    return frozenset(connection.scalars(sa.select(table.sample).where(*waits)))


def note_second(connection: sa.Connection, sample: str, by: str, truth: LabelTruth, at_ms: int) -> None:
    """Write what the second reviewer says. Raises SQLAlchemyError."""
    said = json.dumps(truth.columns(), ensure_ascii=False)
    values = {"second_by": by, "second_name": name_said(truth), "second_said": said, "second_at_ms": at_ms}
    connection.execute(sa.update(second_looks).where(second_looks.c.sample == sample).values(values))


def asked_for(
    connection: sa.Connection, chosen: Chosen, reviewer: Reviewer, have: Collection[str], limit: int, now_ms: int
) -> list[str]:
    """Samples that wait for somebody else's second look, the oldest first. Raises SQLAlchemyError."""
    table = second_looks.c
    waits = table.product == chosen.product, table.second_by.is_(None), table.first_by != reviewer.name
    free = is_free(table.sample, reviewer.holder, reviewer.name, now_ms)
    query = sa.select(table.sample).where(*waits, *free, table.sample.not_in(sorted(have)))
    if chosen.station:
        theirs = samples.c.id == table.sample, samples.c.station == chosen.station
        query = query.where(sa.exists().where(*theirs))
    return list(connection.scalars(query.order_by(table.asked_at_ms).limit(limit)))


def agreements(connection: sa.Connection, product: str) -> Mapping[str, Agreement]:
    """By reviewer, over the last second looks. Raises SQLAlchemyError."""
    table = second_looks.c
    columns = table.first_by, table.second_by, table.first_name, table.second_name
    query = sa.select(*columns).where(table.product == product, table.second_at_ms > 0)
    rows: list[Any] = list(connection.execute(query.order_by(table.second_at_ms.desc()).limit(_PAIRS_MOST)))
    pairs: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for row in rows:
        pairs[row.first_by].append((row.first_name, row.second_name))
        pairs[row.second_by].append((row.second_name, row.first_name))
    return {name: Agreement(len(own), sum(a == b for a, b in own), kappa(own)) for name, own in pairs.items()}
