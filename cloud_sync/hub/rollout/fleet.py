"""Which stations a release is for: those that its signature names, else those that inspect its product."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from cloud_sync.hub.store.tables import conditions, holdings, records, stations
from cloud_sync.hub.trust.kept import read_state
from cloud_sync.wire.outbox import Stream
from cloud_sync.wire.topics import checked_station
from models.trust.about import ReleaseAbout

_LOOKED_AT = 50  # a line that changes products shows each of them within so many parts, or is named by hand


@dataclass(frozen=True, slots=True)
class Candidate:
    """A station that may get a release: whether it is there, and how many parts it inspected since its epoch began."""

    station: str
    online: bool
    parts: int


def signed_about(place: str, release: str) -> ReleaseAbout | None:
    """What is signed of a release; None where nothing is. Raises StoreError, TrustError."""
    state = read_state(place)
    target = None if state is None else state.target(release)
    return None if target is None else ReleaseAbout.from_json(target.custom)


def candidates(connection: sa.Connection, product: str, named: Sequence[str]) -> list[Candidate]:
    """The stations that are named, known or not; with none named, those that inspect the product. Raises LinkError."""
    known = {row.station: row.state for row in connection.execute(sa.select(conditions.c.station, conditions.c.state))}
    heard = list(connection.scalars(sa.select(stations.c.station).order_by(stations.c.station)))
    names = list(dict.fromkeys(named)) or [name for name in heard if inspects(connection, name, product)]
    return [Candidate(checked_station(name), known.get(name) == "online", _parts(connection, name)) for name in names]


def inspects(connection: sa.Connection, station: str, product: str) -> bool:
    """Whether its newest inspections are of the product, among others."""
    return product in set(_products(connection, station))


def _products(connection: sa.Connection, station: str) -> list[str]:
    epoch = connection.scalar(sa.select(conditions.c.epoch).where(conditions.c.station == station))
    mine = [records.c.station == station, records.c.stream == Stream.INSPECTIONS]
    query = sa.select(records.c.payload).where(*mine, *([records.c.epoch == epoch] if epoch else []))
    newest = connection.scalars(query.order_by(records.c.seq.desc()).limit(_LOOKED_AT))
    return [str(json.loads(payload).get("product")) for payload in newest]


def _parts(connection: sa.Connection, station: str) -> int:
    mine = holdings.c.station == station, holdings.c.stream == Stream.INSPECTIONS
    return int(connection.scalar(sa.select(sa.func.coalesce(sa.func.sum(holdings.c.records), 0)).where(*mine)) or 0)
