"""Reading a station's database without a trace: no file is made beside it, whoever reads."""

import sqlite3
from pathlib import Path


def open_unchanged(path: Path, *, in_use: bool, timeout_s: float = 2.0) -> sqlite3.Connection:
    """Open the database for reading only.

    A reader of a database that nobody has open would make its `-shm` and `-wal` files anew; where none wait to be
    read, it is opened as one that cannot change. After a kill its log is there to be read: then SQLite makes the `-shm`
    file, which belongs to the database's owner and which the next start takes over.

    Args:
        path: of it.
        in_use: a daemon writes it.
        timeout_s: how long to wait for a lock.

    Raises:
        sqlite3.Error: there is none, or it cannot be opened.
    """
    log = path.with_name(f"{path.name}-wal")
    still = not in_use and not log.exists()
    uri = f"{path.absolute().as_uri()}?mode=ro{'&immutable=1' if still else ''}"
    return sqlite3.connect(uri, uri=True, timeout=timeout_s, isolation_level=None)
