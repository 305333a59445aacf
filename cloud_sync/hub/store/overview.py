"""All stations at one look, or one of them; made of counts and last words alone, so that no record is read for it."""

from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

import sqlalchemy as sa

from cloud_sync.hub.store.distinct import values_of
from cloud_sync.hub.store.hour_tables import HOUR_MS, inspection_hours
from cloud_sync.hub.store.hours import JudgedHours, PastHours, Tally, judged_hours, later, together
from cloud_sync.hub.store.label_tables import drift_signs
from cloud_sync.hub.store.tables import conditions, dead_letter_hours, holdings, quarantine, stations
from cloud_sync.wire.messages import HealthMessage

DAY_H = 24
LETTERS_H = 7 * DAY_H  # what came wrong before that was seen, or never will be
HELD_COUNTED = 100
_KEPT_WORDS = 8192
RECENT_H = 2  # the one under way, and the one before it, into which records still come
_NO_HOURS = JudgedHours()
Query = TypeVar("Query", bound=sa.Select[Any])


class InUse(NamedTuple):
    """Which model judged a product last."""

    product: str
    model: str


@dataclass(frozen=True, slots=True)
class StationLine:
    """One station. Times are milliseconds since 1970 by the collector's clock.

    Args:
        station: its id.
        state: online, offline; None if it never said.
        since_ms: since when.
        last_seen_at_ms: when its last message came.
        version: of its program; "" if it never said.
        health: its last word on how it is; None if it never said.
        health_at_ms: when that came.
        lost: records that it gave up unsent.
        quarantined: records that came under an identity already taken, counted up to `HELD_COUNTED` and one.
        dead_letters: messages of the last `LETTERS_H` hours that were not our protocol, kept or not.
        drift: what drifts there now, each as product, camera and sign.
        hours: how parts were judged in each of the last hours, the oldest first; the last one is under way.
        in_use: of the last hours, which model judged each product last.
    """

    station: str
    state: str | None
    since_ms: int | None
    last_seen_at_ms: int
    version: str
    health: HealthMessage | None
    health_at_ms: int | None
    lost: int
    quarantined: int
    dead_letters: int
    drift: tuple[str, ...]
    hours: tuple[Tally, ...]
    in_use: tuple[InUse, ...]

    @property
    def waiting(self) -> int | None:
        """How many records wait at the station, as it said last; None if it never said."""
        return None if self.health is None else sum(self.health.outbox.values())

    def last(self, hours: int) -> Tally:
        """The last hours together, the one under way among them."""
        return together(self.hours[-hours:])


def overview(
    connection: sa.Connection,
    now_ms: int,
    *,
    station: str | None = None,
    hours: int = DAY_H,
    past: PastHours | None = None,
) -> list[StationLine]:
    """Each station that was heard of, by name, or the one that is named. Raises SQLAlchemyError.

    Args:
        connection: to the store.
        now_ms: the time.
        station: only this one.
        hours: how many, the one under way among them.
        past: keeps the hours of all stations that are over for the next who looks.
    """
    shown = range(now_ms // HOUR_MS - hours + 1, now_ms // HOUR_MS + 1)
    before, recent = shown[:-RECENT_H], shown[-RECENT_H:]
    over = past.of(connection, before) if past and station is None else judged_hours(connection, before, station)
    judged = judged_hours(connection, recent, station)
    said = {row.station: row for row in connection.execute(_of(sa.select(conditions), conditions, station))}
    lost, quarantined = _lost(connection, station), _held(connection, station)
    letters = _letters(connection, now_ms // HOUR_MS - LETTERS_H, station)
    drifts = _drifts(connection, station)
    lines = []
    for row in connection.execute(_of(sa.select(stations), stations, station).order_by(stations.c.station)):
        name, word = row.station, said.get(row.station)
        own, older = judged.get(name, _NO_HOURS), over.get(name, _NO_HOURS)
        lines.append(
            StationLine(
                station=name,
                state=word.state if word else None,
                since_ms=word.since_ms if word else None,
                last_seen_at_ms=row.last_seen_at_ms,
                version=(word.version or "") if word else "",
                health=_health(word.health) if word and word.health else None,
                health_at_ms=word.health_at_ms if word else None,
                lost=lost.get(name, 0),
                quarantined=quarantined.get(name, 0),
                dead_letters=letters.get(name, 0),
                drift=tuple(drifts[name]),
                hours=(*older.of(before), *own.of(recent)),
                in_use=tuple(InUse(product, last[1]) for product, last in sorted(later(older, own).items())),
            )
        )
    return lines


class ModelUse(NamedTuple):
    """How much a model judged lately."""

    product: str
    model: str
    stations: int
    parts: int
    last_at_ms: int


def models_in_use(connection: sa.Connection, now_ms: int, hours: int = DAY_H) -> list[ModelUse]:
    """Which models judged in the last hours, by product, the one that judged last first. Raises SQLAlchemyError."""
    table = inspection_hours.c
    stations_count = sa.func.count(table.station.distinct())
    parts = sa.func.sum(table.passed + table.rejected + table.undecided)
    query = (
        sa.select(table.product, table.model, stations_count, parts, sa.func.max(table.last_at_ms))
        .where(table.hour > now_ms // HOUR_MS - hours, table.model != "")
        .group_by(table.product, table.model)
    )
    found = [ModelUse(row[0], row[1], int(row[2]), int(row[3]), int(row[4])) for row in connection.execute(query)]
    return sorted(found, key=lambda one: (one.product, -one.last_at_ms))


def _held(connection: sa.Connection, station: str | None) -> dict[str, int]:
    """What was held back, of the stations of which anything was: counted to a limit, for it may be very much."""
    if station is not None:
        return {station: connection.scalar(sa.select(_held_of(sa.literal(station)).scalar_subquery())) or 0}
    names = values_of(quarantine.c.station, "station")
    counted = _held_of(names.c.station).scalar_subquery()
    return {row[0]: int(row[1]) for row in connection.execute(sa.select(names.c.station, counted))}


def _held_of(station: sa.ColumnElement[str]) -> sa.Select[Any]:
    table = quarantine.c
    order = table.epoch, table.stream, table.seq, table.sha256  # as the index has it, so that it is gone by
    some = sa.select(sa.literal(1)).select_from(quarantine).where(table.station == station).correlate_except(quarantine)
    return sa.select(sa.func.count()).select_from(some.order_by(*order).limit(HELD_COUNTED + 1).subquery())


def _letters(connection: sa.Connection, after_hour: int, station: str | None) -> dict[str, int]:
    """Summed here: where the database sums by station it goes by station, through all that ever was."""
    table = dead_letter_hours.c
    query = _of(sa.select(table.station, table.kept + table.dropped), dead_letter_hours, station)
    found: dict[str, int] = defaultdict(int)
    for name, count in connection.execute(query.where(table.hour > after_hour)):
        found[name] += count
    return found


@lru_cache(_KEPT_WORDS)
def _health(said: str) -> HealthMessage:
    """A station says how it is once a minute, and every viewer of all of them would have each word checked anew."""
    return HealthMessage.unpack(said.encode())


def _drifts(connection: sa.Connection, station: str | None) -> dict[str, list[str]]:
    table = drift_signs.c
    query = _of(sa.select(table.station, table.product, table.camera, table.sign), drift_signs, station)
    found: dict[str, list[str]] = defaultdict(list)
    for name, *sign in connection.execute(query.where(table.alarm).order_by(*drift_signs.primary_key)):
        found[name].append(" ".join(word for word in sign if word))
    return found


def _lost(connection: sa.Connection, station: str | None) -> dict[str, int]:
    table = holdings.c
    query = _of(sa.select(table.station, sa.func.sum(table.lost)), holdings, station).group_by(table.station)
    return {row[0]: int(row[1]) for row in connection.execute(query)}


def _of(query: Query, table: sa.Table, station: str | None) -> Query:
    return query if station is None else query.where(table.c.station == station)
