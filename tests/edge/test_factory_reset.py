"""A factory reset: only when meant, no word unsent unless that is meant too, and whole however it is ended."""

import shutil
from pathlib import Path

import pytest
from backup_kit import dies_at, everything, make_station
from edge_rows import rows
from line_kit import Line
from spool_kit import execute, fill
from station_kit import Station, make_bundle, run_json, write_frames

from edge.backup.changing_over import Changeover, begin
from edge.backup.resetting import Reset, reset
from edge.config import load_config
from edge.domain.errors import ConfigError, StorageError
from edge.record.lock import UNFINISHED, OwnedError, sole_owner

STAYS = {"station.toml", "golden.png", "top.password", "pictures/fine.png", "pictures/blot.png", "data/theirs.txt"}


@pytest.fixture(scope="module")
def _ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    station = make_station(tmp_path_factory.mktemp("ran") / "station")
    data = station.folder / "data"
    (data / "theirs.txt").write_text("not ours")
    for folder in ("images/ab", "cache", "releases", "before-restore-1", ".backup-x"):
        (data / folder).mkdir(parents=True)
        (data / folder / "file").write_text("x")
    return station.folder


@pytest.fixture
def station(_ran: Path, tmp_path: Path) -> Station:
    return Station(shutil.copytree(_ran, tmp_path / "station", symlinks=True))


def reset_of(station: Station, confirm: str = "test-1", *, lose: bool = True, config_too: bool = False) -> Reset:
    return reset(load_config(station.config), confirm, lose_waiting=lose, config_too=config_too)


def test_nothing_of_the_station_is_left_but_its_file_and_what_is_not_ours(station: Station) -> None:
    done = reset_of(station)
    assert set(everything(station.folder)) == STAYS
    assert done.revoke
    assert str(station.folder / "data" / "identity" / "identity.pem") == done.removed[0]
    assert not any(Path(path).exists() for path in done.removed)
    assert {Path(path).name for path in done.removed} > {"station.db", "bundles", "masters", "images", "cache"}
    assert reset_of(station, config_too=True).removed == [str(station.config)]


def test_a_key_that_was_being_written_when_somebody_was_killed_goes_too(station: Station) -> None:
    identity = station.folder / "data" / "identity"
    for name in (".identity.pem.0a1b2c3d4e5f", ".pending.key.0a1b2c3d4e5f", ".identity.pem.part", "enrolment"):
        (identity / name).write_text("a key")
    reset_of(station)
    assert list(identity.iterdir()) == []


def test_what_lies_behind_a_link_is_not_said_to_be_removed(station: Station, tmp_path: Path) -> None:
    images, elsewhere = station.folder / "data" / "images", tmp_path / "large-disk"
    shutil.move(images, elsewhere)
    images.symlink_to(elsewhere)
    before = everything(station.folder)
    with pytest.raises(StorageError, match=r"images is a link to .*large-disk"):
        reset_of(station)
    assert everything(station.folder) == before
    images.unlink()
    assert reset_of(station).removed


def test_without_the_stations_id_nothing_is_removed(station: Station) -> None:
    before = everything(station.folder)
    with pytest.raises(ConfigError, match="'test-1', got 'line-2'"):
        reset_of(station, "line-2")
    assert everything(station.folder) == before


def test_what_waits_for_the_cloud_is_not_lost_unless_that_is_meant(station: Station) -> None:
    before = everything(station.folder)
    (waiting,) = rows(station.database, "SELECT count(*) FROM outbox")
    assert reset_of(station, lose=False) == Reset(waiting=int(str(waiting[0])))
    code, said = run_json(["edge", "factory-reset", "--confirm", "test-1", "-c", str(station.config), "--json"])
    assert (code, said["ok"], said["waiting"]) == (1, False, waiting[0])
    assert everything(station.folder) == before
    aside = station.folder / "data" / "before-restore-1" / "station.db"
    shutil.copy(station.database, aside)
    execute(station.database, "DELETE FROM outbox")
    assert reset_of(station, lose=False).waiting == waiting[0]
    execute(aside, "DELETE FROM outbox")
    assert reset_of(station, lose=False).removed


def test_a_restore_that_ended_half_way_is_ended_first(station: Station) -> None:
    plan = Changeover("restore", "", "before-restore-2", (), (), str(station.config), str(station.folder))
    begin(station.folder / "data", plan)
    with pytest.raises(StorageError, match="call that again first"):
        reset_of(station, lose=False)
    assert reset_of(station).removed
    assert set(everything(station.folder)) == STAYS


def test_what_waits_in_a_database_that_cannot_be_read_is_not_taken_for_nothing(station: Station) -> None:
    station.database.write_bytes(b"no database" * 1000)
    before = everything(station.folder)
    with pytest.raises(StorageError, match="--lose-waiting-records goes on"):
        reset_of(station, lose=False)
    assert everything(station.folder) == before


def test_beside_a_running_daemon_nothing_is_removed(station: Station) -> None:
    before = everything(station.folder)
    with sole_owner(station.folder / "data"), pytest.raises(OwnedError, match="stop that one first"):
        reset_of(station)
    assert everything(station.folder) == before


@pytest.mark.parametrize("apart", [9, pytest.param(1, marks=pytest.mark.soak)])
def test_a_reset_that_is_killed_is_ended_by_the_next_call_and_no_daemon_starts_meanwhile(
    station: Station, apart: int
) -> None:
    halves = 0
    for step in range(0, 1000, apart):
        tried = Station(shutil.copytree(station.folder, station.folder.parent / f"tried-{step}", symlinks=True))
        died = dies_at(step, lambda tried=tried: reset_of(tried))
        if (tried.folder / "data" / UNFINISHED).exists():
            halves += 1
            half_done = pytest.raises(StorageError, match=r"edge factory-reset.*call it again")
            with half_done, sole_owner(tried.folder / "data"):
                pass
            assert reset_of(tried, lose=False).waiting == 0
        elif died:
            reset_of(tried)
        assert set(everything(tried.folder)) == STAYS
        shutil.rmtree(tried.folder)
        if not died:
            break
    assert halves > 2
    assert not died


def test_after_it_a_station_starts_clean(tmp_path: Path) -> None:
    line = Line.at(tmp_path)
    line.station.write_config()
    write_frames(line.station.folder / "frames", 4)
    fill(line.station.database, 30)
    reset_of(line.station)
    make_bundle(line.station.bundles)
    with line.daemon():
        assert line.run_parts(3)["untold"] == 0
    assert len(line.records()) == 3
