"""Files and releases on a real PostgreSQL, taken in by several desks at once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from file_kit import STATION, Cloud, ListedUploads, Way, picture, sha256_of
from postgres_kit import Postgres, postgres

from cloud_sync.hub.files.blobs import FolderBlobs
from cloud_sync.hub.files.file_desk import FileDesk
from cloud_sync.hub.files.release_desk import ReleaseDesk
from cloud_sync.hub.files.releases import job_rows, offer
from cloud_sync.station.downlink import Downlink, DownPace
from cloud_sync.station.files import FileSender
from cloud_sync.wire import topics
from cloud_sync.wire.messages import BLOCK_BYTES, FileFin

__all__ = ["postgres"]

PICTURE = picture(5 * BLOCK_BYTES + 9)
SHA = sha256_of(PICTURE)


@pytest.fixture
def clouds(postgres: Postgres, tmp_path: Path) -> Iterator[list[Cloud]]:
    place, blobs = postgres.new_database(), FolderBlobs(tmp_path / "blobs")
    with ExitStack() as stack:
        made = [Cloud(place, lambda at: [FileDesk(at, blobs), ReleaseDesk(at, blobs)]) for _ in range(3)]
        for cloud in made:
            stack.callback(cloud.close)
        yield made


def test_a_file_goes_up_and_a_release_comes_down(clouds: list[Cloud], tmp_path: Path) -> None:
    uploads = ListedUploads(PICTURE)
    Way(FileSender(STATION, uploads), clouds[0]).until(lambda: uploads.settled == [SHA])
    assert (tmp_path / "blobs" / SHA[:2] / SHA).read_bytes() == PICTURE
    source = tmp_path / "cells-v7.bundle"
    source.write_bytes(PICTURE)
    [(_, job)] = offer(clouds[0].place, FolderBlobs(tmp_path / "blobs"), source, [STATION])
    way = Way(Downlink(STATION, tmp_path / "releases", DownPace(5.0)), clouds[1])
    way.passenger.hear("job", job.pack())
    way.until(lambda: job_rows(clouds[2].place)[0].state == "verified")
    assert (tmp_path / "releases" / source.name).read_bytes() == PICTURE


def test_every_piece_comes_to_all_of_three_collectors_at_once_and_counts_once(
    clouds: list[Cloud], tmp_path: Path
) -> None:
    uploads = ListedUploads(PICTURE)
    way = Way(FileSender(STATION, uploads), clouds[0])
    way.step()  # announced
    messages = [
        (topics.file_chunk(STATION, SHA, offset), PICTURE[offset : offset + BLOCK_BYTES])
        for offset in range(0, len(PICTURE), BLOCK_BYTES)
    ]
    messages.append((topics.file_fin(STATION, SHA), FileFin(file=SHA, size_bytes=len(PICTURE)).pack()))
    with ThreadPoolExecutor(3) as threads:
        for topic, payload in messages:
            list(threads.map(lambda cloud: cloud.take(topic, payload), clouds))  # noqa: B023 - done before the next
    way.until(lambda: uploads.settled == [SHA])
    assert (tmp_path / "blobs" / SHA[:2] / SHA).read_bytes() == PICTURE
