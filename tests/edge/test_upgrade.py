"""Upgrades keep the way back, need room for it, and what a newer version wrote is refused with the ways out."""

import contextlib
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from backup_kit import dies_at, everything
from disk_kit import tiny_disk
from old_station import EPOCH, old_database, old_station
from station_kit import make_bundle

from edge.config import load_config
from edge.daemon import run_daemon
from edge.domain.errors import InspectdError, StorageError, exit_code
from edge.record.database import current_epoch, forget_upgrade, open_database
from edge.record.migrating import copy_path
from models.bundle import open_bundle
from models.errors import ModelError

DAY_S = 86_400


def schema_of(path: Path) -> tuple[str, int]:
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        (version,) = connection.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
        (count,) = connection.execute("SELECT count(*) FROM records").fetchone()
        return str(version), int(count)


def test_before_an_upgrade_the_database_is_kept_as_it_was(tmp_path: Path) -> None:
    path = old_database(tmp_path)
    before = schema_of(path)
    with closing(open_database(path)):
        pass
    assert schema_of(path) == ("2", before[1])
    assert schema_of(copy_path(path, 2)) == before == ("1", 52)
    made_s = copy_path(path, 2).stat().st_mtime
    forget_upgrade(path, made_s + 29 * DAY_S)
    assert copy_path(path, 2).exists()
    forget_upgrade(path, made_s + 31 * DAY_S)
    assert not copy_path(path, 2).exists()
    with closing(open_database(path)):
        assert not copy_path(path, 2).exists()


def test_an_upgrade_killed_at_any_file_leaves_the_old_database_or_the_new_one(tmp_path: Path) -> None:
    for step in range(100):
        path = old_database(tmp_path / f"{step}")
        died = dies_at(step, lambda path=path: open_database(path).close())
        assert schema_of(path)[1] == 52
        with closing(open_database(path)) as connection:
            assert current_epoch(connection)[0] == 1
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert schema_of(copy_path(path, 2)) == ("1", 52)
        if not died:
            break
    assert step > 2
    assert not died


def test_without_room_an_upgrade_says_so_and_changes_nothing(tmp_path: Path) -> None:
    with tiny_disk(tmp_path / "disk", size_mb=4) as disk:
        path = old_database(disk)
        before = everything(disk)
        with pytest.raises(StorageError, match=r"bytes on its disk; .* are free: nothing was changed; make room"):
            open_database(path)
        assert everything(disk) == before
        assert schema_of(path) == ("1", 52)


def test_a_disk_that_fills_up_while_it_is_brought_forward_leaves_the_old_database(tmp_path: Path) -> None:
    with tiny_disk(tmp_path / "disk", size_mb=2) as disk:
        path, filler = old_database(disk), disk / "filler"
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(bytes(4096)):
                pass
        with pytest.raises(StorageError, match=r"full|disk I/O"):
            open_database(path, keeps_copy=False)
        filler.unlink()
        assert schema_of(path) == ("1", 52)
        with closing(open_database(path, keeps_copy=False)) as connection:
            assert current_epoch(connection) == (1, EPOCH)
        assert schema_of(path) == ("2", 52)


def newer_database(folder: Path) -> str:
    path = folder / "data" / "station.db"
    open_database(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("UPDATE meta SET value = '7' WHERE key = 'schema'; PRAGMA wal_checkpoint(TRUNCATE);")
    return "has schema 7, this version reads 2: nothing was changed; install the newer inspectd again"


def newer_config(folder: Path) -> str:
    config = folder / "station.toml"
    config.write_text(config.read_text() + "[tomorrow]\nx = 1\n")
    return "unknown key 'tomorrow'"


def newer_bundle(folder: Path) -> str:
    manifest = folder / "data" / "bundles" / "blob" / "v1" / "bundle.json"
    manifest.write_text(manifest.read_text().replace("inspectd/bundle/1", "inspectd/bundle/2"))
    return "found 'inspectd/bundle/2', this version knows 'inspectd/bundle/1'"


@pytest.mark.parametrize(("make", "code"), [(newer_database, 3), (newer_config, 2), (newer_bundle, 3)])
def test_what_a_newer_version_wrote_is_refused_with_the_way_out_and_not_a_byte_changes(
    tmp_path: Path, make: object, code: int
) -> None:
    station = old_station(tmp_path / "station", broker=None)
    station.database.unlink()
    make_bundle(station.bundles)
    assert callable(make)
    why = make(station.folder)
    before = everything(station.folder)
    with pytest.raises((InspectdError, ModelError)) as raised:
        run_daemon(load_config(station.config))
    assert exit_code(raised.value) == code
    assert why in str(raised.value)
    assert "newer" in str(raised.value)
    assert {name: digest for name, digest in everything(station.folder).items() if "cache" not in name} == before


def test_a_newer_bundle_is_told_from_a_damaged_one(tmp_path: Path) -> None:
    path = make_bundle(tmp_path).path
    text = (path / "bundle.json").read_text()
    (path / "bundle.json").write_text(text.replace("inspectd/bundle/1", "inspectd/bundle/2"))
    with pytest.raises(ModelError, match="install the newer inspectd again, or `edge bundle rollback`"):
        open_bundle(path)
    (path / "bundle.json").write_text(text.replace("inspectd/bundle/1", "something"))
    with pytest.raises(ModelError, match="restore the bundle or calibrate again"):
        open_bundle(path)
