"""The units of station and collector under a real systemd: they work within all that is forbidden; what hangs is ended.

The machine is this one once more, in namespaces of its own; what it writes is kept in memory and forgotten.
"""

import shlex
from collections.abc import Iterator
from pathlib import Path

import debian_kit
import pytest
from brokers import eventually
from confinement import ENVIRONMENT
from confinement import missing as confinement_missing
from debian_kit import Machine, machine
from disk_kit import run
from station_kit import Station, make_bundle, write_frames

DEPLOY = Path(__file__).parents[2] / "deploy"
WHY_NOT = debian_kit.missing() or confinement_missing()
pytestmark = [pytest.mark.soak, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "all is there")]
# As installed, but for where the code lies.
COMMAND = f"""#!/bin/sh
export PYTHONPATH={shlex.quote(ENVIRONMENT["PYTHONPATH"])}
exec /usr/bin/python3 -c 'import sys; from MAIN import main; sys.argv[0] = "NAME"; main()' "$@"
"""
INSTALL = f"""
ip link set lo up
cd {DEPLOY}
cp systemd/*.service systemd/*.timer systemd/*.path /etc/systemd/system/
mkdir /etc/systemd/system/inspectd.service.d
printf '[Service]\\nWatchdogSec=3\\n' > /etc/systemd/system/inspectd.service.d/impatient.conf
systemd-sysusers $PWD/sysusers.d/inspectd.conf $PWD/sysusers.d/inspectd-hub.conf
mkdir -p /etc/inspectd /var/lib/inspectd
cp -a /root/made/data/bundles /root/made/frames /var/lib/inspectd/
cp /root/made/station.toml /etc/inspectd/
chown -R inspectd:inspectd /var/lib/inspectd
systemd-tmpfiles --create $PWD/tmpfiles.d/inspectd.conf $PWD/tmpfiles.d/inspectd-hub.conf
chmod 755 /usr/bin/edge /usr/bin/cloud
systemctl daemon-reload
systemctl start inspectd
"""
# Nobody else can open a file that is held so, up to 45 s: whoever tries hangs in the system call.
HOLD = """
import fcntl, os, signal, time
file = os.open("/var/lib/inspectd/frames/000003.png", os.O_RDWR)
fcntl.fcntl(file, fcntl.F_SETSIG, signal.SIGURG)
fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
time.sleep(40)
"""

RENEW_ANYWAY = """
mkdir /etc/systemd/system/inspectd-renew.service.d
printf '[Service]\\nExecStart=\\nExecStart=/usr/bin/edge renew --anyway --config /etc/inspectd/station.toml\\n' \\
    > /etc/systemd/system/inspectd-renew.service.d/anyway.conf
systemctl daemon-reload
systemctl start inspectd-renew
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A station of three images, started by systemd; `systemctl start` came back, so it said READY=1."""
    tmp_path = tmp_path_factory.mktemp("systemd")
    made = Station(tmp_path / "made", settings={"station": {"id": "test-1", "data_dir": "/var/lib/inspectd"}})
    made.settings = {**made.settings, "camera": {"source": "/var/lib/inspectd/frames", "open_timeout_ms": 50}}
    made.write_config()
    make_bundle(made.bundles)
    write_frames(made.folder / "frames", 3)
    for name, main in (("edge", "edge.cli"), ("cloud", "cloud_sync.hub.cli")):
        (tmp_path / name).write_text(COMMAND.replace("MAIN", main).replace("NAME", name))
    (tmp_path / "memory").mkdir()
    run("mount", "-t", "tmpfs", "tmpfs", str(tmp_path / "memory"))
    try:
        with machine("station", Path("/"), tmp_path / "memory") as bare:
            bare.bring(made.folder, "/root")
            bare.bring(tmp_path / "edge", "/usr/bin")
            bare.bring(tmp_path / "cloud", "/usr/bin")
            bare.run(INSTALL)
            yield bare
    finally:
        run("umount", str(tmp_path / "memory"))


def shown(on: Machine, *names: str, unit: str = "inspectd") -> list[str]:
    told = on.run(f"systemctl show {unit} {' '.join(f'-p {name}' for name in names)}").split("\n")
    values = dict(line.split("=", 1) for line in told if line)
    return [values[name] for name in names]


def simulate(on: Machine, parts: int) -> None:
    port = on.run("grep -o 'tcp://[^\"]*' /etc/inspectd/station.toml").strip()
    on.run(
        f"edge simulate --product blob --port {port} --parts {parts} --log /root/line.jsonl --patience-s 3", check=False
    )


def is_confined(on: Machine, unit: str) -> bool:
    pid = shown(on, "MainPID", unit=unit)[0]
    found = on.run(f"grep -E 'CapEff|NoNewPrivs|Seccomp:' /proc/{pid}/status").split()
    return found == ["CapEff:", "0000000000000000", "NoNewPrivs:", "1", "Seccomp:", "2"]


def test_a_collector_does_its_work_within_its_unit_and_says_so_to_systemd(installed: Machine) -> None:
    installed.run("printf 'BROKER=mqtt://127.0.0.1:1883\\n' > /etc/inspectd-hub/collect.env; systemctl start mosquitto")
    installed.run("systemctl start inspectd-collect")
    eventually(lambda: shown(installed, "StatusText", unit="inspectd-collect") == ["collecting"], 30)
    assert is_confined(installed, "inspectd-collect")
    assert installed.says("test -s /var/lib/inspectd-hub/cloud.db")
    installed.run("systemctl stop inspectd-collect")
    assert shown(installed, "ActiveState", "Result", unit="inspectd-collect") == ["inactive", "success"]


def test_systemd_ends_a_station_that_hangs_and_starts_it_again_but_not_one_with_a_wrong_configuration(
    installed: Machine,
) -> None:
    assert shown(installed, "ActiveState", "StatusText", "NRestarts") == ["active", "ready", "0"]
    assert is_confined(installed, "inspectd")

    installed.run(f"systemd-run --quiet --unit=hold /usr/bin/python3 -c {shlex.quote(HOLD)}")
    eventually(lambda: installed.says("grep -q LEASE /proc/locks"))
    simulate(installed, 3)
    eventually(lambda: int(shown(installed, "NRestarts")[0]) >= 1, 60)
    said = installed.run("journalctl -u inspectd --no-pager")
    for words in (
        "the driver of camera 'top' has not moved for 3 s",
        "Watchdog timeout",
        "Fatal Python error: Aborted",
    ):
        assert words in said
    installed.run("systemctl stop hold")
    eventually(lambda: shown(installed, "ActiveState", "StatusText") == ["active", "ready"], 30)

    installed.run("echo 'nonsense = 1' >> /etc/inspectd/station.toml")
    assert not installed.says("systemctl restart inspectd")
    assert shown(installed, "ActiveState", "SubState", "ExecMainStatus") == ["failed", "failed", "2"]

    installed.run("sed -i '/nonsense/d' /etc/inspectd/station.toml; systemctl start inspectd; systemctl stop inspectd")
    assert shown(installed, "ActiveState", "Result") == ["inactive", "success"]


def test_a_station_enrols_and_renews_within_what_both_units_allow(installed: Machine) -> None:
    pki = "/var/lib/inspectd-hub/pki"
    installed.run(f"runuser -u inspectd-hub -- cloud pki init {pki} --broker-host localhost --broker-host 127.0.0.1")
    installed.run("systemctl start inspectd-enrol")
    eventually(lambda: installed.says("ss -ltn | grep -q :8443"))
    assert is_confined(installed, "inspectd-enrol")
    token = installed.run(f"runuser -u inspectd-hub -- cloud pki enrol test-1 --pki {pki}").split()[-1]
    installed.run(f"runuser -u inspectd -- edge enrol {token} --config /etc/inspectd/station.toml")
    before = installed.run("cat /var/lib/inspectd/identity/identity.pem")
    installed.run("systemctl start inspectd-renew")
    assert shown(installed, "Result", unit="inspectd-renew") == ["success"]
    assert installed.run("cat /var/lib/inspectd/identity/identity.pem") == before  # more than a third is left
    installed.run(RENEW_ANYWAY)
    assert installed.run("cat /var/lib/inspectd/identity/identity.pem") != before
    installed.run("systemctl stop inspectd-enrol")


def test_a_revocation_restarts_the_broker_with_its_list_within_what_the_unit_allows(installed: Machine) -> None:
    pki, lists = "/var/lib/inspectd-hub/pki", "/etc/mosquitto/inspectd"
    as_hub = "runuser -u inspectd-hub -- cloud pki"
    installed.run("systemctl stop mosquitto")
    installed.run(f"test -e {pki} || {as_hub} init {pki} --broker-host localhost --broker-host 127.0.0.1")
    installed.run(
        f"cp {DEPLOY}/mosquitto/inspectd.conf /etc/mosquitto/conf.d/; cp {DEPLOY}/mosquitto/*.acl /etc/mosquitto/"
    )
    installed.run(f"cloud pki publish {lists} --pki {pki} --reader mosquitto")
    installed.run("systemctl enable --now mosquitto inspectd-broker.path")
    (before,) = shown(installed, "MainPID", unit="mosquitto")
    installed.run("systemctl start inspectd-enrol")
    eventually(lambda: installed.says("ss -ltn | grep -q :8443"))
    token = installed.run(f"{as_hub} enrol test-1 --pki {pki}").split()[-1]
    installed.run(f"runuser -u inspectd -- edge enrol {token} --config /etc/inspectd/station.toml")
    installed.run(f"{as_hub} revoke test-1 --pki {pki}")
    eventually(lambda: installed.says(f"cmp {pki}/broker/crl.pem {lists}/crl.pem"), 30)
    eventually(lambda: shown(installed, "MainPID", unit="mosquitto") not in ([before], ["0"]), 30)
    eventually(lambda: shown(installed, "ActiveState", "Result", unit="inspectd-broker") == ["inactive", "success"], 30)
    several = f"for n in 1 2 3 4 5 6 7 8; do {as_hub} enrol s-$n --pki {pki}; {as_hub} revoke s-$n --pki {pki}; done"
    installed.run(several)
    eventually(lambda: installed.says(f"cmp {pki}/broker/crl.pem {lists}/crl.pem"), 60)
    eventually(lambda: shown(installed, "ActiveState", "Result", unit="inspectd-broker") == ["inactive", "success"], 30)
    assert shown(installed, "ActiveState", unit="mosquitto") == ["active"]
    assert shown(installed, "ActiveState", unit="inspectd-broker.path") == ["active"]
    installed.run("systemctl disable --now inspectd-broker.path; systemctl stop inspectd-enrol mosquitto")
    installed.run("rm /etc/mosquitto/conf.d/inspectd.conf")
