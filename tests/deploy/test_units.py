"""The units and settings that an installation brings, judged by systemd's and Debian's own tools."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from confinement import settings
from pki_kit import authority

DEPLOY = Path(__file__).parents[2] / "deploy"
UNITS = sorted(path for path in (DEPLOY / "systemd").iterdir() if path.suffix in {".service", ".timer", ".path"})
SERVICES = [path for path in UNITS if path.suffix == ".service"]
MOST_EXPOSED = 2.0
_SBIN = "/usr/sbin:/sbin:/usr/bin:/bin"


def tool(name: str) -> str:
    found = shutil.which(name, path=_SBIN)
    if found is None:
        pytest.skip(f"{name} is not on this machine")
    return found


def ran(*words: str) -> str:
    """What a command said, on both outputs; its end is good."""
    done = subprocess.run([tool(words[0]), *words[1:]], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def unit_folder(tmp_path: Path) -> Path:
    """All units, their commands named by one that is here: nothing is installed on a tester's machine."""
    for unit in UNITS:
        text = re.sub(r"/usr/bin/(edge|cloud)\b", "/bin/true", unit.read_text())
        (tmp_path / unit.name).write_text(text)
    return tmp_path


def test_systemd_finds_nothing_to_complain_of_in_any_unit(unit_folder: Path) -> None:
    assert ran("systemd-analyze", "verify", *(str(unit_folder / unit.name) for unit in UNITS)) == ""


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_a_services_exposure_is_at_most_two(unit: Path, unit_folder: Path) -> None:
    said = ran("systemd-analyze", "security", "--no-pager", "--offline=true", str(unit_folder / unit.name))
    exposure = re.search(r"Overall exposure level for \S+: (\d+\.\d)", said)
    assert exposure is not None
    assert float(exposure.group(1)) <= MOST_EXPOSED


def test_a_unit_that_forbids_nothing_is_found_exposed(tmp_path: Path) -> None:
    (tmp_path / "bare.service").write_text("[Service]\nExecStart=/bin/true\n")
    said = ran("systemd-analyze", "security", "--no-pager", "--offline=true", str(tmp_path / "bare.service"))
    assert float(re.findall(r": (\d+\.\d)", said)[-1]) > MOST_EXPOSED


@pytest.mark.parametrize("name", ["inspectd.service", "inspectd-collect.service", "inspectd-work.service"])
def test_a_watched_service_is_started_again_for_ever_but_not_with_a_wrong_configuration(name: str) -> None:
    found = settings(DEPLOY / "systemd" / name)
    assert found["Type"] == ["notify"]
    assert found["WatchdogSec"]
    assert (found["Restart"], found["StartLimitIntervalSec"]) == (["on-failure"], ["0"])
    assert found["RestartPreventExitStatus"] == ["2"]


@pytest.mark.parametrize(
    ("guest", "host"),
    [("inspectd-station-web.service", "inspectd.service"), ("inspectd-web.service", "inspectd-collect.service")],
)
def test_pages_give_way_to_what_they_show_and_are_bound_to_nothing(guest: str, host: str) -> None:
    pages, shown = settings(DEPLOY / "systemd" / guest), settings(DEPLOY / "systemd" / host)
    assert int(pages["CPUWeight"][0]) <= 20 < int(shown.get("CPUWeight", ["100"])[0])
    assert int(pages["OOMScoreAdjust"][0]) > 0 > int(shown["OOMScoreAdjust"][0])
    assert not {"Requires", "BindsTo", "PartOf", "Wants"} & (pages.keys() | shown.keys())
    assert pages["User"] == shown["User"]


def test_the_fleets_pages_see_no_key_of_authority_or_releases() -> None:
    hidden = " ".join(settings(DEPLOY / "systemd" / "inspectd-web.service")["InaccessiblePaths"]).split()
    assert {"-/var/lib/inspectd-hub/pki", "-/var/lib/inspectd-hub/trust"} <= set(hidden)


def test_name_servers_that_are_away_do_not_look_like_a_hang() -> None:
    found = settings(DEPLOY / "systemd" / "inspectd.service")
    said = re.search(r"RES_OPTIONS=timeout:(\d+) attempts:(\d+)", " ".join(found["Environment"]))
    assert said is not None
    servers, names = 3, 3  # all that the resolver looks at; the name itself, and in two search domains
    assert servers * names * int(said[1]) * int(said[2]) < int(found["WatchdogSec"][0])


def test_users_and_folders_are_made_as_the_units_want_them(tmp_path: Path) -> None:
    for kind, program in (("sysusers.d", "systemd-sysusers"), ("tmpfiles.d", "systemd-tmpfiles")):
        shutil.copytree(DEPLOY / kind, tmp_path / "usr" / "lib" / kind)
        tool(program)
    names = [path.name for path in (DEPLOY / "sysusers.d").iterdir()]
    (tmp_path / "etc" / "inspectd").mkdir(parents=True)
    (tmp_path / "etc" / "inspectd" / "station.toml").touch()
    (tmp_path / "etc" / "group").write_text("root:x:0:\nadm:x:4:\n")
    ran("systemd-sysusers", "--dry-run", *(str(DEPLOY / "sysusers.d" / name) for name in names))
    if os.geteuid():
        pytest.skip("only root can make users and give folders to them, even below another root")
    ran("systemd-sysusers", f"--root={tmp_path}", *names)
    ran("systemd-tmpfiles", f"--root={tmp_path}", "--create", *names)
    users = (line.split(":") for line in (tmp_path / "etc" / "passwd").read_text().splitlines())
    numbers = {name: (int(uid), int(gid)) for name, _, uid, gid, *_ in users}
    assert {user for unit in SERVICES for user in settings(unit)["User"]} <= set(numbers)
    expected = {
        "etc/inspectd": (0o750, 0, numbers["inspectd"][1]),
        "etc/inspectd/station.toml": (0o640, 0, numbers["inspectd"][1]),
        "var/lib/inspectd": (0o750, *numbers["inspectd"]),
        "var/lib/inspectd/identity": (0o700, *numbers["inspectd"]),
        "var/lib/inspectd-hub": (0o750, *numbers["inspectd-hub"]),
    }
    seen = {name: (tmp_path / name).stat() for name in expected}
    assert {name: (one.st_mode & 0o7777, one.st_uid, one.st_gid) for name, one in seen.items()} == expected


def test_every_kernel_setting_exists_here_and_its_value_can_be_read() -> None:
    said = ran("sysctl", "--dry-run", "--load", str(DEPLOY / "sysctl.d" / "60-inspectd.conf"))
    wanted = dict(re.findall(r"^(\S+) = (\d+)$", said, re.MULTILINE))
    assert int(wanted["net.core.rmem_max"]) >= 4 << 20  # what edge/capture/industrial asks for
    for name in wanted:
        assert Path("/proc/sys", *name.split(".")).exists(), name


@pytest.mark.parametrize("name", ["inspectd", "inspectd-hub"])
def test_logrotate_takes_our_rules_and_cuts_a_log_that_somebody_has_open(name: str, tmp_path: Path) -> None:
    log, rules = tmp_path / "inspectd.log", tmp_path / "rules"
    text = (DEPLOY / "logrotate.d" / name).read_text()
    assert f"/var/log/{name}/*.log" in text
    rules.write_text(text.replace(f"/var/log/{name}/*.log", str(log)))
    tmp_path.chmod(0o700)
    log.write_text("one\n")
    assert "error" not in ran("logrotate", "-d", str(rules))
    with log.open("a") as writer:
        ran("logrotate", "--force", "--state", str(tmp_path / "state"), str(rules))
        writer.write("two\n")
    assert log.read_text() == "two\n"
    assert (tmp_path / "inspectd.log.1").read_text() == "one\n"


def test_the_journals_settings_are_ones_that_systemd_knows() -> None:
    known = ran("strings", "/lib/systemd/systemd-journald").split()
    given = re.findall(r"^(\w+)=", (DEPLOY / "journald.conf.d" / "inspectd.conf").read_text(), re.MULTILINE)
    assert given
    assert {f"Journal.{name}" for name in given} <= set(known)


def test_no_unit_tells_a_secret_or_reaches_a_shell_with_what_others_wrote() -> None:
    for unit in SERVICES:
        said = json.dumps(settings(unit))
        assert not re.search(r"password|token|secret", said, re.IGNORECASE), unit.name


def test_a_collector_sees_nothing_of_the_authority_but_hub_identities(tmp_path: Path) -> None:
    authority(tmp_path / "pki")
    text = (DEPLOY / "systemd" / "inspectd-collect.service").read_text()
    hidden = {
        Path(path.lstrip("-")).name
        for line in text.splitlines()
        if line.startswith("InaccessiblePaths=")
        for path in line.partition("=")[2].split()
    }
    seen = {path.name for path in (tmp_path / "pki").iterdir()} - hidden
    assert seen == {"identities", "settings.json", "share.key"}
