"""What comes as a backup and is none is refused, each kind by its own word, and nothing here changes."""

import gzip
import io
import json
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from backup_kit import everything
from station_kit import Station

from cloud_sync.wire.kit import KitError
from edge.backup.restoring import restore
from edge.cli import main
from edge.domain.errors import ConfigError, StorageError, exit_code
from edge.record.lock import sole_owner
from models.errors import ModelError
from models.progress import SilentProgress

CONFIG = """
[station]
id = "line-1"
[[camera]]
id = "top"
source = "frames"
[[product]]
id = "blob"
bundle = "blob"
"""


@dataclass
class Forged:
    """An archive to be spoiled: what its manifest says, and its members."""

    manifest: dict[str, Any]
    members: list[tuple[tarfile.TarInfo, bytes]] = field(default_factory=list)

    def add(self, name: str, content: bytes, **changes: object) -> None:
        """A member that the manifest names rightly, its header changed."""
        self.name(name, content)
        self.slip_in(name, content, **changes)

    def name(self, name: str, content: bytes) -> None:
        self.manifest["files"][name] = {"sha256": sha256(content).hexdigest(), "size_bytes": len(content)}

    def slip_in(self, name: str, content: bytes, **changes: object) -> None:
        header = tarfile.TarInfo(name)
        header.size = len(content)
        for what, value in changes.items():
            setattr(header, what, value)
        self.members.append((header, content))

    def pack(self) -> bytes:
        into = io.BytesIO()
        with tarfile.open(fileobj=into, mode="w") as archive:
            raw = json.dumps(self.manifest).encode()
            header = tarfile.TarInfo("manifest.json")
            header.size = len(raw)
            archive.addfile(header, io.BytesIO(raw))
            for member, content in self.members:
                archive.addfile(member, io.BytesIO(content) if member.isreg() else None)
        return into.getvalue()


def forged() -> Forged:
    made = Forged({"schema": "inspectd.kit.v1", "station": "line-1", "version": "9.9", "files": {}})
    made.add("station.toml", CONFIG.encode())
    made.add("data/plans/a.json", b"{}")
    return made


def traversal(made: Forged) -> None:
    made.add("data/../../evil", b"x")


def absolute(made: Forged) -> None:
    made.add("/tmp/evil", b"x")  # noqa: S108 - the attack


def beside_the_manifest(made: Forged) -> None:
    made.slip_in("data/../../evil", b"x")


def elsewhere(made: Forged) -> None:
    made.add("usr/bin/evil", b"x")


def backslash(made: Forged) -> None:
    made.add("data/..\\evil", b"x")


def symlink(made: Forged) -> None:
    made.add("data/plans/b", b"", type=tarfile.SYMTYPE, linkname="/etc")


def hardlink(made: Forged) -> None:
    made.add("data/plans/b", b"", type=tarfile.LNKTYPE, linkname="/etc/passwd")


def device(made: Forged) -> None:
    made.add("data/plans/b", b"", type=tarfile.CHRTYPE)


def folder(made: Forged) -> None:
    made.add("data/plans/b", b"", type=tarfile.DIRTYPE)


def link_out_of_the_manifest(made: Forged) -> None:
    made.manifest["links"] = {"data/bundles/../../active": "v1"}


def link_to_elsewhere(made: Forged) -> None:
    made.manifest["links"] = {"data/bundles/blob/active": "../../../etc"}


def twice(made: Forged) -> None:
    made.slip_in("data/plans/a.json", b"{}")


def missing(made: Forged) -> None:
    made.name("data/plans/b.json", b"{}")


def damaged(made: Forged) -> None:
    made.members[-1] = (made.members[-1][0], b"[]")


def longer(made: Forged) -> None:
    made.slip_in("data/plans/c.json", b"{} and more")
    made.name("data/plans/c.json", b"{}")


def bomb(made: Forged) -> None:
    made.name("data/station.db", b"x")
    made.manifest["files"]["data/station.db"]["size_bytes"] = 1 << 50


def newer(made: Forged) -> None:
    made.manifest["schema"] = "inspectd.kit.v2"


def newer_config(made: Forged) -> None:
    made.members.clear()
    made.add("station.toml", (CONFIG + "[tomorrow]\nx = 1\n").encode())
    made.add("data/plans/a.json", b"{}")


def other_station(made: Forged) -> None:
    made.manifest["station"] = "line-2"


def no_config(made: Forged) -> None:
    del made.manifest["files"]["station.toml"]
    del made.members[0]


def no_database(made: Forged) -> None:
    made.add("data/station.db", b"no database at all" * 100)


def no_bundle(made: Forged) -> None:
    made.add("data/bundles/blob/v1/bundle.json", b"{}")
    made.manifest["links"] = {"data/bundles/blob/active": "v1"}


REFUSED: list[tuple[Callable[[Forged], None], type[Exception], str]] = [
    (traversal, KitError, "leads nowhere else"),
    (absolute, KitError, "lies in beside, data, identity"),
    (beside_the_manifest, KitError, "its manifest does not name"),
    (elsewhere, KitError, "lies in beside, data, identity"),
    (backslash, KitError, "short and printable"),
    (symlink, KitError, "no plain file"),
    (hardlink, KitError, "no plain file"),
    (device, KitError, "no plain file"),
    (folder, KitError, "no plain file"),
    (link_out_of_the_manifest, KitError, "active and previous"),
    (link_to_elsewhere, KitError, "links"),
    (twice, KitError, "or names once"),
    (missing, KitError, "cut off"),
    (damaged, KitError, "take another copy"),
    (longer, KitError, "has 11 bytes, its manifest says 2"),
    (bomb, StorageError, "nothing was changed"),
    (newer, KitError, "found a kit of 'inspectd.kit.v2', this version knows 'inspectd.kit.v1'.*or a newer one"),
    (newer_config, ConfigError, "made by inspectd 9.9.*tomorrow.*nothing was changed; install that version"),
    (other_station, ConfigError, "of station 'line-2'"),
    (no_config, ConfigError, "does not begin with"),
    (no_database, StorageError, "database"),
    (no_bundle, ModelError, "bundle"),
]


@pytest.fixture
def station(tmp_path: Path) -> Station:
    """Somebody's station, which must not change."""
    made = Station(tmp_path / "station")
    made.write_config()
    (tmp_path / "station" / "data" / "plans").mkdir(parents=True)
    (tmp_path / "station" / "data" / "plans" / "mine.json").write_text("{}")
    return made


@pytest.mark.parametrize(("spoil", "error", "why"), REFUSED, ids=lambda given: getattr(given, "__name__", ""))
def test_an_archive_that_is_no_honest_backup_is_refused_and_changes_nothing(
    station: Station, tmp_path: Path, spoil: Callable[[Forged], None], error: type[Exception], why: str
) -> None:
    made, archive, before = forged(), tmp_path / "forged", everything(tmp_path)
    spoil(made)
    archive.write_bytes(made.pack())
    with pytest.raises(error, match=why) as raised:
        restore(archive, station.config, SilentProgress(), force=True)
    assert exit_code(raised.value) in {2, 3}
    archive.unlink()
    assert everything(tmp_path) == before


def test_the_honest_one_is_taken(station: Station, tmp_path: Path) -> None:
    archive = tmp_path / "honest"
    archive.write_bytes(forged().pack())
    assert restore(archive, station.config, SilentProgress(), force=True).station == "line-1"
    assert (tmp_path / "station" / "data" / "plans" / "a.json").exists()


OTHER_FILES = {
    "empty": b"",
    "zeros": bytes(20_000),
    "text": b"this is a letter\n" * 1000,
    "compressed": gzip.compress(forged().pack()),
    "cut off": forged().pack()[:2000],
}


@pytest.mark.parametrize("name", OTHER_FILES)
def test_a_file_that_is_no_archive_of_ours_is_refused(station: Station, tmp_path: Path, name: str) -> None:
    archive, before = tmp_path / "other", everything(tmp_path)
    archive.write_bytes(OTHER_FILES[name])
    with pytest.raises(KitError):
        restore(archive, station.config, SilentProgress(), force=True)
    archive.unlink()
    assert everything(tmp_path) == before


def test_a_file_that_is_not_there_is_said_so(station: Station, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="No such file"):
        restore(tmp_path / "nothing", station.config, SilentProgress(), force=True)
    shutil.rmtree(tmp_path / "station")


def _with_places(station: str = "", rest: str = "") -> bytes:
    return CONFIG.replace('id = "line-1"', f'id = "line-1"\n{station}').encode() + rest.encode()


def _placed(made: Forged, config: bytes) -> None:
    made.members.clear()
    made.add("station.toml", config)


def data_in_etc(made: Forged, etc: Path) -> None:
    _placed(made, _with_places(f"data_dir = '{etc}'"))
    made.add("data/plans/a.json", b"{}")


def identity_of_root(made: Forged, etc: Path) -> None:
    _placed(made, _with_places("", f"[sync]\nbroker = 'hub:8883'\nidentity = '{etc}'\n"))
    made.add("identity/identity.pem", b"x")


def authorized_keys(made: Forged, _: Path) -> None:
    made.add("identity/authorized_keys", b"ssh-ed25519 AAAA evil")


def timetable(made: Forged, _: Path) -> None:
    made.add("data/cron.d/evil", b"* * * * * root evil\n")


def hidden_folder(made: Forged, _: Path) -> None:
    _placed(made, _with_places("data_dir = '.ssh'"))
    made.add("data/plans/a.json", b"{}")


def hidden_file(made: Forged, _: Path) -> None:
    made.add("beside/.profile", b"evil\n")


def beside_unnamed(made: Forged, _: Path) -> None:
    made.add("beside/evil.service", b"[Service]\n")


PLACES = (
    data_in_etc,
    identity_of_root,
    authorized_keys,
    timetable,
    hidden_folder,
    hidden_file,
    beside_unnamed,
)


@pytest.mark.parametrize("spoil", PLACES, ids=lambda given: given.__name__)
def test_a_kit_chooses_no_folder_of_the_machine_to_write_into(
    station: Station, tmp_path: Path, spoil: Callable[[Forged, Path], None]
) -> None:
    (tmp_path / "etc").mkdir()
    made, archive, before = forged(), tmp_path / "forged", everything(tmp_path)
    spoil(made, tmp_path / "etc")
    archive.write_bytes(made.pack())
    with pytest.raises(ConfigError, match="nothing was changed"):
        restore(archive, station.config, SilentProgress(), force=True)
    archive.unlink()
    assert everything(tmp_path) == before


def test_a_data_folder_elsewhere_is_taken_where_somebody_says_it(station: Station, tmp_path: Path) -> None:
    made, archive, elsewhere = forged(), tmp_path / "forged", tmp_path / "srv"
    data_in_etc(made, elsewhere)
    archive.write_bytes(made.pack())
    with pytest.raises(ConfigError, match=f"say --data-dir {elsewhere}"):
        restore(archive, station.config, SilentProgress(), force=True)
    restore(archive, station.config, SilentProgress(), force=True, data_dir=elsewhere)
    assert (elsewhere / "plans" / "a.json").exists()


def test_the_data_folders_user_cannot_tell_a_later_restore_where_to_write(station: Station, tmp_path: Path) -> None:
    archive, data, cron = tmp_path / "honest", tmp_path / "station" / "data", tmp_path / "cron.d"
    archive.write_bytes(forged().pack())
    (data / ".restoring" / "data").mkdir(parents=True)
    (data / ".restoring" / "station.toml").write_text("* * * * * root evil\n")
    cron.mkdir()
    left = {"work": "restore", "kit_sha256": "", "aside": "aside", "brought": [], "replaced": []}
    places = {"config": str(cron / "evil"), "identity": str(data / "identity")}
    (data / "changeover.json").write_text(json.dumps(left | places))
    with pytest.raises(ConfigError, match="ended half way"):
        restore(archive, station.config, SilentProgress(), force=True)
    assert not list(cron.iterdir())


def test_a_link_for_the_lock_gives_nothing_away(tmp_path: Path) -> None:
    shadow, data = tmp_path / "shadow", tmp_path / "data"
    shadow.write_text("root:secret\n")
    data.mkdir()
    (data / "daemon.lock").symlink_to(shadow)
    with pytest.raises(StorageError, match=r"daemon\.lock"), sole_owner(data):
        pass
    assert shadow.read_text() == "root:secret\n"


def test_a_link_in_the_identitys_folder_leads_the_restore_nowhere(station: Station, tmp_path: Path) -> None:
    made, archive, shadow = forged(), tmp_path / "forged", tmp_path / "shadow"
    made.add("identity/ca.crt", b"an authority\n")
    archive.write_bytes(made.pack())
    shadow.write_text("root:secret\n")
    identity = tmp_path / "station" / "data" / "identity"
    identity.mkdir()
    (identity / ".ca.crt.part").symlink_to(shadow)
    restore(archive, station.config, SilentProgress(), force=True)
    assert shadow.read_text() == "root:secret\n"
    assert (identity / "ca.crt").read_text() == "an authority\n"


def test_a_kit_says_no_word_to_the_terminal(
    station: Station, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made, archive = forged(), tmp_path / "forged"
    made.manifest["left_out"] = ["a file\nnext: run evil\x1b]0;evil\x07"]
    archive.write_bytes(made.pack())
    with pytest.raises(SystemExit) as ended:
        main(["restore", str(archive), "--force", "--config", str(station.config)])
    assert not ended.value.code
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "\nnext: run evil" not in said
    made.manifest["version"] = "9.9\x1b[2J"
    archive.write_bytes(made.pack())
    with pytest.raises(KitError, match="version"):
        restore(archive, station.config, SilentProgress(), force=True)
