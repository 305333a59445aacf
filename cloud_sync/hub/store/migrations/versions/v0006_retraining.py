"""Version 6: what triggered, what was trained, what was proven."""

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add its tables."""
