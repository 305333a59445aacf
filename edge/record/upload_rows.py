"""The rows of images that wait to go up; for the inside of a transaction."""

import sqlite3
from collections.abc import Mapping

from edge.domain.inspection import ImageRef
from edge.record.upload_choice import UploadValue

_ADD = (
    "INSERT INTO uploads (sha256, media_type, size_bytes, value, seq, camera) VALUES (?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (sha256) DO UPDATE SET value = max(value, excluded.value)"
)


def want_uploads(connection: sqlite3.Connection, seq: int, images: Mapping[str, ImageRef], value: UploadValue) -> None:
    """An inspection's images shall go up; content that waits already keeps its place, or gets the better one."""
    rows = [(ref.sha256, ref.media_type, ref.size_bytes, value, seq, camera) for camera, ref in images.items()]
    connection.executemany(_ADD, rows)


def want_overruled(connection: sqlite3.Connection, seq: int) -> None:
    """A person said that the verdict was wrong: the inspection's images go up before all others, if they are here."""
    query = "SELECT camera, sha256, size_bytes, media_type FROM images WHERE seq = ? AND stored"
    found = {camera: ImageRef(*ref) for camera, *ref in connection.execute(query, (seq,)).fetchall()}
    want_uploads(connection, seq, found, UploadValue.OVERRULED)


def revive_uploads(connection: sqlite3.Connection) -> int:
    """Let the refused ones be tried again; says how many."""
    return connection.execute("UPDATE uploads SET refused = NULL WHERE refused IS NOT NULL").rowcount
