"""What the station says of itself to the cloud: who it is at each connection, how it is about once a minute."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from cloud_sync.wire.messages import HealthMessage, StateMessage
from edge.config import StationConfig
from edge.domain.errors import StorageError
from edge.health import Health
from edge.record.database import epoch_of, open_reader
from edge.record.inspections import next_seq
from edge.record.spool import read_spool

_REASON_SHOWN = 300
_NAME_SHOWN = 128


def read_state(database: Path) -> StateMessage:
    """That the station is online, in which epoch, and which number its next inspection will have.

    Raises:
        StorageError: the database cannot be read.
    """
    try:
        with closing(open_reader(database)) as reader:
            epoch, seq = epoch_of(reader), next_seq(reader)
    except sqlite3.Error as error:
        raise StorageError(f"cannot read {database}: {error}") from error
    return StateMessage(state="online", epoch=epoch, next_seq=seq, version=installed_version(), at=datetime.now(UTC))


def make_health(config: StationConfig, health: Health) -> HealthMessage:
    """How the station is now. Raises StorageError."""
    spool, (ready, _) = read_spool(config.database_path), health.state()
    return HealthMessage(
        at=datetime.now(UTC),
        epoch=spool.epoch,
        ready=ready,
        faults=_shortened(health.faults()),
        alarms=_shortened(health.alarms()),
        outbox={stream.value: lane.rows for stream, lane in spool.lanes.items()},
        dead_letters=sum(spool.dead.values()),
        losses=sum(spool.losses.values()),
        uploads=spool.uploads,
        spool_bytes=spool.database_bytes,
        disk_free_bytes=spool.disk_free_bytes,
    )


def installed_version() -> str:
    """The version of what runs here; "" where it was not installed."""
    try:
        return version("inspectd")[:64]
    except PackageNotFoundError:
        return ""


def _shortened(said: dict[str, str]) -> dict[str, str]:
    return {name[:_NAME_SHOWN]: why[:_REASON_SHOWN] for name, why in said.items()}
