"""Who may what: asked of the kernel, as another user where there is root to become one."""

import grp
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from doctor_kit import expect, on_machine, run_by_us, station_around, well

from edge.doctor.around import Around
from edge.doctor.check import Check
from edge.doctor.examining import examine
from edge.doctor.finding import Finding
from edge.doctor.rooms import permissions, sandbox

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to ask as another user")
NETWORK = {"source": "rtsp://eve@127.0.0.1/x", "trigger": "free", "latency_ms": 50, "loop": False}
UNIT = "etc/systemd/system/inspectd.service"


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that everybody may enter, as pytest's own is not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def station(folder: Path, more: str = "", **settings: dict[str, object]) -> Around:
    """A station of the user `nobody`, whose data folder is root's and nobody else's."""
    around = station_around(folder / "station", settings, more)
    around.data_dir.chmod(0o700)
    return on_machine(around, folder / "root", {UNIT: "[Unit]\nDescription=x\n[Service]\nUser=nobody\n"})


def test_a_station_in_its_own_folder_is_well(folder: Path) -> None:
    around = station(folder)
    os.chown(around.data_dir, 65534, 65534)
    well([*permissions.user(around), *permissions.data(around), *permissions.secrets(around)])


def test_a_user_that_does_not_exist_is_found(folder: Path) -> None:
    around = on_machine(station(folder), folder / "root", {UNIT: "[Service]\nUser=nosuchuser\n"})
    expect(permissions.user(around), "permissions.no-user", "useradd", "nosuchuser")


def test_a_station_as_root_is_noted_by_its_unit_and_by_its_process(folder: Path) -> None:
    around = station_around(folder / "station")
    well(permissions.user(around))
    with run_by_us(around):
        expect(permissions.user(around), "permissions.root")
    expect(permissions.user(on_machine(around, folder / "root", {UNIT: "[Service]\n"})), "permissions.root")


def test_a_command_that_may_not_look_says_so(folder: Path) -> None:
    around = station(folder)

    def as_nobody(around: Around) -> list[Finding]:
        os.setgid(65534)
        os.setuid(65534)
        return list(permissions.user(around))

    expect(examine(around, [Check("user", as_nobody)]), "permissions.cannot-look", "65534")


def test_a_folder_of_somebody_elses_is_found(folder: Path) -> None:
    expect(permissions.data(station(folder)), "permissions.data", "chown -R nobody:", "0:0 0700")


def test_a_database_that_root_left_is_found(folder: Path) -> None:
    around = station(folder)
    os.chown(around.data_dir, 65534, 65534)
    (around.data_dir / "station.db").touch(0o600)
    expect(permissions.data(around), "permissions.database", "station.db (0:0 0600)")


def test_a_password_that_everybody_may_read_is_noted(folder: Path) -> None:
    camera = {"source": "rtsp://eve:secret@127.0.0.1/x", "trigger": "free", "latency_ms": 50, "loop": False}
    around = station(folder, camera=camera)
    assert around.config_path is not None
    around.config_path.chmod(0o644)
    finding = expect(permissions.secrets(around), "permissions.secrets", "0644", "chmod 0640")
    assert "secret" not in finding.found
    around.config_path.chmod(0o600)
    expect(permissions.secrets(around), "permissions.config", "0:0 0600")


def test_a_private_key_for_others_or_not_for_the_station_is_found(folder: Path) -> None:
    around = station(folder)
    os.chown(around.data_dir, 65534, 65534)
    pem = around.data_dir / "identity" / "identity.pem"
    pem.parent.mkdir()
    pem.touch()
    pem.chmod(0o640)
    expect(permissions.identity(around), "permissions.key-open", "0640", "chmod 0600")
    pem.chmod(0o600)
    expect(permissions.identity(around), "permissions.key-locked", "chown nobody:")
    os.chown(pem, 65534, 65534)
    well(permissions.identity(around))


def test_a_device_of_an_output_that_is_absent_or_not_ours_is_found(folder: Path) -> None:
    chip = folder / "gpiochip0"
    output = f"[[output]]\nid = 'lamp'\nkind = 'gpio'\nchip = '{chip}'\npass_line = 1\nfail_line = 2\n"
    around = station(folder, output)
    expect(permissions.devices(around), "permissions.no-device", "output 'lamp'")
    chip.touch(0o600)
    expect(permissions.devices(around), "permissions.device", "usermod -aG gpio nobody")
    chip.chmod(0o666)
    well(permissions.devices(around))


def test_a_camera_that_is_not_plugged_in_is_found(folder: Path) -> None:
    around = station(folder, camera={"source": "/dev/video987", "trigger": "free", "loop": False})
    expect(permissions.devices(around), "permissions.no-device", "/dev/video987")


def test_a_socket_that_cannot_be_made_is_found(folder: Path) -> None:
    around = station(folder, line={"port": f"unix://{folder}/run/line.sock"})
    expect(permissions.socket_folder(around), "permissions.no-socket-folder", "RuntimeDirectory")
    (folder / "run").mkdir(mode=0o700)
    expect(permissions.socket_folder(around), "permissions.socket-folder", "chown nobody:")
    (folder / "run").chmod(0o777)
    well(permissions.socket_folder(around))


EVERYTHING_AS_NOBODY = """
import json, os, sys
from pathlib import Path
from edge.config import load_config
from edge.doctor.around import Around
from edge.doctor.rooms import checks_of

def everything():
    return [finding for check in checks_of(around) for finding in check.look(around)]

file, root = map(Path, sys.argv[1:])
config = load_config(file)
around = Around(config.station.data_dir, file, config, root=root)
everything()  # whatever is imported is, while it can be: Python itself may lie in root's home
os.setgid(65534)
os.setuid(65534)
print(json.dumps([(finding.id, finding.room) for finding in everything()]))
"""


def test_a_person_without_rights_disturbs_nothing_and_breaks_no_check(folder: Path) -> None:
    """In a Python of its own: OpenVINO's threads, which earlier tests began here, would not live in a fork."""
    around = station(folder)
    (around.data_dir / "identity").mkdir(mode=0o700)

    words = [sys.executable, "-c", EVERYTHING_AS_NOBODY, str(around.config_path), str(around.root)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)

    assert done.returncode == 0, done.stderr
    found = [tuple(pair) for pair in json.loads(done.stdout.splitlines()[-1])]
    assert "permissions.cannot-look" in {fault_id for fault_id, _room in found}
    assert [pair for pair in found if pair[1] in {"camera", "bundles", "records", "doctor"}] == []


HARDENED = (
    "[Service]\nUser=nobody\nProtectSystem=strict\nProtectHome=yes\nPrivateTmp=yes\nStateDirectory=inspectd\n"
    "RuntimeDirectory=inspectd\nSupplementaryGroups=video\n[Install]\nUser=root\n"
)


def test_walls_of_the_unit_are_found_and_gone_once_it_was_edited(folder: Path) -> None:
    around = station(folder, camera={"password_file": "/root/top.password", **NETWORK})
    hardened = on_machine(around, folder / "root", {UNIT: HARDENED})
    found = list(sandbox.sandbox(hardened))
    expect(found, "permissions.walled-data", f"ReadWritePaths={around.data_dir}")
    expect(found, "permissions.walled-file", "/root/top.password")
    edited = f"[Service]\nReadWritePaths=/srv \\\n  -{around.data_dir}\nProtectHome=\nProtectHome=no\n"
    on_machine(hardened, folder / "root", {f"{UNIT}.d/override.conf": edited})
    assert list(sandbox.sandbox(hardened)) == []
    assert hardened.service_user == "nobody"


def test_a_socket_folder_that_the_unit_makes_need_not_be_there(folder: Path) -> None:
    around = station(folder, line={"port": "unix:///run/inspectd/line.sock"})
    well(permissions.socket_folder(on_machine(around, folder / "root", {UNIT: HARDENED})))


def test_a_group_that_the_unit_adds_counts(folder: Path) -> None:
    chip = folder / "gpiochip0"
    output = f"[[output]]\nid = 'lamp'\nkind = 'gpio'\nchip = '{chip}'\npass_line = 1\nfail_line = 2\n"
    around = station(folder, output)
    chip.touch()
    os.chown(chip, 0, grp.getgrnam("video").gr_gid)
    chip.chmod(0o660)
    expect(permissions.devices(around), "permissions.device", "usermod -aG video nobody")
    well(permissions.devices(on_machine(around, folder / "root", {UNIT: HARDENED})))
