"""Where whole files lie in the cloud: a local folder, or a bucket by URL. Named by their content.

- What `put` has taken survives a power cut; a kill before that leaves nothing under the name, or all of it.
- The same name always has the same content, so putting it again is harmless.
- The only user of obstore.
"""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol
from urllib.parse import parse_qsl, urlsplit

from cloud_sync.hub.store.errors import BlobError
from models.durable import sync_directory

if TYPE_CHECKING:
    from obstore.store import RetryConfig, S3Store

_PIECE_BYTES = 1024**2
_OPTIONS = {"endpoint", "region"}


class Blobs(Protocol):
    """Files by their sha256, from their first byte on. Safe to call from several threads."""

    def put(self, sha256: str, content: BinaryIO) -> None:
        """Keep all of the content under its name. Raises BlobError; then it may be tried again."""
        ...

    def read(self, sha256: str, first: int, end: int) -> bytes:
        """The bytes from `first` to `end`. Raises BlobError, also where there are fewer."""
        ...

    def holds(self, sha256: str) -> bool:
        """Whether there is such a file. Raises BlobError."""
        ...

    def size(self, sha256: str) -> int:
        """How many bytes it has. Raises BlobError, also where there is no such file."""
        ...


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a bucket is waited for: for one answer, and how long and how often it is asked anew."""

    answer_s: float = 20
    again_s: float = 10
    again_times: int = 2


def open_blobs(place: str, patience: Patience = Patience()) -> Blobs:
    """The blob store at a folder's path or at `s3://BUCKET/PREFIX?endpoint=URL&region=NAME`.

    Credentials come from the environment alone (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, ...), and so may the rest.

    Args:
        place: where.
        patience: with a bucket that is away.

    Raises:
        BlobError: it is no such place.
    """
    if "://" not in place:
        return FolderBlobs(Path(place))
    return BucketBlobs(place, patience)


class FolderBlobs:
    """A folder: `ab/abcdef...`, made where absent."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, sha256: str, content: BinaryIO) -> None:
        """Write beside, sync, rename; see `Blobs`."""
        path = self._path(sha256)
        with _as_blob_error(f"cannot store {path}"):
            if not self._root.exists():
                self._root.mkdir(parents=True, exist_ok=True)
                sync_directory(self._root.parent)
            path.parent.mkdir(exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
            try:
                with os.fdopen(handle, "wb") as file:
                    _copy(content, file, sha256)
                    file.flush()
                    os.fsync(file.fileno())
                Path(temporary).replace(path)
            finally:
                Path(temporary).unlink(missing_ok=True)
            sync_directory(path.parent)
            sync_directory(self._root)

    def read(self, sha256: str, first: int, end: int) -> bytes:
        """See `Blobs`."""
        path = self._path(sha256)
        with _as_blob_error(f"cannot read {path}"), path.open("rb") as file:
            file.seek(first)
            return _whole(sha256, file.read(end - first), end - first)

    def holds(self, sha256: str) -> bool:
        """See `Blobs`."""
        return self._path(sha256).is_file()

    def size(self, sha256: str) -> int:
        """See `Blobs`."""
        path = self._path(sha256)
        with _as_blob_error(f"cannot read {path}"):
            return path.stat().st_size

    def _path(self, sha256: str) -> Path:
        return self._root / _key(sha256)


class BucketBlobs:
    """A bucket that speaks S3, through obstore."""

    def __init__(self, url: str, patience: Patience = Patience()) -> None:
        self._store = _bucket(url, patience)
        self._place = url.partition("?")[0]

    def put(self, sha256: str, content: BinaryIO) -> None:
        """One request, several for a large file; see `Blobs`."""
        import obstore

        key = _key(sha256)
        with _as_blob_error(f"cannot store {sha256} in {self._place}"):
            _check_hash(sha256, hashlib.file_digest(content, "sha256").hexdigest())  # type: ignore[arg-type]
            content.seek(0)
            obstore.put(self._store, key, content)

    def read(self, sha256: str, first: int, end: int) -> bytes:
        """See `Blobs`."""
        import obstore

        with _as_blob_error(f"cannot read {sha256} of {self._place}"):
            found = bytes(obstore.get_range(self._store, _key(sha256), start=first, end=end))
        return _whole(sha256, found, end - first)

    def holds(self, sha256: str) -> bool:
        """See `Blobs`."""
        import obstore

        with _as_blob_error(f"cannot look for {sha256} in {self._place}"):
            try:
                obstore.head(self._store, _key(sha256))
            except FileNotFoundError:
                return False
        return True

    def size(self, sha256: str) -> int:
        """See `Blobs`."""
        import obstore

        with _as_blob_error(f"cannot look for {sha256} in {self._place}"):
            return int(obstore.head(self._store, _key(sha256))["size"])


def file_sha256(path: Path) -> tuple[str, int]:
    """A file's hash and size in bytes. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), file.tell()


def _key(sha256: str) -> str:
    """Where a file lies. Raises BlobError: what is no sha256 reaches no path."""
    if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):  # noqa: PLR2004 - hex digits
        raise BlobError(f"a blob is named by its sha256, got {sha256[:80]!r}")
    return f"{sha256[:2]}/{sha256}"


def _copy(content: BinaryIO, file: BinaryIO, sha256: str) -> None:
    digest = hashlib.sha256()
    while piece := content.read(_PIECE_BYTES):
        digest.update(piece)
        file.write(piece)
    _check_hash(sha256, digest.hexdigest())


def _check_hash(sha256: str, found: str) -> None:
    if found != sha256:
        raise BlobError(f"the content hashes to {found}: it changed meanwhile")


def _whole(sha256: str, found: bytes, wanted_bytes: int) -> bytes:
    if len(found) != wanted_bytes:
        raise BlobError(f"expected {wanted_bytes} bytes of {sha256}, got {len(found)}")
    return found


def _bucket(url: str, patience: Patience) -> "S3Store":
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    if parts.scheme != "s3" or not parts.netloc or set(options) - _OPTIONS:
        raise BlobError(f"a blob store is a folder or s3://BUCKET/PREFIX?endpoint=URL&region=NAME, got {url!r}")
    with _as_blob_error(f"cannot open {url!r}: pip install 'inspectd[hub]'"):
        from obstore.store import S3Store

        endpoint = options.get("endpoint") or os.environ.get("AWS_ENDPOINT_URL") or os.environ.get("AWS_ENDPOINT", "")
        config = {name: value for name, value in options.items() if name == "region"}
        if endpoint:
            config["endpoint"] = endpoint
        return S3Store(
            parts.netloc,
            prefix=parts.path.strip("/") or None,
            config=config,  # type: ignore[arg-type]
            client_options={"timeout": f"{patience.answer_s:g}s", "allow_http": endpoint.startswith("http://")},
            retry_config=_retries(patience),
        )


def _retries(patience: Patience) -> "RetryConfig":
    from datetime import timedelta

    return {"max_retries": patience.again_times, "retry_timeout": timedelta(seconds=patience.again_s)}


@contextlib.contextmanager
def _as_blob_error(what: str) -> Iterator[None]:
    """Turn what obstore raises, its own errors and built-in ones, into ours: the store did not do it."""
    try:
        yield
    except BlobError:
        raise
    except Exception as error:
        raise BlobError(
            f"{what}: {type(error).__name__}: {str(error).splitlines()[0][:300] if str(error) else ''}"
        ) from error
