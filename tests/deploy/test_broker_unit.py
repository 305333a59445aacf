"""What inspectd-broker.service does when a certificate was revoked or renewed: its own words, with stand-ins."""

import shlex
import subprocess
from pathlib import Path

import pytest
from confinement import settings

UNIT = Path(__file__).parents[2] / "deploy" / "systemd" / "inspectd-broker.service"


def run(folder: Path, publish_says: list[int], *, restart_works: bool = True) -> tuple[int, int]:
    """Its exit code and how often the broker was restarted, where `cloud pki publish` ends with these in turn."""
    (shell, option, script) = shlex.split(settings(UNIT)["ExecStart"][0])
    (folder / "says").write_text("\n".join(map(str, publish_says)) + "\n")
    _program(folder / "cloud", 'code=$(head -n 1 says); sed -i 1d says; exit "$code"')
    _program(folder / "systemctl", f"echo $* >> restarts; exit {0 if restart_works else 1}")
    _program(folder / "sleep", "echo $* >> waits")
    for name in ("/usr/bin/cloud", "systemctl", "sleep"):
        script = script.replace(name, f"./{Path(name).name}")
    script = script.replace("$$", "$")
    code = subprocess.run([shell, option, script], cwd=folder, check=False, timeout=20).returncode
    restarts = folder / "restarts"
    return code, len(restarts.read_text().splitlines()) if restarts.exists() else 0


@pytest.mark.parametrize(
    ("publish_says", "ends"),
    [
        pytest.param([1], (0, 0), id="nothing changed"),
        pytest.param([0, 1], (0, 1), id="changed"),
        pytest.param([0, 0, 1], (0, 2), id="changed again meanwhile"),
        pytest.param([3], (1, 0), id="the folder cannot be used"),
        pytest.param([0, 3], (1, 1), id="... any more"),
    ],
)
def test_the_broker_is_restarted_for_each_change_and_a_fault_is_one(
    tmp_path: Path, publish_says: list[int], ends: tuple[int, int]
) -> None:
    assert run(tmp_path, publish_says) == ends


def test_a_restart_that_fails_is_a_fault(tmp_path: Path) -> None:
    assert run(tmp_path, [0, 1], restart_works=False) == (3, 1)


def test_many_revocations_one_after_the_other_leave_no_broker_down_and_none_unsaid(tmp_path: Path) -> None:
    """systemd starts mosquitto five times within 10 s; a path whose unit came to such a limit looks no more."""
    assert run(tmp_path, [0] * 20 + [1]) == (0, 20)
    waits = [float(line) for line in (tmp_path / "waits").read_text().splitlines()]
    assert len(waits) == 20
    assert min(waits) * 5 > 10
    assert settings(UNIT)["StartLimitIntervalSec"] == ["0"]


def test_what_was_revoked_while_nobody_looked_is_published_once_somebody_does() -> None:
    assert settings(UNIT.with_suffix(".path"))["Wants"] == [UNIT.name]


def _program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
