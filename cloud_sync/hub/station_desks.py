"""The desks for what a station says of itself: whether it is online, and how it is."""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from cloud_sync.hub.commands import new_epoch
from cloud_sync.hub.desk import Publish, Reply
from cloud_sync.hub.doubles import Doubles
from cloud_sync.hub.metrics import CollectorMetrics
from cloud_sync.hub.store.entries import storable
from cloud_sync.hub.store.tables import conditions, holdings
from cloud_sync.wire.messages import HealthMessage, StateMessage
from cloud_sync.wire.outbox import Stream

_SAY = sa.text(
    "INSERT INTO conditions (station, state, since_ms, epoch, next_seq, version, said_at, resets)"
    " VALUES (:station, :state, :at_ms, :epoch, :next_seq, :version, :said_at, 0)"
    " ON CONFLICT (station) DO UPDATE SET"
    " since_ms = CASE WHEN conditions.state = excluded.state THEN conditions.since_ms ELSE excluded.since_ms END,"
    " state = excluded.state, epoch = coalesce(excluded.epoch, conditions.epoch),"
    " next_seq = coalesce(excluded.next_seq, conditions.next_seq),"
    " version = coalesce(excluded.version, conditions.version),"
    " said_at = coalesce(excluded.said_at, conditions.said_at)"
)
_FEEL = sa.text(
    "INSERT INTO conditions (station, health, health_at_ms, resets) VALUES (:station, :health, :at_ms, 0)"
    " ON CONFLICT (station) DO UPDATE SET health = excluded.health, health_at_ms = excluded.health_at_ms"
)


@dataclass(frozen=True, slots=True)
class Said:
    """What a station said of its count when it came online; `at` is its own clock, ISO 8601."""

    epoch: str | None
    next_seq: int | None
    at: str | None


class StateDesk:
    """Keeps the last state of each station; one whose database was restored is told to begin a new epoch.

    Each collector hears every station's state, and hears it again, retained, whenever it connects.

    Args:
        metrics: told how many are online.
    """

    def __init__(self, metrics: CollectorMetrics | None = None) -> None:
        self._online: set[str] = set()
        self._doubles = Doubles()
        if metrics is not None:
            metrics.ask("stations_doubled", "Stations that two machines sent as lately.", self._doubles.lately)
            metrics.ask("stations_online", "Stations that say they are online.", lambda: len(self._online))

    def takes(self, subject: str) -> bool:
        """See `Desk`."""
        return subject == "state"

    def take(
        self,
        connection: sa.Connection,
        station: str,
        subject: str,  # noqa: ARG002 - there is one
        payload: bytes,
        at_ms: int,
    ) -> Sequence[Reply]:
        """See `Desk`."""
        message = StateMessage.unpack(payload)
        (self._online.add if message.state == "online" else self._online.discard)(station)
        if message.epoch is not None:
            self._doubles.heard(station, message.epoch, at_ms)
        now = Said(message.epoch, message.next_seq, message.at.isoformat() if message.at else None)
        highest_seq = _highest(connection, station, message.epoch)  # before what was said last: see `is_restored`
        last = _last(connection, station)
        connection.execute(
            _SAY,
            {
                "station": station,
                "state": message.state,
                "at_ms": at_ms,
                "epoch": now.epoch,
                "next_seq": now.next_seq,
                "version": storable(message.version) or None,
                "said_at": now.at,
            },
        )
        if message.epoch is None or not is_restored(now, last, highest_seq):
            return []
        return [new_epoch(connection, station, message.epoch)]

    def work(self, publish: Publish) -> None:
        """See `Desk`."""


class HealthDesk:
    """Keeps the last word of each station on how it is, and the last kit that it named: a new start names none yet."""

    def takes(self, subject: str) -> bool:
        """See `Desk`."""
        return subject == "health"

    def take(
        self,
        connection: sa.Connection,
        station: str,
        subject: str,  # noqa: ARG002 - there is one
        payload: bytes,
        at_ms: int,
    ) -> Sequence[Reply]:
        """See `Desk`."""
        message = HealthMessage.unpack(payload)
        if message.kit is None:
            message = message.model_copy(update={"kit": kit_of(connection, station)})
        connection.execute(_FEEL, {"station": station, "health": message.pack().decode(), "at_ms": at_ms})
        return []

    def work(self, publish: Publish) -> None:
        """See `Desk`."""


def kit_of(connection: sa.Connection, station: str) -> str | None:
    """The manifest of the last kit of a station that is whole in the cloud; None where there was none yet."""
    said = last_health(connection, station)
    return None if said is None else said.kit


def last_health(connection: sa.Connection, station: str) -> HealthMessage | None:
    """The last word of a station on how it is; None where it never said."""
    health = connection.scalar(sa.select(conditions.c.health).where(conditions.c.station == station))
    return HealthMessage.unpack(health.encode()) if health else None


def is_restored(now: Said, last: Said, highest_seq: int) -> bool:
    """Whether the store holds numbers that the station is about to give out a second time.

    A station says its state before it sends what it recorded after, so whoever holds such records has heard that state:
    then it is `last`, and said again it proves nothing.
    """
    return now.next_seq is not None and now != last and now.next_seq <= highest_seq


def _highest(connection: sa.Connection, station: str, epoch: str | None) -> int:
    table = holdings.c
    query = sa.select(table.highest_seq).where(
        table.station == station, table.epoch == epoch, table.stream == Stream.INSPECTIONS
    )
    return connection.scalar(query) or 0


def _last(connection: sa.Connection, station: str) -> Said:
    table = conditions.c
    query = sa.select(table.epoch, table.next_seq, table.said_at).where(table.station == station)
    found = connection.execute(query).one_or_none()
    return Said(*found) if found else Said(None, None, None)
