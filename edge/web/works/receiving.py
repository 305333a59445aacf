"""A file that a browser sends, straight to disk, bounded in size and by the room that the station needs itself."""

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

from fastapi.concurrency import contextmanager_in_threadpool
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from edge.domain.errors import StorageError
from models.scratch import COMING, scratch_folder, sweep

_PIECE_BYTES = 1 << 20


async def receive(request: Request, into: Path, most_bytes: int, keep_free_bytes: int) -> int:
    """Write the request's body as this file, whole or not at all; how many bytes it has.

    Args:
        request: its body is the file, nothing around it.
        into: the file; replaced where it exists.
        most_bytes: no file may be larger.
        keep_free_bytes: so much room of the disk stays the station's.

    Raises:
        HTTPException: it is too large (413), empty, or broke off (400).
        StorageError: the disk refuses, or has no room.
    """
    _check_size(request.headers.get("content-length", ""), most_bytes)
    try:
        async with contextmanager_in_threadpool(_own_folder(into.parent)) as own:
            size_bytes = await _write(request, own / "file", most_bytes, keep_free_bytes)
            await run_in_threadpool(os.replace, own / "file", into)
    except OSError as error:
        raise StorageError(f"cannot keep {into.name}: {error.strerror or error}: make room on the disk") from error
    except ClientDisconnect as error:
        raise HTTPException(400, "the file broke off on its way: send it again") from error
    return size_bytes


@asynccontextmanager
async def received(
    request: Request, folder: Path, name: str, most_bytes: int, keep_free_bytes: int
) -> AsyncIterator[Path]:
    """The request's body as a file of this name, for as long as the block lasts. Raises as `receive`."""
    async with AsyncExitStack() as stack:
        try:
            own = await stack.enter_async_context(contextmanager_in_threadpool(_own_folder(folder)))
        except OSError as error:
            raise StorageError(f"cannot write {folder}: {error.strerror or error}: make room on the disk") from error
        await receive(request, own / name, most_bytes, keep_free_bytes)
        yield own / name


@contextmanager
def _own_folder(beside: Path) -> Iterator[Path]:
    """A folder for what is on its way; what broke off when the pages were ended in the middle of it goes first."""
    beside.mkdir(parents=True, exist_ok=True)
    sweep(beside)
    with scratch_folder(beside, COMING) as own:
        yield own


async def _write(request: Request, path: Path, most_bytes: int, keep_free_bytes: int) -> int:
    size_bytes, piece = 0, bytearray()
    with os.fdopen(await run_in_threadpool(os.open, path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        async for part in request.stream():
            size_bytes += len(part)
            if size_bytes > most_bytes:
                raise _too_large(most_bytes)
            piece += part
            if len(piece) >= _PIECE_BYTES:
                _check_room(file.fileno(), keep_free_bytes)
                await run_in_threadpool(file.write, bytes(piece))
                piece.clear()
        _check_room(file.fileno(), keep_free_bytes)
        await run_in_threadpool(file.write, bytes(piece))
        file.flush()
        await run_in_threadpool(os.fsync, file.fileno())
    if not size_bytes:
        raise HTTPException(400, "the file is empty: choose another")
    return size_bytes


def _check_size(length: str, most_bytes: int) -> None:
    if length.isdecimal() and int(length) > most_bytes:
        raise _too_large(most_bytes)


def _too_large(most_bytes: int) -> HTTPException:
    return HTTPException(413, f"the file is larger than {most_bytes // 1_000_000} MB, and no larger one is taken")


def _check_room(file: int, keep_free_bytes: int) -> None:
    free_bytes = shutil.disk_usage(file).free
    if free_bytes < keep_free_bytes:
        raise StorageError(
            f"{free_bytes // 1_000_000} MB are free, and {keep_free_bytes // 1_000_000} MB are kept for the station: "
            "make room on the disk"
        )
