"""A real PostgreSQL for tests: a cluster of its own in a temporary folder, on loopback, with fsync on."""

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from cloud_sync.wire.broker import free_port

_USER = "inspectd"
_SETTINGS = "listen_addresses=127.0.0.1 fsync=on synchronous_commit=on max_connections=40"


def programs() -> Path | None:
    """Where Debian put the server's programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


class Postgres:
    """One server; as root it runs as the user `postgres`, since it refuses to be root."""

    def __init__(self, folder: Path) -> None:
        found = programs()
        assert found is not None
        self._programs = found
        self._data = folder / "data"
        self._folder = folder
        self.port = free_port()
        self._owner = "postgres" if os.geteuid() == 0 else None
        if self._owner is not None:
            shutil.chown(folder, self._owner, self._owner)
        self._run("initdb", "-D", str(self._data), "-U", _USER, "-A", "trust", "-E", "UTF8", "--no-instructions")

    def start(self) -> None:
        options = f"-p {self.port} -k {self._folder} " + " ".join(f"-c {item}" for item in _SETTINGS.split())
        log = str(self._folder / "server.log")
        self._run("pg_ctl", "-D", str(self._data), "-l", log, "-w", "-o", options, "start")

    def stop(self, mode: str = "fast") -> None:
        """`immediate` is as good as a power cut: the next start recovers from the log."""
        self._run("pg_ctl", "-D", str(self._data), "-m", mode, "-w", "stop")

    def new_database(self) -> str:
        """The URL of an empty database."""
        name = f"store_{uuid.uuid4().hex}"
        with psycopg.connect(host="127.0.0.1", port=self.port, user=_USER, dbname="postgres", autocommit=True) as made:
            made.execute(f"CREATE DATABASE {name}")  # type: ignore[call-overload]
        return f"postgresql+psycopg://{_USER}@127.0.0.1:{self.port}/{name}"

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), *arguments]
        groups = [] if self._owner else None
        done = subprocess.run(
            command,
            stdout=subprocess.DEVNULL,  # the server would hold a pipe open
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            cwd=self._folder,
            user=self._owner,
            group=self._owner,
            extra_groups=groups,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, f"{program} failed: {self._log()}"

    def _log(self) -> str:
        log = self._folder / "server.log"
        return log.read_text()[-500:] if log.exists() else "it said nothing"


def running() -> Iterator[Postgres]:
    """A server for as long as the generator lives; skips the test where there is none."""
    if programs() is None:
        pytest.skip("PostgreSQL is not on this machine (Debian: postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="inspectd-postgres-"))
    try:
        server = Postgres(folder)
        server.start()
        try:
            yield server
        finally:
            server.stop("immediate")
    finally:
        shutil.rmtree(folder)


postgres = pytest.fixture(scope="session")(running)


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store's place that is empty, in each database in turn."""
    if request.param == "sqlite":
        return str(tmp_path / "store.db")
    server: Postgres = request.getfixturevalue("postgres")
    return server.new_database()
