"""Resolve each extra of pyproject.toml into a lock file of `name==version` lines, with pip alone.

What the Debian packages install is also written with the sha256 of the archive that pip takes for their Python
(`hashed/`): one that was changed on its way, or in the registry, is refused by pip itself.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

LOCKED = Path(__file__).parent / "requirements"
HASHED = LOCKED / "hashed"
ROOT = LOCKED.parents[1]
LOCKS = {
    "station": "",
    "inspectd": "calibrate,genicam,gpio,modbus,opcua,web",
    "inspectd-hub": "hub,postgres,web",
    "demo": "demo",
    "dev": "dev",
}
INSTALLED = ("inspectd", "inspectd-hub")  # the Debian packages
BUILD = ["setuptools>=77", "wheel"]
TOOLS = {"release": ["pip-audit>=2.10"]}
PYTHON = "3.11"  # Debian 12's, which the packages are for
PLATFORMS = [f"manylinux_2_{minor}_x86_64" for minor in (35, 34, 31, 28, 27, 17)] + ["manylinux2014_x86_64"]
_PIP = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]


def resolve(wanted: Sequence[str]) -> list[str]:
    """The pinned packages of what is wanted, without inspectd itself."""
    packages = [package["metadata"] for package in _report(wanted)]
    lines = [f"{_plain(each['name'])}=={each['version'].split('+')[0]}" for each in packages]
    return sorted(line for line in lines if not line.startswith("inspectd=="))


def hashed(pins: Path) -> list[str]:
    """The pins, each with the sha256 of its archive."""
    target = ["--target", "none", "--only-binary=:all:", "--python-version", PYTHON]
    platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
    found = _report(["--no-deps", *target, *platforms, "-r", str(pins)])
    return sorted(_hashed_line(package) for package in found)


def _hashed_line(package: dict[str, dict]) -> str:
    name, version = _plain(package["metadata"]["name"]), package["metadata"]["version"]
    return f"{name}=={version} --hash=sha256:{package['download_info']['archive_info']['hashes']['sha256']}"


def _report(arguments: Sequence[str]) -> list[dict[str, dict]]:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        subprocess.run([*_PIP, "--report", str(report), *arguments], check=True)
        return json.loads(report.read_text(encoding="utf-8"))["install"]


def _plain(name: str) -> str:
    return name.lower().replace("_", "-")


def _write(path: Path, lines: Sequence[str]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    sys.stderr.write(f"{path.relative_to(LOCKED)}: {len(lines)} packages\n")


def main() -> None:
    """Write every lock file."""
    for name, extra in LOCKS.items():
        _write(LOCKED / f"{name}.txt", resolve([*BUILD, f"{ROOT}[{extra}]" if extra else str(ROOT)]))
    for name, wanted in TOOLS.items():
        _write(LOCKED / f"{name}.txt", resolve(wanted))
    for name in INSTALLED:
        _write(HASHED / f"{name}.txt", hashed(LOCKED / f"{name}.txt"))


if __name__ == "__main__":
    main()
