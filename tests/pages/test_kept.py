"""The pages' users belong to one machine: no backup carries them, and a factory reset leaves none."""

import tarfile
from pathlib import Path

import pytest
from backup_kit import make_station
from pages_kit import let_in, visitor

from cloud_sync.pages.serving import Listen
from edge.backup.making import Wanted, make_backup
from edge.backup.resetting import reset
from edge.config import load_config
from edge.web.site import make_station_pages
from models.progress import SilentProgress


@pytest.mark.parametrize("secrets", [pytest.param(False, id="plain"), pytest.param(True, id="with secrets")])
def test_no_backup_carries_a_users_password_even_hashed(tmp_path: Path, secrets: bool) -> None:  # noqa: FBT001
    config = load_config(make_station(tmp_path / "station").config)
    let_in(make_station_pages(config, Listen()))
    made = make_backup(config, tmp_path / "kit", Wanted(images=False, secrets=secrets), SilentProgress())
    with tarfile.open(made.path) as archive:
        names = archive.getnames()
        contents = b"".join(file.read() for name in names if (file := archive.extractfile(name)))
    assert not [name for name in names if "pages" in name]
    assert b"$argon2id$" not in contents
    assert b"edge user add" in contents  # what was left out, and what to do


def test_a_factory_reset_leaves_no_user_and_the_pages_make_no_empty_database(tmp_path: Path) -> None:
    config = load_config(make_station(tmp_path / "station").config)
    app = make_station_pages(config, Listen())
    let_in(app)
    (config.station.data_dir / "pages" / "tray").mkdir(parents=True)
    admin = visitor(app, "admin")
    assert admin.get("/account").status_code == 200
    reset(config, "test-1", lose_waiting=True, config_too=False)
    assert admin.get("/account").status_code == 503
    assert list(config.station.data_dir.glob("pages*")) == []
