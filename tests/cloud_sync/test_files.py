"""Files over the sync, both ends in one thread: real database, real folder, a way that loses what it is told to."""

import threading
from collections.abc import Iterator
from errno import EIO
from pathlib import Path
from random import Random
from typing import BinaryIO

import pytest
import sqlalchemy as sa
from file_kit import EPOCH, STATION, Cloud, ListedUploads, Way, file_cloud, picture, sha256_of, upload_of

from cloud_sync.hub.files.blobs import FolderBlobs
from cloud_sync.hub.files.file_desk import FileDesk
from cloud_sync.hub.files.file_desks import file_desks
from cloud_sync.hub.files.pieces import FileLimits
from cloud_sync.hub.metrics import CollectorMetrics
from cloud_sync.hub.store.engine import open_engine
from cloud_sync.hub.store.errors import StoreError
from cloud_sync.hub.store.file_tables import file_chunks, files
from cloud_sync.station.files import FilePace, FileSender
from cloud_sync.wire import topics
from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.link import Limits
from cloud_sync.wire.messages import BLOCK_BYTES, FileAck, FileFin, FileInit
from cloud_sync.wire.uploads import Upload

PICTURE = picture(3 * BLOCK_BYTES + 77)
SHA = sha256_of(PICTURE)


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    with file_cloud(tmp_path) as made:
        yield made


def stored(folder: Path, content: bytes) -> bool:
    sha256 = sha256_of(content)
    path = folder / "blobs" / sha256[:2] / sha256
    return path.exists() and path.read_bytes() == content


def states(cloud: Cloud) -> dict[tuple[str, str], str]:
    engine = open_engine(cloud.place, create=False)
    with engine.connect() as connection:
        found = {(row.station, row.sha256): row.state for row in connection.execute(sa.select(files))}
    engine.dispose()
    return found


def chunks(cloud: Cloud) -> int:
    engine = open_engine(cloud.place, create=False)
    with engine.connect() as connection:
        count = connection.scalar(sa.select(sa.func.count()).select_from(file_chunks))
    engine.dispose()
    return count or 0


def init_of(content: bytes, **changes: object) -> bytes:
    row = upload_of(content)
    said: dict[str, object] = {"file": row.sha256, "size_bytes": row.size_bytes, "media_type": "image/png"}
    said |= {"kind": "image", "epoch": EPOCH, "seq": 1, "camera": "top"} | changes
    return FileInit.model_validate(said).pack()


def last_ack(cloud: Cloud) -> FileAck:
    ack = FileAck.unpack(cloud.said[-1].payload)
    cloud.said.clear()
    return ack


def announce(cloud: Cloud, content: bytes, station: str = STATION) -> None:
    cloud.take(topics.file_init(station, sha256_of(content)), init_of(content))


def send_block(cloud: Cloud, content: bytes, offset: int, station: str = STATION) -> None:
    payload = content[offset : offset + BLOCK_BYTES]
    cloud.take(topics.file_chunk(station, sha256_of(content), offset), payload)


def test_a_file_arrives_whole_and_only_then_waits_no_more(tmp_path: Path, cloud: Cloud) -> None:
    uploads = ListedUploads(PICTURE)
    way = Way(FileSender(STATION, uploads), cloud)
    way.until(lambda: uploads.settled == [SHA])
    assert stored(tmp_path, PICTURE)
    assert states(cloud) == {(STATION, SHA): "complete"}
    assert chunks(cloud) == 0
    assert [len(payload) for topic, payload in way.sent if topic.rsplit("/", 1)[1].isdigit()] == [
        BLOCK_BYTES,
        BLOCK_BYTES,
        BLOCK_BYTES,
        77,
    ]


def test_one_piece_is_on_its_way_at_a_time() -> None:
    sender = FileSender(STATION, ListedUploads(PICTURE, picture(50_000, 2)))
    sent: list[str] = []
    sender.begin(Limits(250_000, 20))
    for second in range(5):
        sender.work(float(second), lambda topic, _payload: not sent.append(topic))
    assert sent == [topics.file_init(STATION, SHA)]


def test_whatever_gets_lost_on_the_way_the_file_arrives(tmp_path: Path, cloud: Cloud) -> None:
    chance = Random(7)
    uploads = ListedUploads(PICTURE, picture(200_000, 2))
    way = Way(FileSender(STATION, uploads, FilePace(2.0, 8.0)), cloud, lambda _topic: chance.random() < 0.3)
    way.until(lambda: len(uploads.settled) == 2)
    assert stored(tmp_path, PICTURE)
    assert stored(tmp_path, picture(200_000, 2))


def test_killed_at_random_either_side_goes_on_where_it_was(tmp_path: Path, cloud: Cloud) -> None:
    chance = Random(3)
    uploads = ListedUploads(PICTURE)
    way = Way(FileSender(STATION, uploads), cloud)
    kills = 0
    while not uploads.settled:
        way.step()
        if chance.random() < 0.4:
            kills += 1
            cloud.restart()
            way.passenger = FileSender(STATION, uploads)
            way.passenger.begin(Limits(250_000, 20))
    assert kills > 2
    assert stored(tmp_path, PICTURE)
    pieces = [topic for topic, _ in way.sent if topic.rsplit("/", 1)[1].isdigit()]
    assert len(pieces) == len(set(pieces)) == 4  # each went once, though the memory of neither side lived


def test_a_flipped_byte_on_the_stations_disk_is_refused_before_it_is_sent(cloud: Cloud) -> None:
    uploads = ListedUploads(PICTURE, picture(1000, 2))
    uploads.disk[SHA] = PICTURE[:100] + bytes([PICTURE[100] ^ 1]) + PICTURE[101:]
    way = Way(FileSender(STATION, uploads), cloud)
    way.until(lambda: uploads.settled)
    assert "damaged on this disk" in uploads.refused[SHA]
    assert (STATION, SHA) not in states(cloud)


class BadSector(ListedUploads):
    """A disk that cannot read one of its files."""

    def content(self, upload: Upload) -> bytes | None:
        if upload.sha256 == SHA:
            raise OSError(EIO, "Input/output error")
        return super().content(upload)


def test_an_image_that_the_disk_cannot_read_holds_up_no_other(tmp_path: Path, cloud: Cloud) -> None:
    other = picture(1000, 2)
    uploads = BadSector(PICTURE, other)
    sender = FileSender(STATION, uploads)
    way = Way(sender, cloud)
    with pytest.raises(OSError, match="Input"):
        way.step()  # so that it is reported
    way.until(lambda: uploads.settled == [sha256_of(other)])
    assert stored(tmp_path, other)
    assert SHA not in uploads.refused  # it may be there again after a repair


def test_a_byte_flipped_on_the_way_is_refused_by_the_cloud(tmp_path: Path, cloud: Cloud) -> None:
    announce(cloud, PICTURE)
    damaged = bytearray(PICTURE)
    damaged[40_000] ^= 1
    for offset in range(0, len(PICTURE), BLOCK_BYTES):
        cloud.take(topics.file_chunk(STATION, SHA, offset), bytes(damaged[offset : offset + BLOCK_BYTES]))
    cloud.said.clear()
    uploads = ListedUploads(PICTURE)
    way = Way(FileSender(STATION, uploads), cloud)
    way.until(lambda: uploads.refused)
    assert "not what its name says" in uploads.refused[SHA]
    assert not stored(tmp_path, PICTURE)
    assert chunks(cloud) == 0


def test_an_evicted_file_is_passed_over(tmp_path: Path, cloud: Cloud) -> None:
    uploads = ListedUploads(PICTURE, picture(1000, 2))
    del uploads.disk[SHA]
    sender = FileSender(STATION, uploads)
    Way(sender, cloud).until(lambda: len(uploads.settled) == 2)
    assert sender.counts.evicted == 1
    assert stored(tmp_path, picture(1000, 2))


def test_a_file_without_answers_holds_up_no_other(cloud: Cloud) -> None:
    other = sha256_of(picture(1000, 2))
    uploads = ListedUploads(PICTURE, picture(1000, 2))
    way = Way(FileSender(STATION, uploads, FilePace(1.0, 2.0)), cloud, lambda topic: SHA in topic)
    way.until(lambda: uploads.settled == [other])
    way.loses = lambda _topic: False
    way.until(lambda: uploads.settled == [other, SHA])


def test_nothing_is_sent_over_a_link_whose_messages_are_too_small() -> None:
    sender = FileSender(STATION, ListedUploads(PICTURE))
    sender.begin(Limits(20_000, 20))
    sender.work(0.0, lambda _topic, _payload: pytest.fail("sent"))


def test_a_blob_store_that_is_down_delays_complete_and_loses_nothing(tmp_path: Path) -> None:
    blocked = tmp_path / "blobs"
    blocked.write_text("in the way of the folder")
    with file_cloud(tmp_path, FolderBlobs(blocked)) as cloud:
        uploads = ListedUploads(PICTURE)
        way = Way(FileSender(STATION, uploads, FilePace(2.0, 8.0)), cloud)
        desk = cloud.desks[0]
        assert isinstance(desk, FileDesk)
        way.until(lambda: desk.counts.faults >= 2)
        assert uploads.settled == []
        assert chunks(cloud) == 4
        blocked.unlink()
        way.until(lambda: uploads.settled == [SHA])
        assert stored(tmp_path, PICTURE)


class HangingBlobs(FolderBlobs):
    """A folder that hangs until it is let go."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.let_go = threading.Event()

    def put(self, sha256: str, content: BinaryIO) -> None:
        assert self.let_go.wait(30)
        super().put(sha256, content)


def test_a_blob_store_that_hangs_keeps_nobody_waiting(tmp_path: Path) -> None:
    blobs = HangingBlobs(tmp_path / "blobs")
    with file_cloud(tmp_path, blobs) as cloud:
        uploads = ListedUploads(PICTURE)
        way = Way(FileSender(STATION, uploads), cloud)
        way.until(lambda: states(cloud) == {(STATION, SHA): "sent"})
        other = picture(BLOCK_BYTES + 1, 2)
        announce(cloud, other, "press-4")
        send_block(cloud, other, 0, "press-4")
        cloud.work()
        assert chunks(cloud) == 5
        assert uploads.settled == []
        blobs.let_go.set()
        way.until(lambda: uploads.settled == [SHA])


def test_figures_say_what_became_of_files(tmp_path: Path) -> None:
    open_engine(str(tmp_path / "cloud.db"), create=True).dispose()
    metrics = CollectorMetrics()
    with file_desks(str(tmp_path / "cloud.db"), None, metrics) as desks:
        cloud = Cloud(tmp_path / "cloud.db", lambda _place: desks)
        uploads = ListedUploads(PICTURE)
        Way(FileSender(STATION, uploads), cloud).until(lambda: uploads.settled)
        values = {
            name: metrics.registry.get_sample_value(f"inspectd_collector_{name}")
            for name in ("files_complete", "files_refused", "files_waiting", "file_faults")
        }
        cloud.engine.dispose()
    assert values == {"files_complete": 1, "files_refused": 0, "files_waiting": 0, "file_faults": 0}
    assert (tmp_path / "cloud.blobs" / SHA[:2] / SHA).exists()


def test_a_store_that_is_no_file_wants_to_be_told_where_files_go() -> None:
    with pytest.raises(StoreError, match="--blobs"), file_desks("postgresql://nowhere/x", None, CollectorMetrics()):
        pass


def test_killed_between_blob_and_record_the_file_is_completed_by_whoever_comes_next(
    tmp_path: Path, cloud: Cloud
) -> None:
    announce(cloud, PICTURE)
    for offset in range(0, len(PICTURE), BLOCK_BYTES):
        send_block(cloud, PICTURE, offset)
    cloud.take(topics.file_fin(STATION, SHA), FileFin(file=SHA, size_bytes=len(PICTURE)).pack())
    with (tmp_path / "half").open("w+b") as content:
        content.write(PICTURE)
        content.seek(0)
        FolderBlobs(tmp_path / "blobs").put(SHA, content)
    cloud.restart()
    way = Way(FileSender(STATION, ListedUploads()), cloud)
    way.until(lambda: states(cloud) == {(STATION, SHA): "complete"})
    assert chunks(cloud) == 0


def test_three_collectors_each_take_some_pieces(tmp_path: Path, cloud: Cloud) -> None:
    with file_cloud(tmp_path) as second, file_cloud(tmp_path) as third:
        announce(cloud, PICTURE)
        for offset, taker in zip(range(0, len(PICTURE), BLOCK_BYTES), (second, third, cloud, second), strict=True):
            send_block(taker, PICTURE, offset)
        third.take(topics.file_fin(STATION, SHA), FileFin(file=SHA, size_bytes=len(PICTURE)).pack())
        Way(FileSender(STATION, ListedUploads()), third).until(lambda: stored(tmp_path, PICTURE))


def test_a_complete_file_is_not_sent_again(cloud: Cloud) -> None:
    uploads = ListedUploads(PICTURE)
    Way(FileSender(STATION, uploads), cloud).until(lambda: uploads.settled)
    again = ListedUploads(PICTURE)
    way = Way(FileSender(STATION, again), cloud)
    way.until(lambda: again.settled)
    assert [topic for topic, _ in way.sent] == [topics.file_init(STATION, SHA)]


def test_a_station_cannot_claim_what_another_one_sent(tmp_path: Path, cloud: Cloud) -> None:
    uploads = ListedUploads(PICTURE)
    Way(FileSender(STATION, uploads), cloud).until(lambda: uploads.settled)
    cloud.said.clear()
    announce(cloud, PICTURE, "thief")
    ack = last_ack(cloud)
    assert (ack.complete, ack.ranges) == (False, [])
    honest = ListedUploads(PICTURE)
    Way(FileSender("twin", honest), cloud).until(lambda: honest.settled)  # whoever has the bytes may send them too
    assert stored(tmp_path, PICTURE)


def test_a_station_cannot_spoil_what_another_one_sends(tmp_path: Path, cloud: Cloud) -> None:
    announce(cloud, PICTURE)
    announce(cloud, PICTURE, "vandal")
    cloud.take(topics.file_chunk("vandal", SHA, 0), bytes(BLOCK_BYTES))
    cloud.said.clear()
    uploads = ListedUploads(PICTURE)
    Way(FileSender(STATION, uploads), cloud).until(lambda: uploads.settled)
    assert stored(tmp_path, PICTURE)


@pytest.mark.parametrize(
    ("subject", "payload"),
    [
        pytest.param(f"file/{SHA}/1", b"x", id="an offset between two blocks"),
        pytest.param(f"file/{SHA}/{4 * BLOCK_BYTES}", b"x", id="an offset behind the end"),
        pytest.param(f"file/{SHA}/0", b"x", id="a block too short"),
        pytest.param(f"file/{SHA}/0", bytes(BLOCK_BYTES + 1), id="a block too long"),
        pytest.param(f"file/{SHA}/00", bytes(BLOCK_BYTES), id="an offset written otherwise"),
        pytest.param("file/../../etc/init", b"{}", id="a name that is a path"),
        pytest.param(f"file/{SHA.upper()}/init", b"{}", id="a name in capitals"),
        pytest.param(f"file/{SHA}/init", init_of(b"other"), id="a topic of one file, a word of another"),
        pytest.param(f"file/{SHA}/init", b"not json", id="no JSON"),
        pytest.param(f"file/{SHA}/fin", b"{}", id="an empty fin"),
        pytest.param(f"file/{SHA}/end", b"{}", id="an unknown verb"),
        pytest.param(f"file/{SHA}", b"{}", id="no verb"),
    ],
)
def test_what_is_no_piece_of_an_announced_file_is_refused(cloud: Cloud, subject: str, payload: bytes) -> None:
    announce(cloud, PICTURE)
    with pytest.raises(LinkError, match=r"expected|blocks begin"):
        cloud.take(f"inspectd/v1/{STATION}/up/{subject}", payload)
    assert chunks(cloud) == 0


def test_a_file_that_is_too_large_is_refused_for_good(cloud: Cloud) -> None:
    cloud.take(topics.file_init(STATION, SHA), init_of(PICTURE, size_bytes=2 * 1024**3))
    assert "at most" in (last_ack(cloud).error or "")
    assert states(cloud) == {}


def test_a_piece_of_a_file_that_nobody_announced_is_answered_with_nothing_held(cloud: Cloud) -> None:
    send_block(cloud, PICTURE, 0)
    assert last_ack(cloud).ranges == []
    assert chunks(cloud) == 0


def test_a_station_holds_few_files_open_and_the_one_that_rested_longest_gives_way(tmp_path: Path) -> None:
    def make(place: str) -> list[FileDesk]:
        return [FileDesk(place, FolderBlobs(tmp_path / "blobs"), FileLimits(open_files=2))]

    cloud = Cloud(tmp_path / "cloud.db", make)
    contents = [picture(BLOCK_BYTES + 1, seed) for seed in range(3)]
    for content in contents:
        announce(cloud, content)
        send_block(cloud, content, 0)
    assert {sha256 for _, sha256 in states(cloud)} == {sha256_of(content) for content in contents[1:]}
    assert chunks(cloud) == 2
    cloud.close()
