"""Version 9: the review queue."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_ORDER = ("imported", "audit", "novel", "candidate", "uncertain", "disagreement", "overruled")  # bit by bit, upwards
_OPEN = "label IS NULL AND sha256 IS NOT NULL"
_AT_ONCE = 1000
_samples = sa.table("samples", sa.column("id"), sa.column("champion"), sa.column("usefulness"), sa.column("proposed"))


def upgrade() -> None:
    """Add three tables; to each sample what it is worth and which class is proposed; and the ways to the next one."""
    op.add_column("samples", sa.Column("usefulness", sa.Integer, nullable=False, server_default="0"))
    op.add_column("samples", sa.Column("proposed", sa.String(128), nullable=False, server_default=""))
    _add_tables()
    _weigh()
    _propose()
    _add_indexes()


def _add_tables() -> None:
    op.create_table(
        "review_claims",
        sa.Column("sample", sa.String(32), primary_key=True),
        sa.Column("holder", sa.String(128), nullable=False),
        sa.Column("until_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "review_skips",
        sa.Column("said_by", sa.String(128), primary_key=True),
        sa.Column("sample", sa.String(32), primary_key=True),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "second_looks",
        sa.Column("sample", sa.String(32), primary_key=True),
        sa.Column("product", sa.String(128), nullable=False),
        sa.Column("first_by", sa.String(128), nullable=False),
        sa.Column("first_seen", sa.BigInteger, nullable=False),
        sa.Column("first_name", sa.String(128), nullable=False),
        sa.Column("asked_at_ms", sa.BigInteger, nullable=False),
        sa.Column("second_by", sa.String(128)),
        sa.Column("second_name", sa.String(128)),
        sa.Column("second_said", sa.Text),
        sa.Column("second_at_ms", sa.BigInteger),
    )
    op.create_index("second_looks_asked", "second_looks", ["product", "second_by", "asked_at_ms"])
    op.create_index("second_looks_given", "second_looks", ["product", "second_at_ms"])


def _weigh() -> None:
    words = " ".join(f"WHEN '{reason}' THEN {1 << place}" for place, reason in enumerate(_ORDER))
    op.execute(
        "UPDATE samples SET usefulness = COALESCE("  # noqa: S608 - our own words
        f"(SELECT SUM(CASE reason {words} ELSE 0 END) FROM sample_reasons WHERE sample = samples.id), 0)"
    )


def _propose() -> None:
    connection = op.get_bind()
    own = sa.update(_samples).where(_samples.c.id == sa.bindparam("own"))
    for rows in _pages(connection):
        said = [{"own": row.id, "proposed": name} for row in rows if (name := _class(row.champion))]
        if said:
            connection.execute(own.values(proposed=sa.bindparam("proposed")), said)


def _pages(connection: sa.Connection) -> Iterator[Sequence[sa.Row[Any, Any]]]:
    after = ""
    query = sa.select(_samples.c.id, _samples.c.champion).order_by(_samples.c.id).limit(_AT_ONCE)
    while rows := connection.execute(query.where(_samples.c.id > after, _samples.c.champion.is_not(None))).all():
        yield rows
        after = rows[-1].id


def _class(champion: str) -> str:
    best = max(json.loads(champion)["detections"], key=lambda each: each["score"], default=None)
    # A station may call a class anything; PostgreSQL's text has no NUL, and the whole step would fail on one.
    return "" if best is None else str(best["label"])[:128].replace("\0", "\ufffd")


def _add_indexes() -> None:
    unsaid = sa.text(_OPEN)
    for name, columns in (
        ("samples_to_review", ["product", "usefulness", "at_ms", "id"]),
        ("samples_to_review_by_station", ["product", "station", "usefulness", "at_ms", "id"]),
        ("samples_to_review_by_class", ["product", "proposed", "usefulness", "at_ms", "id", "station"]),
    ):
        op.create_index(name, "samples", columns, sqlite_where=unsaid, postgresql_where=unsaid)
    of_sqlite, of_postgresql = sa.text("conflict = 1"), sa.text("conflict")
    pair = ["product", "id"]
    op.create_index("samples_in_conflict", "samples", pair, sqlite_where=of_sqlite, postgresql_where=of_postgresql)
    op.create_index("labels_by_day", "labels", ["product", "source", "written_at_ms", "said_by"])
