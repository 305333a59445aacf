"""Version 2: what each station said of itself, what is held of each epoch, how many dead letters came by the hour."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_COUNT_WHAT_IS_THERE = """
INSERT INTO holdings (station, epoch, stream, records, highest_seq, lost)
SELECT station, epoch, stream, count(*), max(seq), 0 FROM records GROUP BY station, epoch, stream
"""


def upgrade() -> None:
    """Add three tables, and count what the store holds already."""
    op.create_table(
        "holdings",
        sa.Column("station", sa.String(63), primary_key=True),
        sa.Column("epoch", sa.String(32), primary_key=True),
        sa.Column("stream", sa.String(32), primary_key=True),
        sa.Column("records", sa.BigInteger, nullable=False),
        sa.Column("highest_seq", sa.BigInteger, nullable=False),
        sa.Column("lost", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "conditions",
        sa.Column("station", sa.String(63), primary_key=True),
        sa.Column("state", sa.String(16)),
        sa.Column("since_ms", sa.BigInteger),
        sa.Column("epoch", sa.String(32)),
        sa.Column("next_seq", sa.BigInteger),
        sa.Column("version", sa.String(64)),
        sa.Column("said_at", sa.String(40)),
        sa.Column("health", sa.Text),
        sa.Column("health_at_ms", sa.BigInteger),
        sa.Column("resets", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "dead_letter_hours",
        sa.Column("station", sa.String(63), primary_key=True),
        sa.Column("hour", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("kept", sa.BigInteger, nullable=False),
        sa.Column("kept_bytes", sa.BigInteger, nullable=False),
        sa.Column("dropped", sa.BigInteger, nullable=False),
    )
    op.execute(_COUNT_WHAT_IS_THERE)
