"""tuf's client over any way of fetching: what it is asked, how much it may be given, what its errors mean here.

Imported by whoever refreshes, on his own thread: it takes a tenth of a second, and a station starts without it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tuf.api.exceptions import (
    DownloadError,
    DownloadHTTPError,
    DownloadLengthMismatchError,
    ExpiredMetadataError,
    RepositoryError,
)
from tuf.ngclient import FetcherInterface, Updater, UpdaterConfig

from models.trust.about import ReleaseAbout
from models.trust.errors import ExpiredError, ForgedError, RefusedError, TrustError, UnreachableError
from models.trust.targets import Target
from models.trust.verifying import Fetch

_CONFIG = UpdaterConfig(
    root_max_length=64 * 1024,
    timestamp_max_length=16 * 1024,
    snapshot_max_length=64 * 1024,
    targets_max_length=4 * 1024 * 1024,
)
_BASE = "wire:/"
_ABSENT = 404


class TrustClient:
    """One look at what is signed now.

    Args:
        folder: where tuf keeps what it has seen; it exists.
        root: the root that was pinned, as a file.
        fetch: see `TrustStore.refresh`.

    Raises:
        TrustError: as `TrustStore.refresh`.
    """

    def __init__(self, folder: Path, root: bytes, fetch: Fetch) -> None:
        with _as_trust_errors():
            self._updater = Updater(str(folder), _BASE, fetcher=_Fetcher(fetch), config=_CONFIG, bootstrap=root)
            self._updater.refresh()

    def target(self, name: str) -> Target:
        """A signed release. Raises RefusedError where none has the name, ForgedError where it is none of ours."""
        with _as_trust_errors():
            found = self._updater.get_targetinfo(name)
        if found is None:
            raise RefusedError(f"{name!r} is no release that anybody signed")
        sha256 = found.hashes.get("sha256")
        if sha256 is None:
            raise ForgedError(f"{name!r} is signed without its sha256")
        about = ReleaseAbout.from_json(found.custom)
        if about.name != name:
            raise ForgedError(f"{name!r} is signed as {about.name!r}")
        return Target(name, found.length, sha256, about)


class _Fetcher(FetcherInterface):
    """tuf's way out to the network, which here is a function; the limit goes with the question."""

    def __init__(self, fetch: Fetch) -> None:
        self._ask = fetch

    def download_bytes(self, url: str, max_length: int) -> bytes:
        """See `FetcherInterface`."""
        name = url.removeprefix(_BASE)
        try:
            content = self._ask(name, max_length)
        except Exception as error:
            raise DownloadError(f"cannot fetch {name}: {error}") from error
        if content is None:
            raise DownloadHTTPError(f"the cloud has no {name}", _ABSENT)
        if len(content) > max_length:
            raise DownloadLengthMismatchError(f"{name} has more than {max_length} bytes")
        return content

    def _fetch(self, url: str) -> Iterator[bytes]:
        yield self.download_bytes(url, _CONFIG.targets_max_length)


@contextmanager
def _as_trust_errors() -> Iterator[None]:
    try:
        yield
    except TrustError:
        raise
    except ExpiredMetadataError as error:
        raise ExpiredError(
            f"{error}: the station runs on with what it has and takes nothing new; in the cloud: `cloud keys renew`"
        ) from error
    except DownloadLengthMismatchError as error:
        raise ForgedError(f"{error}: it is endless, or not ours") from error
    except DownloadError as error:
        raise UnreachableError(str(error)) from error
    except RepositoryError as error:
        raise ForgedError(f"the signed metadata is not to be believed: {error}") from error
    except OSError as error:
        raise TrustError(f"cannot keep signed metadata: {error}") from error
    except Exception as error:
        raise TrustError(f"the signed metadata cannot be used: {type(error).__name__}: {error}") from error
