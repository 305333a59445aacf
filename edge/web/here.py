"""The station that the pages are about: its file, and ways to what its daemon wrote. Read only."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from starlette.requests import Request

from edge.config import StationConfig
from edge.domain.errors import StorageError
from edge.record.database import open_reader
from edge.record.images import ImageStore
from edge.status import read_status
from edge.web.pictures import Pictures
from edge.web.shown_pictures import ShownPictures
from edge.web.works.work import Works

WORKS = (("calibrate", True), ("masters", False), ("bundles", True))


class Here:
    """One station.

    Args:
        config: its file, as it was when the pages started.
    """

    def __init__(self, config: StationConfig) -> None:
        self.config = config
        self._stamp = _stamp(config)
        self.images = ImageStore(config.images_dir, config.retention.image_format)
        self.shown = ShownPictures(self.images)
        self.pictures = Pictures(self.shown)
        self.works = {kind: Works(config.station.data_dir / "pages" / kind, gives_way=gives) for kind, gives in WORKS}

    @property
    def is_outdated(self) -> bool:
        """Whether station.toml is another one than the pages began with: what came since is on none of them."""
        return _stamp(self.config) != self._stamp

    def status(self) -> dict[str, object]:
        """What the daemon last said of itself; see `read_status`. Raises StorageError."""
        return read_status(self.config)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection that only reads the station's database. Raises StorageError: there is none, or it refuses."""
        try:
            connection = open_reader(self.config.database_path)
            try:
                yield connection
            finally:
                connection.close()
        except sqlite3.Error as error:
            older = ": start the station of this version, it brings it up to date" if "no such" in str(error) else ""
            raise StorageError(f"cannot read {self.config.database_path}: {error}{older}") from error


def _stamp(config: StationConfig) -> tuple[int, int] | None:
    try:
        found = config.file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def here(request: Request) -> Here:
    """The station that a request is about."""
    return cast("Here", request.app.state.here)
