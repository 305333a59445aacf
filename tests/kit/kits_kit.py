"""A station's kit in a store, as its uploads and its word of health leave it."""

import hashlib
from collections.abc import Mapping
from io import BytesIO

import sqlalchemy as sa
from outboxes import STATION
from stores import engine

from cloud_sync.hub.files.blobs import FolderBlobs
from cloud_sync.hub.store.file_tables import files
from cloud_sync.hub.store.tables import conditions
from cloud_sync.wire.kit import KitFile, KitManifest
from cloud_sync.wire.messages import HealthMessage


def send_kit(place: str, blobs: FolderBlobs, held: Mapping[str, bytes], station: str = STATION) -> None:
    """All of its files are here, and the station said so."""
    entries = {name: KitFile(sha256=_put(blobs, one), size_bytes=len(one)) for name, one in held.items()}
    manifest = KitManifest(station=station, files=entries).pack()
    rows = {one.sha256: one.size_bytes for one in entries.values()} | {_put(blobs, manifest): len(manifest)}
    blank = {"station": station, "media_type": "x", "epoch": "0" * 32, "seq": 1, "camera": "", "changed_at_ms": 1}
    counts = dict.fromkeys(("dead_letters", "losses", "uploads", "spool_bytes", "disk_free_bytes"), 0)
    word: dict[str, object] = {"at": "2026-07-01T12:00:00Z", "epoch": "0" * 32, "ready": True}
    word |= {"faults": {}, "alarms": {}, "outbox": {}, "kit": hashlib.sha256(manifest).hexdigest()}
    health = HealthMessage.model_validate(word | counts).pack().decode()
    with engine(place).begin() as connection:
        for sha256, size_bytes in rows.items():
            row = blank | {"sha256": sha256, "size_bytes": size_bytes, "state": "complete"}
            connection.execute(sa.delete(files).where(files.c.station == station, files.c.sha256 == sha256))
            connection.execute(sa.insert(files).values(**row))
        connection.execute(sa.delete(conditions).where(conditions.c.station == station))
        said = {"station": station, "health": health, "health_at_ms": 1, "resets": 0}
        connection.execute(sa.insert(conditions).values(**said))


def _put(blobs: FolderBlobs, content: bytes) -> str:
    digest = hashlib.sha256(content).hexdigest()
    blobs.put(digest, BytesIO(content))
    return digest
