"""What the cloud keeps of the stations' records, in SQLite or, by URL, in another database."""

from cloud_sync.hub.store.errors import StoreError

__all__ = ["StoreError"]
