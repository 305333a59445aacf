"""What the station says of itself to the cloud: who it is at each connection."""

from contextlib import closing
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from cloud_sync.wire.messages import StateMessage
from edge.record.database import epoch_of, open_reader
from edge.record.inspections import next_seq


def read_state(database: Path) -> StateMessage:
    """That the station is online, in which epoch, and which number its next inspection will have.

    Raises:
        StorageError, sqlite3.Error: the database cannot be read.
    """
    with closing(open_reader(database)) as reader:
        epoch, seq = epoch_of(reader), next_seq(reader)
    return StateMessage(state="online", epoch=epoch, next_seq=seq, version=installed_version(), at=datetime.now(UTC))


def installed_version() -> str:
    """The version of what runs here; "" where it was not installed."""
    try:
        return version("inspectd")[:64]
    except PackageNotFoundError:
        return ""
