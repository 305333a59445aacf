"""The blob store for pages: one that is away is not waited for again and again while a page full of pictures asks."""

import errno
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

from cloud_sync.hub.files.blobs import Blobs
from cloud_sync.hub.store.errors import BlobError

AWAY_S = 3.0
_OF_ONE_FILE = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)


class QuickBlobs:
    """A blob store that, once it could not be reached, is left alone for some seconds; see `Blobs`.

    Args:
        blobs: the store.
        clock_s: any clock that only goes on.
    """

    def __init__(self, blobs: Blobs, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._blobs = blobs
        self._clock_s = clock_s
        self._lock = threading.Lock()
        self._away: tuple[float, str] = (float("-inf"), "")

    def put(self, sha256: str, content: BinaryIO) -> None:
        """See `Blobs`; it is tried in any case."""
        self._blobs.put(sha256, content)

    def read(self, sha256: str, first: int, end: int) -> bytes:
        """See `Blobs`."""
        with self._tried():
            return self._blobs.read(sha256, first, end)

    def holds(self, sha256: str) -> bool:
        """See `Blobs`."""
        with self._tried():
            return self._blobs.holds(sha256)

    def size(self, sha256: str) -> int:
        """See `Blobs`."""
        with self._tried():
            return self._blobs.size(sha256)

    @contextmanager
    def _tried(self) -> Iterator[None]:
        with self._lock:
            until_s, why = self._away
        if self._clock_s() < until_s:
            raise BlobError(why)
        try:
            yield
        except BlobError as error:
            if _is_away(error):
                with self._lock:
                    self._away = (self._clock_s() + AWAY_S, str(error))
            raise


def _is_away(error: BlobError) -> bool:
    """Whether it says something of the store, and not of one file that is missing, damaged, misnamed or unreadable."""
    why = error.__cause__
    if why is None or isinstance(why, _OF_ONE_FILE):
        return False
    return not (
        isinstance(why, OSError) and why.errno == errno.EIO
    )  # a bad sector; a disk that is gone says so at once
