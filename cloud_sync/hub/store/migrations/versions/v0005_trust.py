"""Version 5: signed metadata that stations ask for."""

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add its tables."""
