"""What the store knows that a trigger may ask: new labels, classes never trained, drift, how often people disagree.

Reads alone: the caller gives the connection and the time. Whoever wants the newest catches up first (`projecting`).
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from cloud_sync.hub.labels.truths import GOOD, UNSURE, names_of
from cloud_sync.hub.store.label_tables import drift_signs, feedback, label_counter, labels


@dataclass(frozen=True, slots=True)
class DriftAlarm:
    """A sign that stands at alarm now. Times are milliseconds since 1970."""

    station: str
    camera: str
    sign: str
    statistic: float
    threshold: float
    parts: int
    since_ms: int | None
    heard_at_ms: int


@dataclass(frozen=True, slots=True)
class OverruleFacts:
    """How often people said a verdict was wrong, of all that they looked at, since a time."""

    product: str
    looked_at: int
    wrong: int

    @property
    def rate(self) -> float | None:
        """None where nobody looked."""
        return self.wrong / self.looked_at if self.looked_at else None


def images_by_class(connection: sa.Connection, product: str, since_seq: int = 0) -> dict[str, int]:
    """Images by what their newest label says, `unsure` among them; looks at the labels since, and at no sample.

    Raises SQLAlchemyError.
    """
    query = (
        sa.select(labels.c.says, labels.c.classes, sa.func.count())
        .where(labels.c.product == product, labels.c.seq > since_seq, is_newest())
        .group_by(labels.c.says, labels.c.classes)
    )
    found: Counter[str] = Counter()
    for says, classes, count in connection.execute(query):
        found.update(dict.fromkeys(names_of(says, classes), count))
    return dict(sorted(found.items()))


def is_newest() -> sa.ColumnElement[bool]:
    """Condition on a label: nothing was said of its sample after it."""
    later = labels.alias("later")
    same = later.c.product == labels.c.product, later.c.sample == labels.c.sample
    return ~sa.exists().where(*same, later.c.seq > labels.c.seq)


def never_trained(total: Mapping[str, int], trained: Collection[str]) -> tuple[str, ...]:
    """Of classes that images are labelled with those that a model was not taught, in order. Pure."""
    return tuple(sorted(total.keys() - {GOOD, UNSURE} - set(trained)))


def drift_alarms(connection: sa.Connection, product: str) -> tuple[DriftAlarm, ...]:
    """What drifts now. Raises SQLAlchemyError."""
    table = drift_signs.c
    query = sa.select(*(table[name] for name in DriftAlarm.__slots__)).where(table.product == product, table.alarm)
    found = connection.execute(query.order_by(table.station, table.camera, table.sign))
    return tuple(DriftAlarm(*row) for row in found)


def overrule_facts(connection: sa.Connection, product: str, since_ms: int = 0) -> OverruleFacts:
    """What people said of verdicts since a time, by their own clocks, ms since 1970. Raises SQLAlchemyError."""
    table = feedback.c
    query = sa.select(table.is_right, sa.func.count()).where(table.product == product, table.said_at_ms >= since_ms)
    counts = {bool(right): count for right, count in connection.execute(query.group_by(table.is_right))}
    return OverruleFacts(product, sum(counts.values()), counts.get(False, 0))


def labels_seq(connection: sa.Connection) -> int:
    """The newest label's number, 0 where there is none. Raises SQLAlchemyError."""
    return connection.scalar(sa.select(label_counter.c.value)) or 0
