"""Version 7: how far each release may go, and how far each station came."""

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add its tables."""
