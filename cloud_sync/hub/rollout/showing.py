"""Rollouts for people: read in one look at the store."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import sqlalchemy as sa

from cloud_sync.hub.plain import without_password
from cloud_sync.hub.rollout.book import (
    Rollout,
    Told,
    read_decisions,
    read_rollout,
    read_rollouts,
    read_standings,
    watched,
)
from cloud_sync.hub.rollout.stages import Standing
from cloud_sync.hub.store.engine import open_engine
from cloud_sync.hub.store.errors import StoreError

Shown = tuple[Rollout, tuple[Standing, ...], list[Told]]


def all_rollouts(place: str) -> list[Rollout]:
    """All of them, the newest first. Raises StoreError."""
    with _reading(place) as connection:
        return read_rollouts(connection)


def one_rollout(place: str, release: str, now_ms: int) -> Shown | None:
    """One of them with its stations and its decisions; None where there is none. Raises StoreError."""
    with _reading(place) as connection:
        rollout = read_rollout(connection, release)
        if rollout is None:
            return None
        return rollout, read_standings(connection, rollout, now_ms), read_decisions(connection, release)


@dataclass(frozen=True, slots=True)
class InUse:
    """The newest rollout of each product: those that are done, with their stations, and those that were stopped."""

    done: tuple[tuple[Rollout, tuple[Standing, ...]], ...]
    stopped: tuple[Rollout, ...]


def in_use(place: str, now_ms: int) -> InUse:
    """What the fleet was given last. Raises StoreError."""
    with _reading(place) as connection:
        known = read_rollouts(connection)
        newest = {one.product: one for one in reversed(known) if one.state != "waiting"}
        done = tuple((one, read_standings(connection, one, now_ms)) for one in watched(known))
        return InUse(done, tuple(one for one in newest.values() if one.state == "stopped"))


@contextmanager
def _reading(place: str) -> Iterator[sa.Connection]:
    engine = open_engine(place, create=False)
    try:
        with engine.connect() as connection:
            yield connection
    except sa.exc.SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        raise StoreError(f"cannot read {without_password(place)}: {cause}") from error
    finally:
        engine.dispose()
