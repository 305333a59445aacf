"""Version 5: signed metadata that stations ask for."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add its table."""
    op.create_table(
        "trust_files",
        sa.Column("role", sa.String(16), primary_key=True),
        sa.Column("version", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.Column("made_at_ms", sa.BigInteger, nullable=False),
    )
