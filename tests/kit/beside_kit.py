"""Verdicts beside files on a thin line: one verdict after the other, each timed until the cloud has acknowledged it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from brokers import eventually
from clouds import CloudProcess
from file_station import FolderUploads, file_uplink
from mqtt_proxy import mqtt_proxy
from outboxes import STATION, SqliteOutbox, inspection

from cloud_sync.station.files import FilePace, FileSender
from cloud_sync.station.uplink import Uplink
from cloud_sync.wire.broker import LocalBroker, free_port

MBIT_BYTES_PER_S = 125_000


@dataclass
class ThinLine:
    """A station in this process whose way to the broker carries 1 Mbit/s, and a collector."""

    uplink: Uplink
    outbox: SqliteOutbox
    uploads: FolderUploads
    sender: FileSender
    folder: Path
    sent: int = 0

    @property
    def pieces(self) -> int:
        """How many pieces of files were sent."""
        return self.sender.counts.pieces

    def verdict_s(self) -> float:
        """Record one verdict; how long until it was acknowledged, seconds."""
        self.sent += 1
        began_s = time.monotonic()
        self.outbox.add([inspection(self.sent)])
        self.uplink.notify()
        eventually(lambda: self.outbox.count() == 0, 60)
        return time.monotonic() - began_s

    def verdicts_while(self, goes_on: Callable[[], bool]) -> list[float]:
        """One verdict after the other, for as long as something goes on."""
        took_s = []
        while goes_on():
            took_s.append(self.verdict_s())
        return took_s

    def has_up(self, sha256: str) -> bool:
        """Whether the cloud has the file."""
        return (self.folder / "done" / sha256).exists()


@contextmanager
def thin_line(folder: Path, make: Callable[[FolderUploads], FileSender] | None = None) -> Iterator[ThinLine]:
    make = make or (lambda uploads: FileSender(STATION, uploads, FilePace(30.0, 60.0, 0.05)))
    uploads, outbox = FolderUploads(folder), SqliteOutbox(folder / "outbox.db")
    with LocalBroker("mosquitto", folder / "broker", free_port()) as broker, mqtt_proxy(broker.address) as way:
        way.up.bytes_per_s = way.down.bytes_per_s = MBIT_BYTES_PER_S
        cloud = CloudProcess(broker.address, folder / "cloud.db")
        cloud.start()
        try:
            sender = make(uploads)
            with file_uplink(way.address, folder, uploads, outbox, sender) as uplink:
                yield ThinLine(uplink, outbox, uploads, sender, folder)
        finally:
            cloud.stop()
            outbox.close()
