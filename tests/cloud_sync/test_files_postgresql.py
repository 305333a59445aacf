"""Files and releases on a real PostgreSQL, taken in by several desks at once."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from brokers import eventually
from file_kit import STATION, Cloud, ListedUploads, Way, picture, sha256_of
from postgres_kit import Postgres, postgres
from stores import ask

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
FIN = topics.file_fin(STATION, SHA), FileFin(file=SHA, size_bytes=len(PICTURE)).pack()


def chunk_at(offset: int) -> tuple[str, bytes]:
    return topics.file_chunk(STATION, SHA, offset), PICTURE[offset : offset + BLOCK_BYTES]


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
    messages = [*(chunk_at(offset) for offset in range(0, len(PICTURE), BLOCK_BYTES)), FIN]
    with ThreadPoolExecutor(3) as threads:
        for topic, payload in messages:
            list(threads.map(lambda cloud: cloud.take(topic, payload), clouds))  # noqa: B023 - done before the next
    way.until(lambda: uploads.settled == [SHA])
    assert (tmp_path / "blobs" / SHA[:2] / SHA).read_bytes() == PICTURE


LATE = [pytest.param(chunk_at(0), "FROM files", id="piece"), pytest.param(FIN, "FROM file_chunks", id="fin")]


@pytest.mark.parametrize(("late", "read"), LATE)
def test_what_comes_again_while_another_collector_completes_the_file_leaves_it_complete(
    clouds: list[Cloud], late: tuple[str, bytes], read: str
) -> None:
    uploads = ListedUploads(PICTURE)
    way = Way(FileSender(STATION, uploads), clouds[0], loses=lambda topic: topic.endswith("/fin"))
    place = clouds[0].place
    way.until(lambda: ask(place, "SELECT count(*) FROM file_chunks") == [(6,)])
    if late == FIN:
        clouds[1].take(*FIN)

    def complete() -> None:
        clouds[0].take(*FIN)
        eventually(lambda: clouds[0].work() or ask(place, "SELECT state FROM files") == [("complete",)])

    with between(clouds[2], read, complete):
        clouds[2].take(*late)

    assert ask(place, "SELECT state FROM files") == [("complete",)]
    assert ask(place, "SELECT count(*) FROM file_chunks") == [(0,)]


@contextmanager
def between(cloud: Cloud, read: str, act: Callable[[], None]) -> Iterator[None]:
    """Right after the cloud has read something, others act; they may be kept waiting until it is done."""
    threads = ThreadPoolExecutor(1)
    acting: list[Future[None]] = []

    def heard(_c: object, _u: object, statement: str, *_: object) -> None:
        if not acting and read in statement:
            acting.append(threads.submit(act))
            wait(acting, 1.0)

    with threads:
        sa.event.listen(cloud.engine, "after_cursor_execute", heard)
        yield
        acting[0].result()
