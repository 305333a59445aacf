"""A station that only carries files, as a process that can be killed: `python file_station.py HOST:PORT FOLDER`.

What lies in FOLDER/up goes up and is moved to FOLDER/done once the cloud has it; releases come into FOLDER/releases.
"""

import logging
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from file_kit import sha256_of
from outboxes import EPOCH, STATION, SqliteOutbox

from cloud_sync.station.connection import station_link
from cloud_sync.station.downlink import Downlink, DownPace
from cloud_sync.station.files import FilePace, FileSender
from cloud_sync.station.uplink import Uplink, UplinkSettings
from cloud_sync.wire.link import Address
from cloud_sync.wire.uploads import Upload


class FolderUploads:
    """Implements `Uploads` on a folder; the name is the hash, a refused file gets the ending `.refused`."""

    def __init__(self, folder: Path) -> None:
        self._up, self._done = folder / "up", folder / "done"
        self._up.mkdir(parents=True, exist_ok=True)
        self._done.mkdir(exist_ok=True)

    def add(self, content: bytes) -> str:
        sha256 = sha256_of(content)
        half = self._up / f"{sha256}.half"
        half.write_bytes(content)
        half.rename(self._up / sha256)
        return sha256

    def waiting(self, limit: int) -> Sequence[Upload]:
        paths = sorted(path for path in self._up.iterdir() if not path.suffix)
        return [Upload(path.name, path.stat().st_size, "image/png", EPOCH, 1, "top") for path in paths[:limit]]

    def content(self, upload: Upload) -> bytes | None:
        path = self._up / upload.sha256
        return path.read_bytes() if path.exists() else None

    def settle(self, upload: Upload) -> None:
        (self._up / upload.sha256).rename(self._done / upload.sha256)

    def refuse(self, upload: Upload, reason: str) -> None:
        (self._up / upload.sha256).rename(self._up / f"{upload.sha256}.refused")
        logging.getLogger(__name__).error("refused: %s", reason)


def file_uplink(
    address: Address, folder: Path, uploads: FolderUploads, outbox: SqliteOutbox, sender: FileSender | None = None
) -> Uplink:
    """An uplink that is quick to ask again."""
    return Uplink(
        station=STATION,
        outbox=outbox,
        link=station_link(STATION, address),
        settings=UplinkSettings(resend_after_s=0.5, resend_most_s=2.0, poll_s=0.05),
        passengers=[
            sender or FileSender(STATION, uploads, FilePace(0.5, 2.0, 0.05)),
            Downlink(STATION, folder / "releases", DownPace(0.5, 2.0)),
        ],
    )


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    folder = Path(sys.argv[2])
    with file_uplink(Address.parse(sys.argv[1]), folder, FolderUploads(folder), SqliteOutbox(folder / "outbox.db")):
        threading.Event().wait()
