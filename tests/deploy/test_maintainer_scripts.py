"""What dpkg runs around an installation: the same units run after an upgrade as before it, however that ended."""

import re
import subprocess
from pathlib import Path

import pytest
from build_deb import template
from deb_packages import HUB, STATION, Package

DEPLOY = Path(__file__).parents[2] / "deploy"
PACKAGES = pytest.mark.parametrize("package", [STATION, HUB], ids=lambda package: package.name)
SYSTEMCTL = """#!/bin/sh
echo "$@" >> {log}
case "$1" in
    is-active) [ -e {active}/"$2" ] && echo active || echo inactive; [ -e {active}/"$2" ] ;;
    stop) shift; for unit; do rm -f {active}/"$unit"; done ;;
    start) touch {active}/"$2" ;;
esac
"""


class Host:
    """A machine whose systemctl is a script that keeps which units run."""

    def __init__(self, folder: Path, package: Package) -> None:
        self.folder, self.package = folder, package
        self.active = folder / "active"
        for made in (self.active, folder / "bin", folder / "run" / "systemd" / "system"):
            made.mkdir(parents=True)
        for name in ("systemd-sysusers", "systemd-tmpfiles"):
            self._program(name, "#!/bin/sh\n")
        self._program("systemctl", SYSTEMCTL.format(log=folder / "log", active=self.active))

    def runs(self) -> set[str]:
        return {path.name for path in self.active.iterdir()}

    def script(self, name: str, *words: str) -> None:
        """Run a maintainer script as dpkg does."""
        named = {"name": self.package.name, "units": " ".join(self.package.units), "purged": str(self.folder / "none")}
        text = template(name, **named).replace("/run/", f"{self.folder}/run/").replace("/var/lib/", "/nowhere/")
        text = text.replace("/lib/systemd/systemd-sysctl", "true")
        done = subprocess.run(
            ["/bin/sh", "-c", text, name, *words],
            check=False,
            capture_output=True,
            text=True,
            env={"PATH": f"{self.folder / 'bin'}:/usr/bin:/bin"},
        )
        assert done.returncode == 0, done.stderr

    def _program(self, name: str, text: str) -> None:
        path = self.folder / "bin" / name
        path.write_text(text)
        path.chmod(0o755)


@PACKAGES
def test_after_an_upgrade_the_same_units_run_as_before_it(package: Package, tmp_path: Path) -> None:
    host, ran = Host(tmp_path, package), package.units[0]
    (host.active / ran).touch()
    host.script("prerm", "upgrade", "2.0")
    assert host.runs() == set()
    host.script("postinst", "configure", "1.0")
    assert host.runs() == {ran}
    assert not (tmp_path / "run" / f"{package.name}.ran").exists()


@PACKAGES
def test_an_upgrade_that_is_broken_off_starts_again_what_it_stopped(package: Package, tmp_path: Path) -> None:
    host = Host(tmp_path, package)
    for unit in package.units:
        (host.active / unit).touch()
    host.script("prerm", "upgrade", "2.0")
    host.script("prerm", "upgrade", "2.0")  # the power was cut in between: nothing runs any more
    host.script("postrm", "abort-upgrade", "1.0")
    host.script("postinst", "abort-upgrade", "2.0")
    assert host.runs() == set(package.units)


@PACKAGES
def test_a_first_installation_and_one_after_a_removal_start_nothing(package: Package, tmp_path: Path) -> None:
    host = Host(tmp_path, package)
    host.script("postinst", "configure", "")
    (host.active / package.units[0]).touch()
    host.script("prerm", "remove")
    host.script("postrm", "remove")
    host.script("postinst", "configure", "1.0")
    assert host.runs() == set()


def test_every_unit_that_can_be_enabled_is_enabled_by_the_guide_and_stopped_by_its_package() -> None:
    units = {path.name for path in (DEPLOY / "systemd").iterdir() if "[Install]" in path.read_text()}
    guide = " ".join(re.findall(r"^systemctl enable --now (.*)$", (DEPLOY / "INSTALL.md").read_text(), re.MULTILINE))
    assert units <= set(guide.split())
    assert units == {*STATION.units, *HUB.units}
