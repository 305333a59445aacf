"""Version 7: how far each release may go, and how far each station came."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add three tables, and to each offer what its station counted."""
    op.add_column("jobs", sa.Column("figures", sa.Text, nullable=False, server_default="{}"))
    op.add_column("jobs", sa.Column("said_at_ms", sa.BigInteger))
    op.add_column("jobs", sa.Column("heard_at_ms", sa.BigInteger))
    op.create_table(
        "rollouts",
        sa.Column("release", sa.String(128), primary_key=True),
        sa.Column("product", sa.String(64), nullable=False),
        sa.Column("attempt", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("stage", sa.BigInteger, nullable=False),
        sa.Column("stage_since_ms", sa.BigInteger, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("plan", sa.Text, nullable=False),
        sa.Column("made_at_ms", sa.BigInteger, nullable=False),
        sa.Column("changed_at_ms", sa.BigInteger, nullable=False),
        sa.Column("worker", sa.String(64)),
        sa.Column("lease_until_ms", sa.BigInteger),
    )
    op.create_table(
        "rollout_stations",
        sa.Column("release", sa.String(128), primary_key=True),
        sa.Column("station", sa.String(63), primary_key=True),
        sa.Column("place", sa.BigInteger, nullable=False),
        sa.Column("asked", sa.String(16), nullable=False),
        sa.Column("job", sa.String(64), nullable=False),
        sa.Column("asked_at_ms", sa.BigInteger),
        sa.Column("faults", sa.Text, nullable=False),
    )
    op.create_table(
        "rollout_decisions",
        sa.Column("release", sa.String(128), primary_key=True),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("attempt", sa.BigInteger, nullable=False),
        sa.Column("stage", sa.String(32), nullable=False),
        sa.Column("what", sa.String(16), nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("facts", sa.Text, nullable=False),
    )
