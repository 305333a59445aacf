"""What would replace a server goes up whole, without a secret, and is named only once the cloud has all of it."""

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from backup_kit import KEY, PASSWORD, everything, make_station
from file_kit import Cloud, ListedUploads, Way, file_cloud, picture
from station_kit import Station, make_bundle

from cloud_sync.hub.files.blobs import FolderBlobs
from cloud_sync.hub.sparing import make_spare
from cloud_sync.hub.station_desks import HealthDesk, kit_of
from cloud_sync.hub.store.errors import BlobError, StoreError
from cloud_sync.station.files import FilePace, FileSender
from cloud_sync.wire.kit import KitError, open_kit
from cloud_sync.wire.messages import HealthMessage
from edge.backup.restoring import restore
from edge.backup.uploads import StationUploads
from edge.config import load_config
from edge.record.database import epoch_of, open_database
from models.bundle_store import activate
from models.progress import SilentProgress

NAME = "test-1"


class Images(ListedUploads):
    """The images' own list."""

    def close(self) -> None:
        """Nothing is held."""


@pytest.fixture(scope="module")
def _ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_station(tmp_path_factory.mktemp("ran") / "station", parts=3).folder


@pytest.fixture
def station(_ran: Path, tmp_path: Path) -> Station:
    return Station(shutil.copytree(_ran, tmp_path / "station", symlinks=True))


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    with file_cloud(tmp_path) as one:
        yield one


class Sending:
    """A station's kit on its way."""

    def __init__(self, station: Station, cloud: Cloud, *images: bytes) -> None:
        self.images = Images(*images)
        self.clock_s = 0.0
        self.uploads = StationUploads(load_config(station.config), self.images, lambda: self.clock_s)
        self.way = Way(FileSender(NAME, self.uploads, FilePace(2, 4)), cloud)
        self.cloud = cloud

    def pass_time(self, seconds: float = 40) -> None:
        self.clock_s += seconds

    def until_held(self, other_than: str | None = None) -> str:
        self.way.until(lambda: self.uploads.held not in {None, other_than})
        assert self.uploads.held is not None
        self.tell()
        return self.uploads.held

    def tell(self) -> None:
        """As the station's next word on how it is does."""
        counts = dict.fromkeys(("dead_letters", "losses", "uploads", "spool_bytes", "disk_free_bytes"), 0)
        counts["uploads"] = len(self.images.rows)
        word = {
            "at": "2026-07-01T12:00:00Z",
            "epoch": "0" * 32,
            "ready": True,
            "faults": {},
            "alarms": {},
            "outbox": {},
        }
        message = HealthMessage.model_validate(word | counts | {"kit": self.uploads.held})
        with self.cloud.engine.begin() as connection:
            HealthDesk().take(connection, NAME, "health", message.pack(), 0)


def blobs(cloud: Cloud) -> FolderBlobs:
    return FolderBlobs(Path(cloud.place).parent / "blobs")


def spare(cloud: Cloud, name: str = "kit.tar") -> Path:
    out = Path(cloud.place).parent / name
    make_spare(cloud.place, blobs(cloud), NAME, out)
    return out


def test_the_cloud_alone_makes_the_station_again_and_was_given_no_secret(
    station: Station, cloud: Cloud, tmp_path: Path
) -> None:
    Sending(station, cloud).until_held()
    for path in (tmp_path / "blobs").rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        assert not any(secret in content for secret in (KEY.encode(), PASSWORD.encode(), b"login-in-the-file"))
    done = restore(spare(cloud), tmp_path / "other" / "station.toml", SilentProgress(), force=False)
    assert done.epoch == ""
    assert any("login" in what for what in done.left_out)
    kept = ("data/bundles", "data/masters", "data/plans", "data/scales", "data/checks", "golden.png")
    mine, theirs = (
        {name: digest for name, digest in everything(folder).items() if name.startswith(kept)}
        for folder in (station.folder, tmp_path / "other")
    )
    assert mine == theirs
    assert len(mine) > 12
    assert not (tmp_path / "other" / "data" / "station.db").exists()
    assert load_config(tmp_path / "other" / "station.toml").station.id == NAME


def test_images_wait_for_the_kit_and_then_go_up_and_a_spare_says_what_waited(station: Station, cloud: Cloud) -> None:
    sending = Sending(station, cloud, picture(40_000), picture(50_000, 2))
    sending.until_held()
    assert make_spare(cloud.place, blobs(cloud), NAME, Path(cloud.place).with_name("first.tar")).waited == 2
    assert sending.images.settled == []
    sending.way.until(lambda: not sending.images.rows)


def test_a_kit_that_did_not_change_is_not_sent_again_and_one_that_did_is(station: Station, cloud: Cloud) -> None:
    sending = Sending(station, cloud)
    first = sending.until_held()
    sent = len(sending.way.sent)
    sending.pass_time()
    sending.way.step()
    assert len(sending.way.sent) == sent
    (station.folder / "data" / "plans" / "new.json").write_text('{"new": 1}')
    sending.pass_time()
    second = sending.until_held(first)
    with spare(cloud).open("rb") as file, open_kit(file) as (manifest, _):
        assert "data/plans/new.json" in manifest.files
    again = Sending(station, cloud)
    assert again.until_held() == second
    assert not [topic for topic, _ in again.way.sent if not topic.endswith("/init")]


def test_a_file_that_vanishes_half_way_leaves_the_last_whole_kit_named(station: Station, cloud: Cloud) -> None:
    sending = Sending(station, cloud)
    first = sending.until_held()
    new = station.folder / "data" / "plans" / "new.json"
    new.write_text('{"new": 1}')
    sending.pass_time()
    sending.uploads.waiting(1)
    new.unlink()
    for _ in range(8):
        sending.way.step()
    assert sending.uploads.held == first
    assert spare(cloud).exists()


def test_a_damaged_bundle_stops_its_kit_is_said_and_once_mended_goes_up(station: Station, cloud: Cloud) -> None:
    report = station.bundles / "blob" / "v1" / "report.html"
    good = report.read_bytes()
    report.write_bytes(bytes(len(good)))
    sending = Sending(station, cloud)
    sending.way.until(lambda: "damaged on this disk" in sending.uploads.why)
    report.write_bytes(good)
    sending.pass_time(400)
    sending.until_held()
    assert sending.uploads.why == ""


def test_whatever_gets_lost_on_the_way_the_kit_arrives(station: Station, cloud: Cloud) -> None:
    sending, count = Sending(station, cloud), iter(range(10**6))
    sending.way.loses = lambda _topic: next(count) % 5 == 0
    sending.until_held()
    assert spare(cloud).exists()


def test_a_start_that_has_named_no_kit_yet_does_not_make_the_cloud_forget_the_last(
    station: Station, cloud: Cloud
) -> None:
    held = Sending(station, cloud).until_held()
    Sending(station, cloud).tell()
    with cloud.engine.connect() as connection:
        assert kit_of(connection, NAME) == held


def test_a_station_that_is_not_to_send_its_kit_sends_none(station: Station, cloud: Cloud) -> None:
    station.config.write_text(station.config.read_text() + "[sync]\nspare_kit = false\n")
    sending = Sending(station, cloud)
    for _ in range(5):
        sending.way.step()
    assert sending.way.sent == []
    with pytest.raises(StoreError, match=r"never sent .* is sync\.spare_kit on"):
        spare(cloud)


def test_an_older_bundle_that_runs_again_is_in_the_kit_as_active(station: Station, cloud: Cloud) -> None:
    make_bundle(station.bundles, version=2)
    shutil.rmtree(station.bundles / ".source-blob-2")
    activate(station.bundles, "blob", 1)
    Sending(station, cloud).until_held()
    with spare(cloud).open("rb") as file, open_kit(file) as (manifest, _):
        assert manifest.links == {"data/bundles/blob/active": "v1", "data/bundles/blob/previous": "v2"}


def test_a_spare_is_whole_or_there_is_none(station: Station, cloud: Cloud, tmp_path: Path) -> None:
    sending = Sending(station, cloud)
    held = sending.until_held()
    out = spare(cloud)
    with pytest.raises(StoreError, match="left as it is"):
        spare(cloud)
    largest = max((path for path in (tmp_path / "blobs").rglob("*") if path.is_file()), key=lambda p: p.stat().st_size)
    content = largest.read_bytes()
    largest.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(KitError):
        spare(cloud, "damaged.tar")
    largest.unlink()
    with pytest.raises(BlobError):
        spare(cloud, "absent.tar")
    with cloud.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM files WHERE sha256 = ?", (largest.name,))
    with pytest.raises(StoreError, match="never sent"):
        spare(cloud, "never.tar")
    assert [path.name for path in tmp_path.glob("*.tar")] == [out.name]
    assert held


def test_a_station_gets_nothing_into_its_kit_that_another_one_sent(station: Station, cloud: Cloud) -> None:
    sending = Sending(station, cloud)
    sending.until_held()
    with cloud.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE files SET station = 'other' WHERE size_bytes > 5000")
    with pytest.raises(StoreError, match="never sent"):
        spare(cloud)


def test_the_epoch_of_the_kits_files_is_the_stations(station: Station) -> None:
    uploads = StationUploads(load_config(station.config), Images())
    with closing(open_database(station.database)) as connection:
        assert {one.epoch for one in uploads.waiting(3)} == {epoch_of(connection)}
    assert {one.belongs_to for one in uploads.waiting(3)} == {"station"}
