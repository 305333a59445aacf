"""Frames of parts that passed here, as the station stored them, gathered into a folder to learn from."""

import os
import shutil
import sqlite3
from pathlib import Path

from edge.domain.errors import StorageError
from edge.web.here import Here

_QUERY = (
    "SELECT i.seq, i.sha256, i.media_type FROM images i JOIN inspections n ON n.seq = i.seq"
    " WHERE i.stored AND i.good = 1 AND i.camera = ? AND n.product = ? AND n.verdict = 'PASS'"
    " ORDER BY i.seq DESC LIMIT ?"
)


def gather_passed(here: Here, product: str, camera: str, most: int) -> tuple[Path, int]:
    """The newest frames of a camera that show parts which passed: a folder of links to them, and how many.

    The folder of an earlier gathering is replaced. Links cost no room, and keep a picture that retention lets go of.

    Raises:
        StorageError: the database cannot be read, or the folder written.
    """
    if not here.config.database_path.exists():  # the station never ran
        return here.config.station.data_dir, 0
    into = here.config.station.data_dir / "frames" / f"passed-{product}-{camera}"
    with here.reading() as connection:
        try:
            rows = connection.execute(_QUERY, (camera, product, most)).fetchall()
        except sqlite3.Error as error:
            raise StorageError(f"cannot read {here.config.database_path}: {error}") from error
    try:
        shutil.rmtree(into, ignore_errors=True)
        into.mkdir(parents=True)
        return into, sum(_link(here.images.path_of(sha256, media), into, seq) for seq, sha256, media in rows)
    except OSError as error:
        raise StorageError(f"cannot gather frames in {into}: {error.strerror}: make room on the disk") from error


def _link(stored: Path, into: Path, seq: int) -> bool:
    try:
        os.link(stored, into / f"{seq:012d}{stored.suffix}")
    except FileNotFoundError:  # retention was quicker
        return False
    return True
