"""The desks that are opened and closed with the collector: files up, releases down, samples out of records."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cloud_sync.hub.desk import Desk
from cloud_sync.hub.files.blobs import open_blobs
from cloud_sync.hub.files.file_desk import FileDesk
from cloud_sync.hub.files.release_desk import ReleaseDesk
from cloud_sync.hub.files.want_desk import WantDesk
from cloud_sync.hub.labels.sample_desk import SampleDesk
from cloud_sync.hub.metrics import CollectorMetrics
from cloud_sync.hub.store.errors import StoreError
from cloud_sync.hub.trust.metadata_desk import MetadataDesk


def blobs_beside(store: str) -> str:
    """Where blobs lie if nobody says: a folder beside the store's file. Raises StoreError where that is no file."""
    if "://" in store:
        raise StoreError("say with --blobs where files go: a folder, or s3://BUCKET/PREFIX (the store is no file)")
    return str(Path(store).absolute().with_suffix(".blobs"))


@contextmanager
def file_desks(store: str, blobs: str | None, metrics: CollectorMetrics) -> Iterator[list[Desk]]:
    """The desks, on a store that exists. Raises StoreError, BlobError."""
    where = open_blobs(blobs or blobs_beside(store))
    with (
        FileDesk(store, where) as files,
        ReleaseDesk(store, where) as releases,
        MetadataDesk(store) as metadata,
        SampleDesk(store) as samples,
    ):
        metrics.ask("files_complete", "Files stored since the start.", lambda: files.counts.complete)
        metrics.ask("files_refused", "Files that were not what their name says.", lambda: files.counts.refused)
        metrics.ask("files_waiting", "Whole files on their way to the blob store.", lambda: files.waiting)
        metrics.ask("file_faults", "Times that storing a file failed.", lambda: files.counts.faults)
        yield [files, WantDesk(metadata, releases), samples]
