"""A backup holds all that makes a station, and no key; restored, it is this station again, in a new epoch."""

import os
import shutil
import tarfile
from contextlib import closing
from pathlib import Path

import pytest
from backup_kit import KEY, LOGIN, PASSWORD, dies_at, everything, make_station, records
from disk_kit import tiny_disk
from edge_rows import rows
from station_kit import Station, run_json

from cloud_sync.wire.kit import open_kit
from edge.backup.making import Wanted, make_backup
from edge.backup.restoring import Restored, restore
from edge.backup.secret_free import secret_free
from edge.config import load_config
from edge.domain.errors import ConfigError, StorageError
from edge.record.database import current_epoch, open_database
from edge.record.lock import UNFINISHED, OwnedError, sole_owner
from edge.record.recorder import Recorder
from models.progress import SilentProgress
from models.trust.verifying import read_taken

LEFTOVERS = ("data/.restoring", "data/before-restore", "data/changeover.part", ".station.toml.restoring")
KEPT = ("data/bundles", "data/masters", "data/plans", "data/scales", "data/checks", "golden.png", "station.toml")


@pytest.fixture(scope="module")
def _ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_station(tmp_path_factory.mktemp("ran") / "station").folder


@pytest.fixture
def station(_ran: Path, tmp_path: Path) -> Station:
    return Station(shutil.copytree(_ran, tmp_path / "station", symlinks=True))


def backup(station: Station, *, secrets: bool = False, images: bool = False) -> Path:
    target = station.folder.parent / "line-1.backup"
    wanted = Wanted(images=images, secrets=secrets)
    return make_backup(load_config(station.config), target, wanted, SilentProgress()).path


def put_back(archive: Path, config: Path, *, force: bool = False) -> Restored:
    return restore(archive, config, SilentProgress(), force=force)


def of_station(folder: Path) -> dict[str, str]:
    return {name: digest for name, digest in everything(folder).items() if name.startswith(KEPT)}


def test_a_restored_station_is_the_one_that_was_backed_up_file_by_file(station: Station, tmp_path: Path) -> None:
    archive = backup(station)
    assert archive.stat().st_mode & 0o777 == 0o600
    done = put_back(archive, tmp_path / "other" / "station.toml")
    assert of_station(tmp_path / "other") == of_station(station.folder)
    assert len(of_station(station.folder)) > 12
    assert done.aside is None
    with closing(open_database(tmp_path / "other" / "data" / "station.db")) as connection:
        assert current_epoch(connection) == (2, done.epoch)
    assert records(tmp_path / "other" / "data" / "station.db") == records(station.database)
    assert not [
        path for path in everything(tmp_path) if path.endswith(".part") or "restoring" in path or ".backup-" in path
    ]


def test_which_releases_were_taken_goes_with_a_station_and_an_old_backup_takes_none_of_it_back(
    station: Station, tmp_path: Path
) -> None:
    """Else a signed release of long ago, with a known fault, would be taken again."""
    taken = station.folder / "data" / "trust" / "taken.json"
    taken.parent.mkdir(exist_ok=True)
    taken.write_text('{"blob": 4, "cap": 9}')
    archive = backup(station)
    put_back(archive, tmp_path / "other" / "station.toml")
    assert read_taken(tmp_path / "other" / "data" / "trust" / "taken.json") == {"blob": 4, "cap": 9}
    taken.write_text('{"blob": 7, "lid": 1}')
    (taken.parent / "timestamp.json").write_text("seen")
    put_back(archive, station.config, force=True)
    assert read_taken(taken) == {"blob": 7, "cap": 9, "lid": 1}
    assert (taken.parent / "timestamp.json").read_text() == "seen"


@pytest.mark.parametrize("asked", [False, True], ids=["left out", "asked for by name"])
def test_keys_and_passwords_are_in_a_backup_only_when_asked_for_by_name(station: Station, *, asked: bool) -> None:
    archive = backup(station, secrets=asked)
    content = archive.read_bytes()
    assert (KEY.encode() in content, PASSWORD.encode() in content) == (asked, asked)
    put_back(archive, station.folder.parent / "other" / "station.toml")
    key = station.folder.parent / "other" / "data" / "identity" / "identity.pem"
    assert key.exists() == asked
    assert not asked or (key.stat().st_mode & 0o777, key.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    with archive.open("rb") as file, open_kit(file) as (manifest, _):
        assert any("password file" in what for what in manifest.left_out) != asked


def test_what_goes_to_the_cloud_holds_no_login_wherever_somebody_wrote_it(station: Station) -> None:
    text = station.config.read_text() + '# see mail@x  http://a/b?token=abcdef\n[metrics]\n#x = "https://me:you@h/"\n'
    clean, changed = secret_free(text)
    assert changed == 4
    assert not any(secret in clean for secret in ("login-in-the-file", "abcdef", "me:you", "eve:"))
    assert clean.replace("***", "") != text
    assert [line for line in clean.splitlines() if "***" not in line] == [
        line for line in text.splitlines() if LOGIN not in line and "token" not in line and "me:you" not in line
    ]
    harmless = 'broker = "mqtts://host:8883"  # ask eve@site\n'
    assert secret_free(harmless) == (harmless, 0)
    with pytest.raises(ConfigError, match="password_file"):
        secret_free('source = "rtsp://eve:a\\u0040b c@camera"\n')


def test_of_what_was_open_then_a_restored_database_says_nothing(station: Station, tmp_path: Path) -> None:
    before = records(station.database)
    done = put_back(backup(station), tmp_path / "other" / "station.toml")
    assert done.was_open == 2
    path = tmp_path / "other" / "data" / "station.db"
    for _ in range(2):
        recorder = Recorder(
            "test-1",
            path,
            keeps_image=lambda _inspection: False,
            on_committed=lambda _committed, _frames: None,
            on_unrecorded=lambda _inspection: None,
            on_storage=lambda _works, _why: None,
        )
        recorder.start()
        recorder.settle(10)
        recorder.stop(10)
    assert records(path) == before
    assert rows(path, "SELECT count(*) FROM inspections WHERE outcome IS NULL") == [(0,)]


def test_a_backup_never_overwrites_a_file_and_one_that_fails_leaves_none(station: Station) -> None:
    archive = backup(station)
    held = archive.read_bytes()
    with pytest.raises(ConfigError, match="left as it is"):
        backup(station)
    assert archive.read_bytes() == held
    archive.unlink()
    (station.bundles / "blob" / "v1" / "model.bin").write_bytes(b"damaged")
    with pytest.raises(Exception, match=r"model\.bin changed while it was read"):
        backup(station)
    assert [path.name for path in station.folder.parent.iterdir()] == ["station"]


def test_a_backup_into_a_folder_that_is_not_there_names_it(station: Station, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"away/b\.tar: its folder is not there"):
        make_backup(load_config(station.config), tmp_path / "away" / "b.tar", Wanted(), SilentProgress())


def test_a_station_that_is_here_is_replaced_only_by_force_and_then_kept_aside(station: Station) -> None:
    archive = backup(station)
    before = everything(station.folder)
    with pytest.raises(ConfigError, match="--force moves it aside"):
        put_back(archive, station.config)
    assert everything(station.folder) == before
    (station.folder / "data" / "plans" / "newer.json").write_text("{}")
    (station.folder / "data" / "images" / "ab").mkdir(parents=True)
    (station.folder / "data" / "images" / "ab" / "newer.png").write_text("of the station that goes aside")
    station.config.write_text(station.config.read_text() + "# newer\n")
    done = put_back(archive, station.config, force=True)
    assert done.aside is not None
    assert (done.aside / "plans" / "newer.json").exists()
    assert (done.aside / "images" / "ab" / "newer.png").exists()
    assert "# newer" in (done.aside / "station.toml").read_text()
    assert records(done.aside / "station.db") == records(station.database)
    after = everything(station.folder, but=("data/before-restore", "data/station.db", "data/images"))
    assert after == {name: digest for name, digest in before.items() if not name.startswith("data/station.db")}
    assert (station.folder / "data" / "identity" / "identity.pem").read_text() == KEY


def test_beside_a_running_daemon_nothing_is_restored(station: Station) -> None:
    archive = backup(station)
    before = everything(station.folder)
    with sole_owner(station.folder / "data"), pytest.raises(OwnedError, match="stop that one first"):
        put_back(archive, station.config, force=True)
    assert everything(station.folder) == before


@pytest.mark.parametrize("apart", [13, pytest.param(1, marks=pytest.mark.soak)])
def test_a_restore_killed_anywhere_leaves_the_old_station_or_goes_on_to_the_new_one(
    station: Station, apart: int
) -> None:
    archive, root = backup(station), station.folder.parent
    old = everything(station.folder, but=("data/.restoring",))
    fates = {"old": 0, "half": 0}
    for step in range(0, 2000, apart):
        tried = Station(shutil.copytree(station.folder, root / f"tried-{step}", symlinks=True))
        (tried.folder / "data" / "plans" / "newer.json").write_text("{}")
        died = dies_at(step, lambda tried=tried: put_back(archive, tried.config, force=True))
        half = (tried.folder / "data" / UNFINISHED).exists()
        found = everything(tried.folder, but=LEFTOVERS)
        if half:
            with pytest.raises(StorageError, match=r"edge restore.*call it again"), sole_owner(tried.folder / "data"):
                pass
            assert put_back(archive, tried.config, force=True).finished
        elif found.pop("data/plans/newer.json", None):
            assert found == old
            put_back(archive, tried.config, force=True)
            fates["old"] += 1
        fates["half"] += half
        assert not (tried.folder / "data" / "plans" / "newer.json").exists()
        with closing(open_database(tried.database)) as connection:
            assert current_epoch(connection)[0] == 2
        assert of_station(tried.folder) == of_station(station.folder)
        shutil.rmtree(tried.folder)
        if not died:
            break
    assert min(fates.values()) > 1
    assert not died


def test_the_database_of_before_an_upgrade_is_put_back_alone_and_counts_anew(station: Station) -> None:
    copy = shutil.copy(station.database, station.folder / "data" / "station.db.before-3")
    with closing(open_database(station.database)) as connection:
        connection.execute("UPDATE meta SET value = '3' WHERE key = 'schema'")
    with pytest.raises(StorageError, match=r"has schema 3, this version reads 2: .*edge restore .*station.db.before-3"):
        open_database(station.database)
    done = put_back(Path(copy), station.config, force=True)
    assert rows(station.database, "SELECT count(*) FROM epochs") == [(2,)]
    assert done.aside is not None
    assert (done.aside / "station.db").exists()
    assert of_station(station.folder)


def test_an_archive_is_a_plain_tar_that_begins_with_what_is_in_it(station: Station) -> None:
    with tarfile.open(backup(station)) as archive:
        names = archive.getnames()
    assert names[:2] == ["manifest.json", "station.toml"]
    assert "data/station.db" in names


def test_a_backup_that_is_killed_leaves_all_of_it_or_nothing_and_the_next_one_works(station: Station) -> None:
    archive = station.folder.parent / "line-1.backup"
    for step in range(0, 400, 4):
        died = dies_at(step, lambda: backup(station))
        if archive.exists():
            assert put_back(archive, station.folder.parent / f"other-{step}" / "station.toml").station == "test-1"
        if not died:
            break
        archive.unlink(missing_ok=True)
    assert step > 8
    assert not died
    left = [path.name for path in (station.folder / "data").iterdir() if path.name.startswith(".backup-")]
    assert left == []
    assert archive.exists()


@pytest.mark.parametrize("which", ["backup", "restore"])
def test_on_a_disk_without_room_nothing_is_left_half_written(station: Station, tmp_path: Path, which: str) -> None:
    archive = backup(station)
    before, config = everything(station.folder), load_config(station.config)
    with tiny_disk(tmp_path / "disk", size_mb=1) as disk:
        work = {
            "backup": lambda: make_backup(config, disk / "line-1.backup", Wanted(), SilentProgress()),
            "restore": lambda: put_back(archive, disk / "station.toml"),
        }[which]
        with pytest.raises(StorageError, match=r"bytes free, this.* needs"):
            work()
        assert set(everything(disk)) == set()
    assert everything(station.folder) == before


def test_a_backup_on_the_stations_own_disk_leaves_it_its_floor_or_images_would_go_for_it(
    station: Station, tmp_path: Path
) -> None:
    with tiny_disk(tmp_path / "disk", size_mb=32) as disk:
        here = Station(shutil.copytree(station.folder, disk / "station", symlinks=True))
        images = disk / "station" / "data" / "images" / "ab"
        images.mkdir(parents=True, exist_ok=True)
        (images / "large.png").write_bytes(os.urandom(8 << 20))
        text = here.config.read_text().replace("[retention]", f"[retention]\nfree_bytes = {18 << 20}")
        here.config.write_text(text)
        with pytest.raises(StorageError, match=r"retention\.free_bytes"):
            make_backup(load_config(here.config), disk / "b.tar", Wanted(images=True), SilentProgress())
        assert not (disk / "b.tar").exists()
        assert make_backup(load_config(here.config), tmp_path / "b.tar", Wanted(images=True), SilentProgress()).path


@pytest.mark.parametrize("with_images", [False, True], ids=["images stay", "images are replaced"])
def test_images_on_a_disk_of_their_own_are_held_there_or_nothing_is_begun(
    station: Station, *, with_images: bool
) -> None:
    archive = station.folder.parent / "b.tar"
    images = station.folder / "data" / "images"
    (images / "ab").mkdir(parents=True)
    (images / "ab" / "old.png").write_text("old")
    make_backup(load_config(station.config), archive, Wanted(images=with_images), SilentProgress())
    shutil.rmtree(images)
    with tiny_disk(images, size_mb=4):
        (images / "ab").mkdir()
        (images / "ab" / "newer.png").write_text("newer")
        before = everything(station.folder)
        if with_images:
            with pytest.raises(StorageError, match=r"is a mount point .* nothing was changed"):
                put_back(archive, station.config, force=True)
            assert everything(station.folder) == before
        else:
            done = put_back(archive, station.config, force=True)
            assert done.aside is not None
            (images / "ab" / "newer.png").unlink()  # as the daemon does: the new database does not know it
            assert (done.aside / "images" / "ab" / "newer.png").read_text() == "newer"


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files to another user needs root")
def test_what_root_restores_belongs_to_the_stations_own_user(station: Station, tmp_path: Path) -> None:
    archive, data = backup(station, secrets=True), tmp_path / "other" / "data"
    data.mkdir(parents=True)
    os.chown(data, 65534, 65534)
    put_back(archive, tmp_path / "other" / "station.toml")
    wrong = [path for path in data.rglob("*") if path.lstat().st_uid != 65534]
    assert wrong == []
    config = (tmp_path / "other" / "station.toml").stat()
    assert (config.st_uid, config.st_gid, config.st_mode & 0o777) == (0, 65534, 0o640)


def test_the_command_says_what_is_in_the_backup_and_what_is_not(station: Station, tmp_path: Path) -> None:
    asked = ["edge", "backup", str(tmp_path / "b.tar"), "--images", "-c", str(station.config)]
    code, said = run_json([*asked, "--json"])
    assert (code, said["ok"], said["path"]) == (0, True, str(tmp_path / "b.tar"))
    assert said["size_bytes"] == (tmp_path / "b.tar").stat().st_size
    assert [what for what in said["left_out"] if "top.password" in what]
    code, said = run_json(["edge", "restore", str(tmp_path / "b.tar"), "-c", str(station.config), "--json"])
    assert code == 2
    assert "--force" in said["error"]
