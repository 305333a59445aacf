"""Who has which sample before them: two reviewers are not given the same one.

A claim ends by itself, so that nobody has to give one back. It is no lock: what is said of a sample counts whoever has
it, and what two people say of it at once stands side by side.
"""

from collections.abc import Collection, Sequence

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from cloud_sync.hub.store.adding import add_absent
from cloud_sync.hub.store.review_tables import review_claims, review_skips

LEASE_MS = 120_000
_SKIPPED_MS = 24 * 3600 * 1000


def claim(connection: sa.Connection, ids: Sequence[str], holder: str, now_ms: int) -> set[str]:
    """Take those that nobody else has; which they are. Raises SQLAlchemyError."""
    if not ids:
        return set()
    insert = (postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert)(review_claims)
    rows = [{"sample": sample, "holder": holder, "until_ms": now_ms + LEASE_MS} for sample in sorted(ids)]
    free = (review_claims.c.until_ms < now_ms) | (review_claims.c.holder == holder)
    taken = {name: insert.excluded[name] for name in ("holder", "until_ms")}
    query = insert.values(rows).on_conflict_do_update(index_elements=["sample"], set_=taken, where=free)
    return set(connection.scalars(query.returning(review_claims.c.sample)))


def release(connection: sa.Connection, holder: str, ids: Collection[str] | None = None) -> None:
    """Give back some, or all, that the holder has. Raises SQLAlchemyError."""
    query = sa.delete(review_claims).where(review_claims.c.holder == holder)
    connection.execute(query if ids is None else query.where(review_claims.c.sample.in_(ids)))


def forget_old(connection: sa.Connection, now_ms: int) -> None:
    """Clear away what ended. Raises SQLAlchemyError."""
    connection.execute(sa.delete(review_claims).where(review_claims.c.until_ms < now_ms))
    connection.execute(sa.delete(review_skips).where(review_skips.c.at_ms < now_ms - _SKIPPED_MS))


def skip(connection: sa.Connection, sample: str, by: str, now_ms: int) -> None:
    """Give a sample to this person no more for a day. Raises SQLAlchemyError."""
    add_absent(connection, review_skips, {"said_by": by, "sample": sample, "at_ms": now_ms})


def is_free(sample: sa.ColumnElement[str], holder: str, by: str, now_ms: int) -> list[sa.ColumnElement[bool]]:
    """Conditions: nobody else has it, and this person did not skip it."""
    claims, skips = review_claims.c, review_skips.c
    held = claims.sample == sample, claims.holder != holder, claims.until_ms >= now_ms
    skipped = skips.sample == sample, skips.said_by == by
    return [~sa.exists().where(*held), ~sa.exists().where(*skipped)]
