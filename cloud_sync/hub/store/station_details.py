"""What the store knows of one station beside its line in the overview; each question is answered by an index."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from cloud_sync.hub.store.file_tables import jobs
from cloud_sync.hub.store.label_tables import drift_signs, sample_reasons, samples
from cloud_sync.hub.store.tables import conditions, holdings, records
from cloud_sync.wire.outbox import Stream


@dataclass(frozen=True, slots=True)
class Inspected:
    """One inspection in short: what was decided of the part, why, and by which models."""

    seq: int
    part_id: str
    product: str
    triggered_at: str
    verdict: str
    reasons: tuple[str, ...]
    models: tuple[str, ...]
    is_master: bool


@dataclass(frozen=True, slots=True)
class Kept:
    """A sample in short."""

    id: str
    product: str
    camera: str
    part_id: str
    reasons: tuple[str, ...]
    at_ms: int
    is_labelled: bool
    has_image: bool


@dataclass(frozen=True, slots=True)
class Sign:
    """One sign of drift as the station said it last."""

    product: str
    camera: str
    sign: str
    alarm: bool
    statistic: float
    threshold: float
    parts: int
    since_ms: int | None
    heard_at_ms: int


@dataclass(frozen=True, slots=True)
class Offered:
    """One release that it was offered."""

    name: str
    state: str
    why: str
    offered_at_ms: int
    changed_at_ms: int


@dataclass(frozen=True, slots=True)
class Held:
    """What the store holds of one epoch and stream."""

    epoch: str
    stream: str
    records: int
    highest_seq: int
    lost: int


@dataclass(frozen=True, slots=True)
class StationDetails:
    """All of it."""

    epoch: str | None
    resets: int
    inspections: Sequence[Inspected]
    samples: Sequence[Kept]
    signs: Sequence[Sign]
    offers: Sequence[Offered]
    held: Sequence[Held]


def station_details(connection: sa.Connection, station: str, most: int) -> StationDetails:
    """The newest of a station's inspections, samples and offers, `most` of each. Raises SQLAlchemyError."""
    word = connection.execute(sa.select(conditions).where(conditions.c.station == station)).one_or_none()
    epoch = word.epoch if word else None
    return StationDetails(
        epoch=epoch,
        resets=word.resets if word else 0,
        inspections=_inspections(connection, station, epoch, most),
        samples=_samples(connection, station, epoch, most),
        signs=_signs(connection, station),
        offers=_offers(connection, station, most),
        held=_held(connection, station),
    )


def _inspections(connection: sa.Connection, station: str, epoch: str | None, most: int) -> list[Inspected]:
    table = records.c
    mine = table.station == station, table.epoch == (epoch or ""), table.stream == Stream.INSPECTIONS.value
    query = sa.select(table.seq, table.payload).where(*mine).order_by(table.seq.desc()).limit(most)
    return [_inspected(row.seq, json.loads(row.payload)) for row in connection.execute(query)]


def _inspected(seq: int, content: dict[str, object]) -> Inspected:
    """Out of a record as it was checked when it came."""
    views = content.get("views")
    found = [view.get("model") for view in views if isinstance(view, dict)] if isinstance(views, list) else []
    models = {f"{model['id']}-v{model['version']} {model['precision']}": None for model in found if model}
    reasons = content.get("reasons")
    return Inspected(
        seq,
        str(content.get("part_id", "")),
        str(content.get("product", "")),
        str(content.get("triggered_at", "")),
        str(content.get("verdict", "")),
        tuple(map(str, reasons)) if isinstance(reasons, list) else (),
        tuple(models),
        bool(content.get("master")),
    )


def _samples(connection: sa.Connection, station: str, epoch: str | None, most: int) -> list[Kept]:
    table = samples.c
    columns = (table.id, table.product, table.camera, table.part_id, table.at_ms, table.label, table.sha256)
    query = sa.select(*columns).where(table.station == station, table.epoch == (epoch or ""))
    rows = connection.execute(query.order_by(table.seq.desc()).limit(most)).all()
    why: dict[str, list[str]] = {}
    reasons = sample_reasons.c
    asked = sa.select(reasons.sample, reasons.reason).where(reasons.sample.in_([row.id for row in rows]))
    for sample, reason in connection.execute(asked.order_by(reasons.reason)):
        why.setdefault(sample, []).append(reason)
    return [
        Kept(
            row.id,
            row.product,
            row.camera,
            row.part_id,
            tuple(why.get(row.id, ())),
            row.at_ms,
            row.label is not None,
            bool(row.sha256),
        )
        for row in rows
    ]


def _signs(connection: sa.Connection, station: str) -> list[Sign]:
    columns = [drift_signs.c[name] for name in Sign.__slots__]
    query = sa.select(*columns).where(drift_signs.c.station == station)
    return [Sign(*row) for row in connection.execute(query.order_by(*drift_signs.primary_key))]


def _offers(connection: sa.Connection, station: str, most: int) -> list[Offered]:
    columns = [jobs.c[name] for name in Offered.__slots__]
    query = sa.select(*columns).where(jobs.c.station == station).order_by(jobs.c.offered_at_ms.desc())
    return [Offered(*row) for row in connection.execute(query.limit(most))]


def _held(connection: sa.Connection, station: str) -> list[Held]:
    columns = [holdings.c[name] for name in Held.__slots__]
    query = sa.select(*columns).where(holdings.c.station == station)
    return [Held(*row) for row in connection.execute(query.order_by(*holdings.primary_key).limit(200))]
