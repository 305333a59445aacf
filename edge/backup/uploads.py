"""What of the station itself goes up: its kit, so that the cloud alone can make another machine this station.

- A bundle that was calibrated here exists nowhere else: its files go before images, each once, by its content.
- The manifest goes last, and is named to the cloud only once that has it and every file in it.
- What changed is looked for now and then; a kit that cannot go up whole leaves the last one named.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Protocol

import structlog

from cloud_sync.wire.kit import KitFile
from cloud_sync.wire.uploads import Upload, Uploads
from edge.backup.contents import Contents, Known, gather, hashed
from edge.config import StationConfig
from edge.domain.errors import ConfigError, StorageError
from edge.record.database import epoch_of, open_reader
from edge.record.inspections import next_seq

log = structlog.get_logger()
_LOOK_S = 30.0
_AGAIN_S = 300.0
_MEDIA_TYPE = "application/octet-stream"


class ImageUploads(Uploads, Protocol):
    """The images' own list, which can be let go of."""

    def close(self) -> None:
        """Let go of the database."""
        ...


class StationUploads:
    """Implements `cloud_sync.wire.uploads.Uploads`: the kit, then the images; for the uplink's thread alone.

    Args:
        config: of the station.
        images: what else goes up.
        clock: seconds that only rise.
    """

    def __init__(
        self, config: StationConfig, images: ImageUploads, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.held: str | None = None  # the manifest of the last kit that the cloud has whole
        self.why = ""  # why the cloud cannot be given the kit as it is now
        self.on_held: Callable[[], None] = lambda: None
        self._config = config
        self._images = images
        self._clock = clock
        self._next_look_s = float("-inf")
        self._known: Known = {}
        self._manifest = b""
        self._waiting: dict[str, Upload] = {}
        self._sources: dict[str, Path | bytes] = {}

    def waiting(self, limit: int) -> Sequence[Upload]:
        """The kit's files, at last its manifest; then the images. Raises StorageError."""
        if self._config.sync.spare_kit and self._clock() >= self._next_look_s:
            self._next_look_s = self._clock() + _LOOK_S
            self._look()
        mine = list(self._waiting.values())
        before_manifest = mine[:-1] or mine
        return [*before_manifest[:limit], *self._images.waiting(limit)]

    def content(self, upload: Upload) -> bytes | None:
        """Its bytes as they are now. Raises StorageError."""
        if upload.sha256 not in self._sources or upload.belongs_to == "inspection":
            return self._images.content(upload)
        source = self._sources[upload.sha256]
        try:
            return source if isinstance(source, bytes) else source.read_bytes()
        except FileNotFoundError:
            self._abandon("it is gone", upload)
            return None
        except OSError as error:
            raise StorageError(f"cannot read a file of the station's kit: {error}") from error

    def settle(self, upload: Upload) -> None:
        """The cloud has it. Raises StorageError."""
        if upload.belongs_to == "inspection":
            self._images.settle(upload)
            return
        if self._waiting.pop(upload.sha256, None) is not None and not self._waiting:
            self.held, self.why = upload.sha256, ""
            log.info("the cloud can make another machine this station", kit=self.held)
            self.on_held()

    def refuse(self, upload: Upload, reason: str) -> None:
        """It will never go up as it is. Raises StorageError."""
        if upload.belongs_to == "inspection":
            self._images.refuse(upload, reason)
        else:
            self._abandon(reason, upload)

    def close(self) -> None:
        """Let go of the database."""
        self._images.close()

    def _look(self) -> None:
        try:
            contents = gather(self._config, secrets=False, for_cloud=True, known=self._known)
            manifest = contents.manifest(self._config.station.id).pack()
            if manifest != self._manifest:
                self._list(contents, manifest)
        except (StorageError, ConfigError) as error:
            self._give_up(str(error))

    def _list(self, contents: Contents, manifest: bytes) -> None:
        with closing(open_reader(self._config.database_path)) as reader:
            epoch, seq = epoch_of(reader), next_seq(reader)
        files = {file.sha256: file for file in contents.files.values() if file.size_bytes}
        sources = {contents.files[name].sha256: source for name, source in contents.sources.items()}
        own = hashed(manifest)
        files[own.sha256], sources[own.sha256] = own, manifest
        self._waiting = {sha256: _upload(file, epoch, seq) for sha256, file in files.items()}
        self._sources, self._manifest = sources, manifest

    def _abandon(self, why: str, upload: Upload) -> None:
        """This kit cannot go up whole: no further file of it."""
        self._waiting.clear()
        self._give_up(f"file {upload.sha256}: {why}")

    def _give_up(self, why: str) -> None:
        """Until something changes, or for a while: then from the beginning, which costs a question for each file."""
        if why != self.why:
            log.warning("the cloud cannot be given what would replace this server", why=why)
        self.why, self._manifest = why, b""
        self._next_look_s = self._clock() + _AGAIN_S


def _upload(file: KitFile, epoch: str, seq: int) -> Upload:
    return Upload(file.sha256, file.size_bytes, _MEDIA_TYPE, epoch, seq, "station", "station")
