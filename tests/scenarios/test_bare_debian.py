"""From two bare Debian 12 machines to a hardened station that syncs over mutual TLS, by the install guide alone.

The guide's own commands are typed in their order on two machines that systemd has booted, each with processes, files
and a network of its own. The machines are namespaces of this kernel: units, sandboxes, watchdog and firewall are real;
what is not there is hardware (cameras are a folder of pictures), a boot loader, and another kernel.
"""

import csv
import importlib.util
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import debian_kit
import pytest
from brokers import eventually
from debian_kit import Machine, cable, machine
from guide_kit import GUIDE, steps

ROOT = GUIDE.parents[1]
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(bool(debian_kit.missing()), reason=debian_kit.missing() or "all is there"),
    pytest.mark.timeout(1500),  # two packages of 800 MB are made, and each of them is unpacked
]
GOOD_PARTS = 80
PARTS = 10
STORE = "/var/lib/inspectd-hub/cloud.db"
NEWER = "99.0.0"
# What the guide leaves to its reader, and fewer good parts than it asks for.
OWN_WORDS = {
    "gige://SERIAL": "/var/lib/inspectd/good-parts",
    "--from /var/lib/inspectd/good-parts": "--from /var/lib/inspectd/good-parts --fast --tune-s 0 --no-study",
}


@dataclass(frozen=True, slots=True)
class Plant:
    """Hub and station once the guide is through, and what each of its steps said."""

    hub: Machine
    station: Machine
    said: tuple[tuple[str, str], ...]


@pytest.fixture(scope="module")
def workplace() -> Iterator[Path]:
    """Room for two machines on this checkout's disk: an overlay's upper layer cannot lie on every /tmp."""
    (ROOT / "build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / "build", prefix="bare-debian-") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def packages(workplace: Path) -> Path:
    """A folder with both packages of this checkout."""
    build_packages(workplace / "packages")
    return workplace / "packages"


@pytest.fixture(scope="module")
def bare(workplace: Path) -> Path:
    """The smallest Debian that boots."""
    why = debian_kit.bare_debian(workplace / "bare")
    if why:
        pytest.skip(why)
    return workplace / "bare"


@pytest.fixture(scope="module")
def plant(workplace: Path, bare: Path, packages: Path) -> Iterator[Plant]:
    """The guide, followed to its end."""
    with (
        machine("hub", bare, workplace) as hub,
        machine("station", bare, workplace) as station,
        cable(hub, "192.168.10.2/24", station, "192.168.10.3/24"),
    ):
        hub.bring(next(packages.glob("inspectd-hub_*.deb")), "/root")
        station.bring(next(packages.glob("inspectd_*.deb")), "/root")
        station.run("mkdir -p /var/lib/inspectd")
        station.bring(good_parts(workplace), "/var/lib/inspectd")
        yield Plant(hub, station, tuple(follow_guide({"hub": hub, "station": station})))


def test_a_stranger_gets_from_bare_debian_to_a_station_that_syncs_over_mutual_tls(plant: Plant) -> None:
    held = json.loads(plant.hub.run(f"cloud status --store {STORE} --json"))
    (press,) = held["stations"]
    assert (press["station"], press["quarantined"], press["dead_letters"]) == ("press-3", 0, 0)
    assert (press["streams"]["inspections"], press["outcomes"]) == (PARTS, {"told": PARTS})
    assert press["verdicts"]["PASS"] > PARTS // 2  # the model is a trained one: good parts pass
    spool = json.loads(plant.station.run("cd /etc/inspectd; edge spool status --json"))
    assert spool["ok"]
    assert (spool["rows"], spool["uploads"]["waiting"], spool["losses"]) == (0, 0, {}), spool
    assert "mqtt://" not in plant.station.run("cat /etc/inspectd/station.toml | grep -v '^#'")


def test_what_the_guide_says_one_should_see_is_seen(plant: Plant) -> None:
    said = "\n".join(text for _, text in plant.said)
    for promised in (
        "wrote /etc/inspectd/station.toml",
        "press-3 has a certificate until",
        "'untold': 0",
        "nothing waits",
        "active\nactive\nactive",
    ):
        assert promised in said, promised
    assert float(said.rsplit("Overall exposure level for inspectd.service: ", 1)[1].split()[0]) <= 2.0


def test_the_package_leaves_nothing_missing_or_changed(plant: Plant) -> None:
    for at, name, command in ((plant.station, "inspectd", "edge"), (plant.hub, "inspectd-hub", "cloud")):
        assert at.run(f"dpkg --verify {name}") == ""
        assert at.run("systemctl --failed --no-legend --plain") == ""
        assert command in at.run(f"{command} --help")
        assert at.run(f"find /opt/{name} -newer /var/lib/dpkg/info/{name}.list -type f") == "", "written at run time"
        assert (
            at.run(
                f"grep -rIl --exclude-dir=nncf '^import torch' /opt/{name}/lib/python3.11/site-packages/edge || true"
            )
            == ""
        )
        assert not at.says(f"test -e /opt/{name}/lib/python3.11/site-packages/torch")


def test_only_what_the_guide_opens_is_open(plant: Plant) -> None:
    def reached(at: Machine, address: str, port: int) -> bool:
        return at.says(f"timeout 3 bash -c '</dev/tcp/{address}/{port}'")

    assert [port for port in (1883, 8443, 8883, 8884, 9465) if reached(plant.station, "192.168.10.2", port)] == [
        8443,
        8883,
    ]
    assert reached(plant.station, "127.0.0.1", 7411)
    assert not reached(plant.hub, "192.168.10.3", 7411)


def test_the_certificate_is_renewed_by_its_unit(plant: Plant) -> None:
    plant.station.run("systemctl start inspectd-renew.service")
    assert "Result=success" in plant.station.run("systemctl show -p Result inspectd-renew.service")
    assert plant.station.run("systemctl is-active inspectd-renew.timer") == "active\n"


def test_a_station_that_hangs_is_killed_and_starts_again(plant: Plant) -> None:
    drop_in = "/run/systemd/system/inspectd.service.d"
    plant.station.run(
        f"mkdir -p {drop_in}; printf '[Service]\\nWatchdogSec=4\\nRestartSec=1\\n' > {drop_in}/soon.conf;"
        "systemctl daemon-reload; systemctl restart inspectd; kill -STOP $(systemctl show -p MainPID --value inspectd)"
    )
    eventually(lambda: "NRestarts=1" in plant.station.run("systemctl show -p NRestarts inspectd"), 60)
    eventually(lambda: plant.station.says("systemctl is-active inspectd"), 60)
    assert "Watchdog timeout" in plant.station.run("journalctl --unit inspectd --no-pager")
    plant.station.run(f"rm -r {drop_in}; systemctl daemon-reload; systemctl restart inspectd")


def test_an_upgrade_keeps_configuration_records_and_certificate(plant: Plant, workplace: Path) -> None:
    kept = "md5sum /etc/inspectd/station.toml /var/lib/inspectd/identity/identity.pem"
    station, before = plant.station, plant.station.run(kept)
    newer = workplace / "newer"
    build_packages(newer, "--package", "inspectd", "--version", NEWER)
    station.bring(next(newer.glob("*.deb")), "/root")
    station.run(f"apt-get install -y /root/inspectd_{NEWER}_amd64.deb", online=True)
    assert station.run("edge --version") == f"inspectd {NEWER}\n"
    assert station.run("systemctl is-active inspectd.service inspectd-renew.timer") == "active\nactive\n"
    assert station.run(kept) == before
    asked = "edge status --config /etc/inspectd/station.toml --json"
    eventually(lambda: station.says(asked), 60)  # ready, again
    assert json.loads(station.run(asked))["database"]["outcomes"] == {"told": PARTS}
    assert station.run("dpkg --verify inspectd") == ""


def test_removal_keeps_all_and_purge_keeps_the_records_and_says_so(plant: Plant) -> None:
    station = plant.station
    station.run("apt-get remove -y inspectd")
    assert not station.says("test -e /opt/inspectd -o -e /usr/bin/edge -o -e /lib/systemd/system/inspectd.service")
    assert station.says("test -s /etc/inspectd/station.toml -a -s /var/lib/inspectd/identity/identity.pem")
    aside = "/var/lib/inspectd/before-restore-1/identity"
    station.run(f"mkdir -p {aside} && cp /var/lib/inspectd/identity/identity.pem {aside}/")
    said = station.run("apt-get purge -y inspectd 2>&1")
    assert "kept /var/lib/inspectd" in said
    assert not station.says(f"test -e /etc/inspectd -o -e /var/lib/inspectd/identity -o -e {aside}")
    assert station.says("test -s /var/lib/inspectd/station.db -a -d /var/lib/inspectd/bundles/part/v1")
    assert station.run("find /etc/systemd/system -name 'inspectd*'") == ""


def test_a_purge_that_is_told_to_removes_the_records_too(plant: Plant) -> None:
    plant.hub.run("INSPECTD_PURGE=everything apt-get purge -y inspectd-hub")
    assert not plant.hub.says("test -e /var/lib/inspectd-hub -o -e /etc/inspectd-hub -o -e /opt/inspectd-hub")


def follow_guide(machines: dict[str, Machine]) -> Iterator[tuple[str, str]]:
    """Type every block on its machines; the token that one machine prints is carried to the other."""
    words = dict(OWN_WORDS)
    for step in steps():
        script = step.script
        for theirs, own in words.items():
            script = script.replace(theirs, own)
        for name in step.machines:
            if "edge status" in script:  # the guide's reader asks again, too
                eventually(lambda: machines[name].says(script.strip()), 60)  # noqa: B023 - asked at once
            said = machines[name].run(script, online=step.downloads)
            if "cloud pki enrol" in script:
                words["TOKEN"] = said.strip()
            yield step.heading, said


def build_packages(out: Path, *words: str) -> None:
    """Build into a folder what `make deb` builds."""
    python = shutil.which("python3")
    assert python
    done = subprocess.run(
        [python, str(ROOT / "deploy" / "build_deb.py"), "--out", str(out), *words],
        check=False,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def good_parts(folder: Path) -> Path:
    """Pictures of good solar cells."""
    spec = importlib.util.find_spec("elpv_dataset")
    assert spec is not None
    assert spec.origin is not None
    data, target = Path(spec.origin).parent / "data", folder / "good-parts"
    target.mkdir()
    with (data / "labels.csv").open(encoding="utf-8", newline="") as file:
        rows = [line.split() for (line, *_) in csv.reader(file)]
    for name in [name for name, probability, *_ in rows if float(probability) == 0][:GOOD_PARTS]:
        shutil.copy(data / name, target)
    return target
