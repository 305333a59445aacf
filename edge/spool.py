"""`edge spool`: what waits for the cloud, waiting until nothing does, and a second try for what could not be sent.

- Beside a running daemon everything is read, or asked of it: it is the only writer of its data.
- Without one, this process takes the daemon's lock and its place for as long as it works.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from cloud_sync.station.uplink import Uplink
from cloud_sync.wire.outbox import Stream
from edge.config import StationConfig
from edge.domain.errors import ConfigError, StorageError
from edge.line.protocol import parse_address
from edge.line.reviving import retry_dead as ask_station
from edge.record.lock import owner_of, sole_owner
from edge.record.recorder import Recorder
from edge.record.spool import Spool, read_spool
from edge.status import read_status
from edge.sync import make_uplink
from models.progress import Progress

_LOOK_S = 0.2
_STOP_S = 5.0
_LOOKS = 3  # the kernel's list of locks may miss one while others come and go


@dataclass(frozen=True, slots=True)
class Drained:
    """What came of waiting.

    Args:
        records: how many still wait.
        uploads: how many images still wait.
        dead_letters: how many records can never be sent; they count as waiting for nothing.
        by: who sent them, the `daemon` or this `command`.
        took_s: how long it took.
    """

    records: int
    uploads: int
    dead_letters: int
    by: str
    took_s: float

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits any more."""
        return not self.records and not self.uploads


def spool_status(config: StationConfig) -> dict[str, object]:
    """All that waits, and how the way to the cloud stands, as JSON can hold it. Raises StorageError."""
    spool, now = read_spool(config.database_path), datetime.now(UTC)
    lanes = {
        stream.value: {
            "rows": lane.rows,
            "bytes": lane.bytes,
            "oldest_at": None if lane.oldest_at is None else lane.oldest_at.isoformat(),
            "oldest_age_s": None if lane.oldest_at is None else round((now - lane.oldest_at).total_seconds(), 1),
        }
        for stream, lane in spool.lanes.items()
    }
    dead = [
        {"stream": letter.stream, "seq": letter.seq, "reason": letter.reason, "at": letter.at}
        for letter in spool.dead_letters
    ]
    return {
        "epoch": spool.epoch,
        "next_seq": spool.next_seq,
        "rows": spool.rows,
        "waiting": lanes,
        "dead_letters": {"rows": dict(spool.dead), "newest": dead},
        "losses": dict(spool.losses),
        "uploads": {"waiting": spool.uploads, "refused": spool.uploads_refused},
        "disk": _disk(config, spool),
        "link": _link(config),
    }


def drain(config: StationConfig, progress: Progress, timeout_s: float) -> Drained:
    """Wait until the cloud has acknowledged everything, or the time is over.

    Args:
        config: the checked station.toml.
        progress: told how much is done.
        timeout_s: the longest wait, seconds; 0: as long as it takes.

    Raises:
        ConfigError: the station has no broker.
        StorageError: there is no database, another process took the station's data meanwhile, or the daemon ended.
    """
    if config.sync.broker is None:
        raise ConfigError("the station has no broker: set sync.broker, then drain")
    _check_exists(config)
    if owner_of(config.station.data_dir) is not None:
        return _await_empty(config, progress, timeout_s, "daemon", lambda: _check_daemon(config))
    with _sending(config) as uplink:
        return _await_empty(config, progress, timeout_s, "command", uplink.raise_if_failed)


def retry_dead(config: StationConfig, stream: Stream | None) -> int:
    """Put dead letters back into the outbox, of one stream or of all; says how many.

    Raises:
        StorageError: there is no database, or the disk refuses.
        OutputError: the running station does not answer.
    """
    _check_exists(config)
    if owner_of(config.station.data_dir) is not None:
        return ask_station(parse_address(config.line.port), stream)
    with _recorder(config) as recorder:
        return recorder.retry_dead(stream)


def _check_exists(config: StationConfig) -> None:
    if not config.database_path.exists():
        raise StorageError(f"there is nothing at {config.database_path}: has `edge run` ever run here?")


def _check_daemon(config: StationConfig) -> None:
    if not any(owner_of(config.station.data_dir) for _ in range(_LOOKS)):
        raise StorageError("the station that was sending has ended, and more waits: drain again to send it from here")


def _await_empty(
    config: StationConfig, progress: Progress, timeout_s: float, by: str, check_sender: Callable[[], None]
) -> Drained:
    started_s, pause = time.monotonic(), threading.Event()
    spool = read_spool(config.database_path)
    most = done = 0
    while True:
        left = spool.rows + spool.uploads
        if left > most - done or not most:
            most = done + left
            progress.stage("acknowledged", most)
            progress.advance(done)
        progress.advance(most - left - done)
        done = most - left
        took_s = time.monotonic() - started_s
        if not left or (timeout_s and took_s >= timeout_s):
            return Drained(spool.rows, spool.uploads, sum(spool.dead.values()), by, round(took_s, 3))
        check_sender()
        pause.wait(_LOOK_S)
        spool = read_spool(config.database_path)


@contextlib.contextmanager
def _sending(config: StationConfig) -> Iterator[Uplink]:
    """An uplink of our own, in the daemon's place."""
    with _recorder(config) as recorder:
        uplink = make_uplink(config, recorder)
        assert uplink is not None  # noqa: S101 - there is a broker
        uplink.start()
        try:
            yield uplink
        finally:
            uplink.stop(_STOP_S)


@contextlib.contextmanager
def _recorder(config: StationConfig) -> Iterator[Recorder]:
    with sole_owner(config.station.data_dir):
        recorder = Recorder(
            config.station.id,
            config.database_path,
            keeps_image=lambda _inspection: False,
            on_committed=lambda _committed, _frames: None,
            on_unrecorded=lambda _inspection: None,
            on_storage=lambda _works, _why: None,
        )
        recorder.start()
        try:
            yield recorder
        finally:
            recorder.stop(_STOP_S)


def _disk(config: StationConfig, spool: Spool) -> dict[str, object]:
    kept = config.retention
    return {
        "database_bytes": spool.database_bytes,
        "records_budget_bytes": kept.records_bytes,
        "images_budget_bytes": kept.quota_bytes,
        "free_bytes": spool.disk_free_bytes,
        "free_floor_bytes": kept.free_bytes,
    }


def _link(config: StationConfig) -> dict[str, object]:
    """How the daemon says that its link stands; not connected where no daemon runs."""
    link: dict[str, object] = {"broker": config.sync.broker, "daemon": False, "connected": False, "last_ack_at": None}
    try:
        status = read_status(config)
    except StorageError:
        return link
    sync = status.get("sync")
    if not isinstance(sync, dict):
        return link | {"daemon": status["running"]}
    running = bool(status["running"])
    return link | sync | {"daemon": running, "connected": running and bool(sync.get("connected"))}
