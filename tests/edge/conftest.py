import pytest

from edge.logs import configure_logs


@pytest.fixture(autouse=True)
def _logs() -> None:
    """As the daemon logs: a line that cannot be written does no harm."""
    configure_logs(as_json=True)
