"""Make a release: archives, bills of materials, licences, audit, checksums. `make release` runs it.

Nothing is released from a tree that is not clean, with a licence that nobody has read, or with a known weakness. Where
the advisory service does not answer nothing is released either, unless `--no-audit` says so by name.

Ends with 0, 1 (a gate said no), 2 (wrong usage or configuration) or 3 (the outside world did not answer: not audited).
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from supply import advisories, artefacts, licences, locks, sbom
from supply.faults import MisuseError, RefusedError, ReleaseError

ROOT = Path(__file__).parents[1]
HASHED = Path(__file__).parent / "requirements" / "hashed"
PARTS = {
    "inspectd": ("calibrate", "genicam", "gpio", "modbus", "opcua"),
    "inspectd-hub": ("hub", "postgres"),
}
_DEB = Path(__file__).parent / "build_deb.py"


def main(words: list[str] | None = None) -> int:
    """Make it; the exit code says how it ended, and stderr why."""
    chosen = _parsed(words)
    try:
        made = make(chosen)
    except ReleaseError as fault:
        _say(f"no release: {fault}")
        return fault.code
    _say(f"released: {made}")
    return 0


def make(chosen: argparse.Namespace) -> Path:
    """The folder of a whole release; it appears in one rename, or not at all. Raises ReleaseError."""
    source = artefacts.clean_source(ROOT)
    project = artefacts.read_project(ROOT)
    final = chosen.out / f"inspectd-{project['version']}"
    if final.exists():
        raise MisuseError(f"{final} is there already: raise the version in pyproject.toml, or remove it")
    chosen.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=chosen.out, prefix=".making-") as scratch:
        made = Path(scratch) / "release"
        made.mkdir()
        _describe(source, project, made)
        _audit(chosen, made)
        artefacts.build_archives(source, made, Path(scratch))
        _debian(chosen, made)
        sums = artefacts.write_sums(made)
        if chosen.key is not None:
            artefacts.sign(sums, chosen.key)
        if artefacts.clean_source(ROOT) != source:  # the Debian packages are built from the working tree
            raise RefusedError("there was a commit meanwhile: again")
        made.rename(final)
    return final


def _describe(source: artefacts.Source, project: dict, made: Path) -> None:
    """The bills of materials and the licences."""
    for part, extras in PARTS.items():
        found = licences.licences(locks.read_lock(HASHED / f"{part}.txt"))
        requires = [
            *project["dependencies"],
            *(one for extra in extras for one in project["optional-dependencies"][extra]),
        ]
        product = sbom.Product(part, str(project["version"]), tuple(requires), source.at)
        (made / f"sbom-{part}.cdx.json").write_bytes(sbom.bill(product, found))
        (made / f"LICENSES-{part}.md").write_text(licences.page(found), encoding="utf-8")


def _audit(chosen: argparse.Namespace, made: Path) -> None:
    """Ask for known weaknesses; what was not asked stands in the release, loudly."""
    if chosen.no_audit:
        _say("NOT AUDITED: --no-audit was named. Known weaknesses of what this release installs were not looked for.")
        (made / "NOT-AUDITED").write_text("This release was made with --no-audit.\n", encoding="ascii")
        return
    accepted = advisories.read_accepted(advisories.ACCEPTED)
    answers = {}
    for part in PARTS:
        lock = HASHED / f"{part}.txt"
        answer = advisories.ask(chosen.pip_audit, lock, locks.read_lock(lock), chosen.audit_option)
        advisories.judge(answer, accepted, datetime.now(UTC).date())
        answers[part] = [str(one) for one in answer.findings]
    (made / "audit.json").write_text(json.dumps({"accepted_findings": answers}, indent=1) + "\n", encoding="utf-8")


def _debian(chosen: argparse.Namespace, made: Path) -> None:
    """The Debian packages, by their own program; the tree is clean, so they are of this commit."""
    if chosen.no_deb:
        _say("no Debian packages: --no-deb was named")
        return
    done = subprocess.run([chosen.python, str(_DEB), "--out", str(made)], check=False)
    if done.returncode:
        raise MisuseError(f"{_DEB.name} ended with {done.returncode}: see above")


def _parsed(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "release", help="folder for releases")
    parser.add_argument("--key", type=Path, help="Ed25519 private key (PEM) to sign SHA256SUMS with; never kept here")
    parser.add_argument("--no-audit", action="store_true", help="release without asking for known weaknesses")
    parser.add_argument(
        "--no-deb", action="store_true", help="without the Debian packages, which only Debian 12 builds"
    )
    parser.add_argument("--python", default="python3", help="with pip, for the Debian packages")
    parser.add_argument("--pip-audit", type=Path, default=Path(shutil.which("pip-audit") or "pip-audit"))
    parser.add_argument(
        "--audit-option", action="append", default=[], help="passed to pip-audit: -s osv, --osv-url ..."
    )
    return parser.parse_args(words)


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main())
