"""Who a worker is: one per folder, the same after a restart, so that it goes on with what it left."""

import contextlib
import fcntl
import uuid
from collections.abc import Iterator
from pathlib import Path

from cloud_sync.hub.retraining.errors import RequestRefusedError


@contextlib.contextmanager
def worker_of(folder: Path) -> Iterator[str]:
    """The folder's worker id, ours alone until the block ends. Raises RequestRefusedError: another has it; OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "worker.id").open("a+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RequestRefusedError(f"another worker works in {folder}: give each its own folder") from error
        file.seek(0)
        worker = file.read().strip()
        if not worker:
            worker = uuid.uuid4().hex
            file.write(worker)
            file.flush()
        yield worker
