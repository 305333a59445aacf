"""Labelled samples for people to look through, the last that was said first; page by page, each bounded.

A page looks at no more than some thousands of labels: where few fit what is asked for it comes short, and says where
the next one goes on.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from cloud_sync.hub.labels.facts import is_newest
from cloud_sync.hub.labels.listing import SampleView, sample_views
from cloud_sync.hub.labels.second_looks import is_hidden
from cloud_sync.hub.labels.truths import names_of
from cloud_sync.hub.store.label_tables import labels, memberships, samples

_LOOKED_AT = 5000
ALL_LABELS = 2**62


@dataclass(frozen=True, slots=True)
class Sought:
    """Which labels; "" asks for nothing in particular. `name` is good, unsure or a class.

    `reader` is who looks: what is kept from them until the second look is found by no word that a label says.
    """

    product: str
    name: str = ""
    by: str = ""
    source: str = ""
    reader: str = ""


@dataclass(frozen=True, slots=True)
class LabelPage:
    """Samples, and before which label the next page begins; None: there is none."""

    samples: Sequence[SampleView]
    next_before: int | None


def browse(connection: sa.Connection, sought: Sought, before: int, limit: int) -> LabelPage:
    """Samples whose label that counts fits, the newest first. Raises SQLAlchemyError."""
    mine = labels.c.product == sought.product, labels.c.seq < before
    window = sa.select(labels).where(*mine).order_by(labels.c.seq.desc()).limit(_LOOKED_AT).subquery()
    counts_now = sa.select(samples.c.label).where(samples.c.id == window.c.sample).scalar_subquery()  # one look each
    query = sa.select(window.c.seq, window.c.sample).where(counts_now == window.c.seq, *_fits(window, sought))
    rows = connection.execute(query.order_by(window.c.seq.desc()).limit(limit)).all()
    if len(rows) == limit:
        next_before: int | None = rows[-1].seq
    else:
        counted = sa.select(sa.func.count(), sa.func.min(window.c.seq)).select_from(window)
        count, lowest = connection.execute(counted).one()
        next_before = lowest if count == _LOOKED_AT else None
    return LabelPage(sample_views(connection, [row.sample for row in rows]), next_before)


def disputed(connection: sa.Connection, product: str, after: str, limit: int) -> Sequence[SampleView]:
    """Samples of which people say different things, in the order of their ids. Raises SQLAlchemyError."""
    query = sa.select(samples.c.id).where(samples.c.product == product, samples.c.conflict, samples.c.id > after)
    return sample_views(connection, list(connection.scalars(query.order_by(samples.c.id).limit(limit))))


def counts(connection: sa.Connection, product: str) -> Mapping[str, Mapping[str, int]]:
    """Labelled samples by what they are said to be, then by role: learned, holdout, twin, and "" for not yet dealt.

    Looks at every label of the product. Raises SQLAlchemyError.
    """
    table, dealt = labels.c, memberships.c
    role = sa.func.coalesce(dealt.role, "")
    joined = labels.outerjoin(memberships, (dealt.product == table.product) & (dealt.sample == table.sample))
    query = sa.select(table.says, table.classes, role, sa.func.count()).select_from(joined)
    grouped = query.where(table.product == product, is_newest()).group_by(table.says, table.classes, role)
    found: dict[str, Counter[str]] = {}
    for says, classes, dealt_as, count in connection.execute(grouped):
        for name in names_of(says, classes):
            found.setdefault(name, Counter())[dealt_as] += count
    return dict(sorted(found.items()))


def _fits(window: sa.Subquery, sought: Sought) -> list[sa.ColumnElement[bool]]:
    asked: list[sa.ColumnElement[bool]] = []
    if sought.name in {"good", "unsure"}:
        asked.append(window.c.says == sought.name)
    elif sought.name:
        lines = sa.literal("\n") + window.c.classes + sa.literal("\n")
        asked.append(lines.contains(f"\n{sought.name}\n", autoescape=True))
    asked += [window.c.said_by == sought.by] if sought.by else []
    asked += [window.c.source == sought.source] if sought.source else []
    return [*asked, ~is_hidden(window.c.sample, sought.reader)] if asked else []
