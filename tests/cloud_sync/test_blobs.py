"""One contract for every blob store, and what each must stand besides. S3 is an emulator of ours over HTTP, no AWS."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from file_kit import STATION, Cloud, ListedUploads, Way, file_cloud, picture, sha256_of
from s3_emulator import s3_emulator

from cloud_sync.hub.files.blobs import Blobs, FolderBlobs, open_blobs
from cloud_sync.hub.files.file_desk import FileDesk
from cloud_sync.hub.store.errors import BlobError
from cloud_sync.station.files import FilePace, FileSender
from cloud_sync.wire.blobs import Span, block_at, checked_block, covers, first_missing, is_whole, merged, spans_of
from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.messages import BLOCK_BYTES

CONTENT = picture(200_000)
SHA = sha256_of(CONTENT)


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")


@pytest.fixture(params=["folder", "s3 emulator"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Blobs]:
    if request.param == "folder":
        yield open_blobs(str(tmp_path / "blobs"))
        return
    with s3_emulator(tmp_path / "s3") as endpoint:
        yield open_blobs(f"s3://bucket/some/prefix?endpoint={endpoint}&region=eu-central-1")


def test_what_was_put_is_read_bit_for_bit(blobs: Blobs) -> None:
    assert not blobs.holds(SHA)
    blobs.put(SHA, io.BytesIO(CONTENT))
    assert blobs.holds(SHA)
    assert blobs.read(SHA, 0, len(CONTENT)) == CONTENT
    assert blobs.read(SHA, 70_000, 70_001) == CONTENT[70_000:70_001]


def test_putting_it_again_changes_nothing(blobs: Blobs) -> None:
    blobs.put(SHA, io.BytesIO(CONTENT))
    blobs.put(SHA, io.BytesIO(CONTENT))
    assert blobs.read(SHA, 0, len(CONTENT)) == CONTENT


def test_a_large_file_arrives_whole(blobs: Blobs) -> None:
    large = picture(12 * 1024**2 + 1)
    blobs.put(sha256_of(large), io.BytesIO(large))
    assert blobs.read(sha256_of(large), 0, len(large)) == large


def test_content_that_is_not_what_its_name_says_is_not_kept(blobs: Blobs) -> None:
    with pytest.raises(BlobError, match="hashes to"):
        blobs.put(SHA, io.BytesIO(CONTENT + b"x"))
    assert not blobs.holds(SHA)


def test_what_is_not_there_is_an_error(blobs: Blobs) -> None:
    with pytest.raises(BlobError):
        blobs.read(SHA, 0, 1)


def test_fewer_bytes_than_asked_for_are_an_error(blobs: Blobs) -> None:
    blobs.put(SHA, io.BytesIO(CONTENT))
    with pytest.raises(BlobError, match="expected 2 bytes"):
        blobs.read(SHA, len(CONTENT) - 1, len(CONTENT) + 1)


@pytest.mark.parametrize("name", ["../../etc/passwd", SHA.upper(), SHA[:-1], f"{SHA}/x", ""])
def test_what_is_no_hash_reaches_no_path(blobs: Blobs, name: str) -> None:
    with pytest.raises(BlobError, match="named by its sha256"):
        blobs.put(name, io.BytesIO(CONTENT))


@pytest.mark.parametrize(
    "place",
    ["http://host/bucket", "s3://", "s3:///prefix", "s3://bucket?secret=x", "gs://bucket"],
)
def test_what_is_no_blob_store_is_refused(place: str) -> None:
    with pytest.raises(BlobError, match="a blob store is"):
        open_blobs(place)


def test_a_broken_bucket_delays_complete_and_loses_nothing(tmp_path: Path) -> None:
    broken = tmp_path / "s3" / "BROKEN"
    with s3_emulator(tmp_path / "s3") as endpoint:
        broken.write_text("")
        with file_cloud(tmp_path, open_blobs(f"s3://bucket?endpoint={endpoint}&region=x")) as cloud:
            uploads = ListedUploads(CONTENT)
            way = Way(FileSender(STATION, uploads, FilePace(2.0, 8.0)), cloud)
            way.until(lambda: faults(cloud) >= 1)
            assert uploads.settled == []
            broken.unlink()
            way.until(lambda: uploads.settled == [SHA])
    assert (tmp_path / "s3" / "bucket" / SHA[:2] / SHA).read_bytes() == CONTENT


def test_a_bucket_that_is_not_there_delays_complete_until_it_is(tmp_path: Path) -> None:
    with s3_emulator(tmp_path / "s3") as endpoint:
        pass
    port = int(endpoint.rpartition(":")[2])
    with file_cloud(tmp_path, open_blobs(f"s3://bucket?endpoint={endpoint}&region=x")) as cloud:
        uploads = ListedUploads(CONTENT)
        way = Way(FileSender(STATION, uploads, FilePace(2.0, 8.0)), cloud)
        way.until(lambda: faults(cloud) >= 1)
        with s3_emulator(tmp_path / "s3", port):
            way.until(lambda: uploads.settled == [SHA])


def test_what_a_kill_left_half_written_in_the_folder_is_no_blob(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path)
    (tmp_path / SHA[:2]).mkdir()
    (tmp_path / SHA[:2] / "tmpx.part").write_bytes(CONTENT[:1000])
    assert not blobs.holds(SHA)


def faults(cloud: Cloud) -> int:
    desk = cloud.desks[0]
    assert isinstance(desk, FileDesk)
    return desk.counts.faults


SIZE = 2 * BLOCK_BYTES + 10


@pytest.mark.parametrize(
    ("held", "missing"),
    [
        pytest.param([], (0, BLOCK_BYTES), id="nothing is there"),
        pytest.param([(0, BLOCK_BYTES)], (BLOCK_BYTES, 2 * BLOCK_BYTES), id="the first is there"),
        pytest.param([(BLOCK_BYTES, SIZE)], (0, BLOCK_BYTES), id="the first is missing"),
        pytest.param([(0, BLOCK_BYTES), (2 * BLOCK_BYTES, SIZE)], (BLOCK_BYTES, 2 * BLOCK_BYTES), id="a gap"),
        pytest.param([(0, 2 * BLOCK_BYTES)], (2 * BLOCK_BYTES, SIZE), id="the short one is missing"),
        pytest.param([(0, BLOCK_BYTES + 5)], (BLOCK_BYTES, 2 * BLOCK_BYTES), id="half a block counts for none"),
        pytest.param([(0, SIZE)], None, id="all is there"),
        pytest.param([(BLOCK_BYTES, SIZE), (0, BLOCK_BYTES)], None, id="all is there, in two pieces"),
    ],
)
def test_the_first_missing_block(held: list[tuple[int, int]], missing: tuple[int, int] | None) -> None:
    found = first_missing([Span(*pair) for pair in held], SIZE)
    assert found == (None if missing is None else Span(*missing))


def test_spans_merge_whatever_their_order_and_overlaps() -> None:
    assert merged([Span(5, 9), Span(0, 3), Span(2, 5), Span(20, 21)]) == (Span(0, 9), Span(20, 21))
    assert covers([Span(0, 5), Span(5, 9)], Span(3, 8))
    assert not covers([Span(0, 5), Span(6, 9)], Span(3, 8))
    assert spans_of([2 * BLOCK_BYTES, 0], SIZE) == (Span(0, BLOCK_BYTES), Span(2 * BLOCK_BYTES, SIZE))


def test_what_is_no_block_of_the_file_is_refused() -> None:
    for offset, length in ((1, 1), (3 * BLOCK_BYTES, 1), (-BLOCK_BYTES, 1), (0, 9), (2 * BLOCK_BYTES, 11)):
        with pytest.raises(LinkError):
            checked_block(offset, length, SIZE)
    assert checked_block(2 * BLOCK_BYTES, 10, SIZE) == block_at(2 * BLOCK_BYTES, SIZE)


def test_a_file_is_whole_only_if_size_and_hash_are_right() -> None:
    assert is_whole([CONTENT[:7], CONTENT[7:]], len(CONTENT), SHA)
    assert not is_whole([CONTENT[7:], CONTENT[:7]], len(CONTENT), SHA)
    assert not is_whole([CONTENT], len(CONTENT) + 1, SHA)
