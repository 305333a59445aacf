"""The archives of a release, byte for byte the same wherever and whenever the same commit is built.

- Built from what the commit holds (`git archive`), never from the working tree, in a folder of its own.
- Time, zone, language, hash seed and file modes are set here, whatever the caller has.
- setuptools' sdist still carries users, modes and times of the machine: it is written anew. Its wheel needs nothing.
- The same bytes need the same setuptools, wheel and zlib: the lock pins the first two, the archive names its Python.
"""

import gzip
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from supply.faults import MisuseError, RefusedError

_BUILD = "import sys; from setuptools import build_meta as b; out = sys.argv[1]; b.build_wheel(out); b.build_sdist(out)"
_UMASK = 0o022
_KEPT = ("PATH", "HOME", "LD_LIBRARY_PATH")
SUMS = "SHA256SUMS"


@dataclass(frozen=True, slots=True)
class Source:
    """What is released: the repository's folder, its commit, and when that was made."""

    root: Path
    commit: str
    at: datetime

    @property
    def epoch_s(self) -> int:
        """The commit's time, in seconds since 1970."""
        return int(self.at.timestamp())


def clean_source(root: Path) -> Source:
    """The last commit. Raises RefusedError if anything in the working tree is not in it."""
    if changed := _git(root, "status", "--porcelain"):
        raise RefusedError(f"the working tree is not clean: commit or remove {changed.splitlines()[:5]}")
    return last_commit(root)


def last_commit(root: Path) -> Source:
    """The last commit, whatever the working tree holds."""
    commit, seconds = _git(root, "log", "-1", "--format=%H %ct").split()
    return Source(root, commit, datetime.fromtimestamp(int(seconds), UTC))


def read_project(root: Path) -> dict[str, object]:
    """The `[project]` table of pyproject.toml."""
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def build_archives(source: Source, out: Path, scratch: Path) -> list[Path]:
    """Wheel and sdist into `out`. Raises MisuseError, with what setuptools said, if it does not build."""
    tree = scratch / "tree"
    _export(source, tree)
    made = scratch / "made"
    made.mkdir()
    command = [sys.executable, "-c", _BUILD, str(made)]
    env = {name: os.environ[name] for name in _KEPT if name in os.environ} | _fixed(source)
    done = subprocess.run(command, cwd=tree, env=env, umask=_UMASK, capture_output=True, text=True, check=False)
    if done.returncode:
        raise MisuseError(f"setuptools does not build it: {(done.stderr or done.stdout).strip()[-800:]}")
    (wheel,), (sdist,) = made.glob("*.whl"), made.glob("*.tar.gz")
    kept = [out / wheel.name, out / sdist.name]
    kept[0].write_bytes(wheel.read_bytes())
    kept[1].write_bytes(same_sdist(sdist.read_bytes(), source.epoch_s))
    return kept


def same_sdist(archive: bytes, epoch_s: int) -> bytes:
    """The same files in the order of their names, of no user, at one time."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(archive)) as came, tarfile.open(fileobj=plain, mode="w") as made:
        for member in sorted(came.getmembers(), key=lambda one: one.name):
            same = tarfile.TarInfo(member.name)
            same.size, same.mtime, same.type = member.size, epoch_s, member.type
            same.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            made.addfile(same, came.extractfile(member))
    return gzip.compress(plain.getvalue(), mtime=epoch_s)


def write_sums(out: Path) -> Path:
    """SHA256SUMS of every file in `out`, as `sha256sum --check` reads it."""
    files = sorted(path for path in out.iterdir() if path.is_file() and not path.name.startswith(SUMS))
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files]
    (out / SUMS).write_text("".join(lines), encoding="ascii")
    return out / SUMS


def sign(sums: Path, key_file: Path) -> Path:
    """Sign the sums with an Ed25519 key (PEM); `openssl pkeyutl -verify -rawin` checks it. Raises MisuseError."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(key_file.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as fault:
        raise MisuseError(f"--key {key_file}: expected a private key in PEM without a password: {fault}") from fault
    if not isinstance(key, Ed25519PrivateKey):
        raise MisuseError(f"--key {key_file}: expected an Ed25519 key (openssl genpkey -algorithm ed25519)")
    signature = sums.with_name(f"{SUMS}.sig")
    signature.write_bytes(key.sign(sums.read_bytes()))
    return signature


def _export(source: Source, tree: Path) -> None:
    """The commit's files, modes of our own."""
    command = ["git", "archive", "--format=tar", source.commit]
    archive = subprocess.run(command, cwd=source.root, capture_output=True, check=True)
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as came:
        for member in came.getmembers():
            path, content = tree / member.name, came.extractfile(member)
            if content is not None:
                path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
                path.write_bytes(content.read())
                path.chmod(0o755 if member.mode & 0o100 else 0o644)


def _fixed(source: Source) -> dict[str, str]:
    same = {"TZ": "UTC", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "0", "PYTHONNOUSERSITE": "1"}
    return same | {"SOURCE_DATE_EPOCH": str(source.epoch_s)}


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise MisuseError(f"{root} is no git repository with a commit: {done.stderr.strip()[:200]}")
    return done.stdout.strip()
