"""How parts were judged hour by hour: a day of 500 stations is 12,000 rows, of which all but the last are over."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import sqlalchemy as sa

from cloud_sync.hub.store.hour_tables import inspection_hours

PAST_KEPT_S = 60.0


class Tally(NamedTuple):
    """How many parts were judged how."""

    passed: int = 0
    rejected: int = 0
    undecided: int = 0

    @property
    def parts(self) -> int:
        """All of them."""
        return sum(self)

    @property
    def pass_share(self) -> float | None:
        """Of all parts; None where there was none."""
        return self.passed / self.parts if self.parts else None

    @property
    def undecided_share(self) -> float | None:
        """Likewise."""
        return self.undecided / self.parts if self.parts else None

    def plus(self, other: "Tally") -> "Tally":
        """Both together."""
        return Tally(self.passed + other.passed, self.rejected + other.rejected, self.undecided + other.undecided)


_NO_PART = Tally()


@dataclass(slots=True)
class JudgedHours:
    """One station: its parts by hour since 1970, and of each product which model judged last, and when."""

    by_hour: dict[int, Tally] = field(default_factory=dict)
    models: dict[str, tuple[int, str]] = field(default_factory=dict)

    def of(self, hours: range) -> Iterator[Tally]:
        """These hours, in order."""
        return (self.by_hour.get(hour, _NO_PART) for hour in hours)


class PastHours:
    """The hours of all stations that are over, read once a minute: what comes late into them is shown so much later.

    Args:
        clock_s: any clock that only goes on.
    """

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._lock = threading.Lock()
        self._kept: tuple[range, float, Mapping[str, JudgedHours]] = (range(0), float("-inf"), {})

    def of(self, connection: sa.Connection, hours: range) -> Mapping[str, JudgedHours]:
        """These hours by station. Raises SQLAlchemyError."""
        with self._lock:  # who looks at the same time waits for the first one's look
            kept, at_s, found = self._kept
            if kept != hours or self._clock_s() - at_s >= PAST_KEPT_S:
                found = judged_hours(connection, hours, None)
                self._kept = (hours, self._clock_s(), found)
            return found


def together(tallies: tuple[Tally, ...]) -> Tally:
    """The sum of some."""
    return Tally(*map(sum, zip(*tallies, strict=True))) if tallies else Tally()


def later(one: JudgedHours, other: JudgedHours) -> dict[str, tuple[int, str]]:
    """Of each product the model of both that judged last. Pure."""
    found = dict(one.models)
    for product, last in other.models.items():
        found[product] = max(found.get(product, last), last)
    return found


def judged_hours(connection: sa.Connection, hours: range, station: str | None) -> dict[str, JudgedHours]:
    """Of each station, or the one that is named, its hours and its models. Raises SQLAlchemyError."""
    table = inspection_hours.c
    counted = (table.station, table.hour, table.product, table.model, table.last_at_ms)
    query = sa.select(*counted, table.passed, table.rejected, table.undecided)
    if station is None:
        query = query.where(table.hour.between(hours.start, hours.stop - 1))
    else:  # the key begins with the hour: one look for each, not a walk through all stations' hours
        query = query.where(table.station == station, table.hour.in_(hours))
    found: dict[str, JudgedHours] = defaultdict(JudgedHours)
    for name, hour, product, model, last_at_ms, *counts in connection.execute(query).all():  # many: no attributes
        own = found[name]
        known = own.by_hour.get(hour)
        own.by_hour[hour] = Tally(*counts) if known is None else known.plus(Tally(*counts))
        if model and last_at_ms > own.models.get(product, (0, ""))[0]:
            own.models[product] = (last_at_ms, model)
    return dict(found)
