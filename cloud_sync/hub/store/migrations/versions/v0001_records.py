"""Version 1: records, quarantine, dead letters, stations."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables of version 1."""
    _identified("records", _facts(), ("station", "epoch", "stream", "seq"))
    _identified("quarantine", [], ("station", "epoch", "stream", "seq", "sha256"))
    op.create_table(
        "dead_letters",
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("station", sa.String(63)),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.Column("received_at_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "stations",
        sa.Column("station", sa.String(63), primary_key=True),
        sa.Column("first_seen_at_ms", sa.BigInteger, nullable=False),
        sa.Column("last_seen_at_ms", sa.BigInteger, nullable=False),
        sa.Column("duplicates", sa.BigInteger, nullable=False),
    )


def _facts() -> list[sa.Column[str]]:
    return [
        sa.Column("part_id", sa.Text, nullable=False),
        sa.Column("verdict", sa.String(16)),
        sa.Column("outcome", sa.String(16)),
    ]


def _identified(name: str, facts: list[sa.Column[str]], key: tuple[str, ...]) -> None:
    op.create_table(
        name,
        sa.Column("station", sa.String(63), nullable=False),
        sa.Column("epoch", sa.String(32), nullable=False),
        sa.Column("stream", sa.String(32), nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False, autoincrement=False),
        *facts,
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.Column("received_at_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint(*key),
    )
