"""Version 8: how parts were judged, hour by hour, and when each step of a training began."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add two tables, empty: to count what came before would read every record."""
    op.create_table(
        "inspection_hours",
        sa.Column("hour", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("station", sa.String(63), primary_key=True),
        sa.Column("product", sa.String(128), primary_key=True),
        sa.Column("model", sa.String(160), primary_key=True),
        sa.Column("passed", sa.BigInteger, nullable=False),
        sa.Column("rejected", sa.BigInteger, nullable=False),
        sa.Column("undecided", sa.BigInteger, nullable=False),
        sa.Column("last_at_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "retraining_steps",
        sa.Column("run", sa.String(64), primary_key=True),
        sa.Column("step", sa.String(16), primary_key=True),
        sa.Column("began_at_ms", sa.BigInteger, nullable=False),
    )
