"""Version 4: samples as the trainer sees them, labels, drift."""

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add its tables."""
