"""Build the Debian packages: `inspectd` for a station, `inspectd-hub` for the cloud's end.

Each is a virtual environment of Debian's own Python below /opt with the packages its lock file pins by hash, compiled
here, and the units and settings that lie in deploy/. Packages come from pip as this machine configures it, once: what
was fetched stays in build/wheels. The same sources give the same bytes: times come from SOURCE_DATE_EPOCH, else from
the last commit.
"""

import argparse
import functools
import gzip
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from deb_packages import HUB, STATION, Package

DEPLOY = Path(__file__).resolve().parent
ROOT = DEPLOY.parent
WHEELS = ROOT / "build" / "wheels"
DEBIAN_PYTHON = Path("/usr/bin/python3")
SITE_PACKAGES = "lib/python3.11/site-packages"
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "edge", "cloud_sync", "models")
# Fast to pack and to unpack; the slowest level would save an eighth.
COMPRESSION = ("-Zzstd", "-z6")


def main() -> None:
    """Build what was asked for; print the path of each package."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--package", choices=[STATION.name, HUB.name], action="append", help="all if left out")
    parser.add_argument("--version", default=declared_version(), help="another version than pyproject.toml's")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "deb")
    asked = parser.parse_args()
    os.umask(0o022)
    os.environ.setdefault("SOURCE_DATE_EPOCH", last_commit_s())
    os.environ["TZ"] = "UTC"
    for name in [name for name in os.environ if name.startswith("PYTHON")]:
        del os.environ[name]  # or a checkout on PYTHONPATH counts as installed
    for package in (STATION, HUB):
        if package.name in (asked.package or (STATION.name, HUB.name)):
            sys.stdout.write(f"{build(package, asked.version, asked.out)}\n")


def build(package: Package, version: str, out: Path) -> Path:
    """Build one package into `out` and return its file."""
    out.mkdir(parents=True, exist_ok=True)
    deb = out / f"{package.name}_{version}_amd64.deb"
    kept = third_party(package)
    with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
        root = Path(folder) / "root"
        shutil.copytree(kept, root / package.home, symlinks=True, copy_function=os.link)
        add_own_code(package, version, root, Path(folder))
        add_deployed_files(package, root)
        add_metadata(package, version, root)
        words = ["dpkg-deb", "--root-owner-group", *COMPRESSION, "--build", str(root), str(deb)]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    return deb


def third_party(package: Package) -> Path:
    """The virtual environment with the pinned packages alone, compiled; kept until its lock file changes."""
    lock = DEPLOY / "requirements" / "hashed" / f"{package.name}.txt"
    mark = hashlib.sha256(lock.read_bytes() + Path(__file__).read_bytes()).hexdigest()[:12]
    kept = ROOT / "build" / "deb-trees" / f"{package.name}-{mark}"
    if not kept.is_dir():
        fetch(lock)
        kept.parent.mkdir(parents=True, exist_ok=True)
        for old in kept.parent.glob(f"{package.name}-{'?' * len(mark)}"):
            shutil.rmtree(old)
        with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
            home = Path(folder) / package.home
            make_environment(package, home)
            install(home, "--find-links", str(WHEELS), "--requirement", str(lock))
            tidy(package, home)
            compile_code(home, Path(folder))
            home.rename(kept)
    return kept


def fetch(lock: Path) -> None:
    """Have every wheel of the lock file in build/wheels."""
    WHEELS.mkdir(parents=True, exist_ok=True)
    words = ["download", "--no-deps", "--only-binary", ":all:", "--dest", str(WHEELS), "--requirement", str(lock)]
    if pip(DEBIAN_PYTHON, *words, "--no-index", "--find-links", str(WHEELS), check=False):
        pip(DEBIAN_PYTHON, *words)


def make_environment(package: Package, home: Path) -> None:
    """A virtual environment as `venv` makes it, but for the place it will be used at."""
    (home / "bin").mkdir(parents=True)
    (home / SITE_PACKAGES).mkdir(parents=True)
    (home / "bin" / "python3").symlink_to(DEBIAN_PYTHON)
    (home / "bin" / "python").symlink_to("python3")
    said = subprocess.run([str(DEBIAN_PYTHON), "-V"], check=True, capture_output=True, text=True).stdout.split()[1]
    if not said.startswith("3.11."):
        sys.exit(f"the packages are for Debian 12: {DEBIAN_PYTHON} must be 3.11, it is {said}")
    lines = ["home = /usr/bin", "include-system-site-packages = false", f"version = {said}"]
    (home / "pyvenv.cfg").write_text("\n".join([*lines, f"command = {DEBIAN_PYTHON} -m venv /{package.home}", ""]))


def add_own_code(package: Package, version: str, root: Path, folder: Path) -> None:
    """Install our own wheel, built from a clean copy of the sources."""
    sources, home = folder / "sources", root / package.home
    for name in SOURCES:
        target = sources / name
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            target.parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, target)
    project = sources / "pyproject.toml"
    project.write_text(re.sub(r'(?m)^version = ".*"$', f'version = "{version}"', project.read_text(), count=1))
    wheels = str(folder / "wheels")
    python = home / "bin" / "python3"
    pip(python, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", wheels, str(sources))
    install(home, "--find-links", wheels, f"inspectd=={version}")
    tidy(package, home)
    if not (home / "bin" / package.command).is_file():
        sys.exit(f"pip installed no {package.command} into {home}")
    for name in ("edge", "cloud_sync", "models"):
        compile_code(home / SITE_PACKAGES / name, root)
    link = root / "usr" / "bin" / package.command
    link.parent.mkdir(parents=True)
    link.symlink_to(f"/{package.home}/bin/{package.command}")


def install(home: Path, *what: str) -> None:
    """Install wheels that lie on this disk."""
    pip(home / "bin" / "python3", "install", "--no-index", "--no-deps", "--no-compile", *what)


def tidy(package: Package, home: Path) -> None:
    """Leave of the scripts only our command, with the interpreter it will have; forget the others in RECORD."""
    for script in (home / "bin").iterdir():
        if script.name == package.command:
            body = script.read_text().split("\n", 1)[1]
            script.write_text(f"#!/{package.home}/bin/python3 -I\n{body}")
        elif not script.is_symlink():
            script.unlink()
    shutil.rmtree(home / "share", ignore_errors=True)
    for record in (home / SITE_PACKAGES).glob("*.dist-info/RECORD"):
        lines = record.read_text().splitlines(keepends=True)
        if any(line.startswith("../../../") for line in lines):
            record.unlink()  # a kept tree holds the same file
            record.write_text("".join(line for line in lines if not line.startswith("../../../")))


def compile_code(folder: Path, root: Path) -> None:
    """Compile what is imported, for the place it is installed to; nothing is ever compiled or written there."""
    words = [str(DEBIAN_PYTHON), "-m", "compileall", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash"]
    subprocess.run([*words, "-s", str(root), "-p", "/", str(folder)], check=True, stdout=sys.stderr)


def add_deployed_files(package: Package, root: Path) -> None:
    """Lay the files of deploy/ where the system looks for them."""
    for pattern, place in package.files:
        for source in sorted(DEPLOY.glob(pattern)):
            target = root / place / source.name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target)
            else:
                shutil.copy(source, target)


def add_metadata(package: Package, version: str, root: Path) -> None:
    """Write copyright, changelog, control file, checksums and maintainer scripts."""
    words = {"name": package.name, "units": " ".join(package.units), "purged": " ".join(package.purged)}
    documents = root / "usr" / "share" / "doc" / package.name
    documents.mkdir(parents=True, exist_ok=True)
    (documents / "copyright").write_text(template("copyright", **words))
    overrides = root / "usr" / "share" / "lintian" / "overrides" / package.name
    overrides.parent.mkdir(parents=True)
    overrides.write_text(template("lintian-overrides", **words))
    (documents / "changelog.gz").write_bytes(gzip.compress(changelog(package, version).encode(), mtime=0))
    files = sorted(path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    sums = [f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.relative_to(root)}\n" for path in files]  # noqa: S324
    size_kib = sum(path.stat().st_size for path in files) // 1024
    control = root / "DEBIAN"
    control.mkdir()
    (control / "md5sums").write_text("".join(sums))
    (control / "conffiles").write_text(
        "".join(f"/{path}\n" for path in relative(files, root) if path.startswith("etc/"))
    )
    (control / "control").write_text(template(f"{package.name}.control", version=version, size_kib=str(size_kib)))
    for script in ("postinst", "prerm", "postrm"):
        (control / script).write_text(template(script, **words))
        (control / script).chmod(0o755)


def relative(files: list[Path], root: Path) -> list[str]:
    """Paths as they are once installed, without the leading slash."""
    return [str(path.relative_to(root)) for path in files]


def changelog(package: Package, version: str) -> str:
    """The one entry Debian asks for; what changed for users stands in the project's own changelog."""
    words = ["date", "--utc", "--rfc-email", f"--date=@{os.environ['SOURCE_DATE_EPOCH']}"]
    when = subprocess.run(words, check=True, capture_output=True, text=True, env={"LC_ALL": "C"}).stdout.strip()
    by = "inspectd developers <inspectd@localhost.invalid>"
    return f"{package.name} ({version}) bookworm; urgency=medium\n\n  * Release {version}.\n\n -- {by}  {when}\n"


def template(file: str, /, **words: str) -> str:
    """A file of deploy/debian with its {words} filled in."""
    return re.sub(r"\{(\w+)\}", lambda found: words[found[1]], (DEPLOY / "debian" / file).read_text(encoding="utf-8"))


def pip(python: Path, *words: str, check: bool = True) -> int:
    """Run a pip of this machine for another interpreter; its exit status."""
    run = [interpreter_with_pip(), "-m", "pip", "--python", str(python), *words, "--quiet"]
    return subprocess.run(run, check=check, stdout=sys.stderr, stderr=None if check else subprocess.DEVNULL).returncode


@functools.cache
def interpreter_with_pip() -> str:
    """Ours, or another one of this machine: our virtual environments have no pip of their own."""
    for python in (sys.executable, shutil.which("python3"), str(DEBIAN_PYTHON)):
        words = [python or "", "-c", "import pip"]
        if python and not subprocess.run(words, check=False, stderr=subprocess.DEVNULL).returncode:
            return python
    sys.exit("no Python here has pip: apt-get install python3-pip")


def declared_version() -> str:
    """The version pyproject.toml names."""
    found = re.search(r'(?m)^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    if found is None:
        sys.exit('pyproject.toml has no line `version = "..."`')
    return found[1]


def last_commit_s() -> str:
    """When the last commit was made, in seconds since 1970; outside a repository 1980, where zip's time begins."""
    words = ["git", "-C", str(ROOT), "log", "-1", "--format=%ct"]
    said = subprocess.run(words, check=False, capture_output=True, text=True)
    return said.stdout.strip() or "315532800"


if __name__ == "__main__":
    main()
