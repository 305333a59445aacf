"""A sample's row: one image that was kept for training, under an id that its identity makes.

The same sample that is told of again, or for another reason, is the same row with one reason more.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from cloud_sync.hub.labels.usefulness import class_proposed, usefulness_of
from cloud_sync.hub.store.adding import add_absent
from cloud_sync.hub.store.entries import storable
from cloud_sync.hub.store.label_tables import sample_reasons, samples
from cloud_sync.wire.records import ProposalRecord, SampleRecord

ID_DIGITS = 32
IMPORTED = "imported"  # the reason of an image that no station sent
_PER_QUERY = 500

T = TypeVar("T")


def sample_id(station: str, epoch: str, seq: int, camera: str) -> str:
    """The id of one camera's view of an inspection."""
    return _id("inspection", station, epoch, str(seq), camera)


def imported_id(product: str, sha256: str) -> str:
    """The id of an imported image of a product."""
    return _id("import", product, sha256)


def put_sample(connection: sa.Connection, record: SampleRecord, seen_at_ms: int) -> str:
    """Write what a station says of a sample; its id. Raises SQLAlchemyError."""
    found = sample_id(record.station, record.inspection_epoch, record.inspection_seq, record.camera)
    row = {
        "id": found,
        "product": storable(record.product),
        "station": record.station,
        "epoch": record.inspection_epoch,
        "seq": record.inspection_seq,
        "camera": storable(record.camera),
        "part_id": storable(record.part_id),
        "belongs": "",
        "dropped": False,
        "champion": _proposal(record.champion),
        "challenger": _proposal(record.challenger),
        "at_ms": ms(record.at),
        "seen_at_ms": seen_at_ms,
        "conflict": False,
        "usefulness": usefulness_of(record.reasons),
        "proposed": storable(class_proposed(record.champion and record.champion.model_dump())),
    }
    _merge(connection, row)
    for reason in record.reasons:
        add_absent(connection, sample_reasons, {"sample": found, "reason": reason})
    return found


def some_of(items: Iterable[T]) -> Iterator[Sequence[T]]:
    """As many at once as one query takes."""
    left = iter(items)
    while some := list(islice(left, _PER_QUERY)):
        yield some


def ms(at: datetime) -> int:
    """Milliseconds since 1970; a time without a zone is UTC."""
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


def _merge(connection: sa.Connection, row: dict[str, object]) -> None:
    """A row that is there keeps what it has; a proposal that it lacks is added, and more reasons."""
    insert = (postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert)(samples)
    kept: dict[str, sa.ColumnElement[Any]] = {
        name: sa.func.coalesce(samples.c[name], insert.excluded[name]) for name in ("champion", "challenger")
    }
    kept["usefulness"] = samples.c.usefulness.bitwise_or(insert.excluded.usefulness)
    kept["proposed"] = sa.case((samples.c.proposed == "", insert.excluded.proposed), else_=samples.c.proposed)
    connection.execute(insert.on_conflict_do_update(index_elements=["id"], set_=kept), row)


def _proposal(record: ProposalRecord | None) -> str | None:
    return None if record is None else storable(record.model_dump_json())


def _id(*words: str) -> str:
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:ID_DIGITS]
