"""Resolve each extra of pyproject.toml into a lock file of `name==version` lines, with pip alone."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

LOCKED = Path(__file__).parent / "requirements"
ROOT = LOCKED.parents[1]
LOCKS = {"station": "", "demo": "demo", "dev": "dev"}
BUILD = ["setuptools>=77", "wheel"]


def resolve(extra: str) -> list[str]:
    """The pinned packages of one extra, without inspectd itself."""
    target = f"{ROOT}[{extra}]" if extra else str(ROOT)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
        subprocess.run([*pip, "--report", str(report), *BUILD, target], check=True)
        found = json.loads(report.read_text(encoding="utf-8"))["install"]
    packages = [package["metadata"] for package in found]
    lines = [f"{each['name'].lower().replace('_', '-')}=={each['version'].split('+')[0]}" for each in packages]
    return sorted(line for line in lines if not line.startswith("inspectd=="))


def main() -> None:
    """Write every lock file."""
    for name, extra in LOCKS.items():
        lines = resolve(extra)
        (LOCKED / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        sys.stderr.write(f"{name}.txt: {len(lines)} packages\n")


if __name__ == "__main__":
    main()
