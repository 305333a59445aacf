"""The demo's plant: broker, collector, station, trainer and line, each a process of the product itself."""

import json
import secrets
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from cloud_sync.wire.broker import Kind, LocalBroker
from edge.demo.settings import Settings, Shift
from edge.domain.errors import OutputError
from edge.processes import ask, ask_json, running

FIRST_PARTS = "part"  # what their names begin with
_IN_FLIGHT = 2
_DRAIN_S = 900.0


@dataclass(frozen=True, slots=True)
class Plant:
    """Where everything lies and listens."""

    folder: Path
    kind: Kind
    line_port: int
    broker_port: int
    settings: Settings

    @property
    def config(self) -> Path:
        """The station's configuration."""
        return self.folder / "station.toml"

    @property
    def cloud(self) -> Path:
        """The cloud's configuration."""
        return self.folder / "cloud.toml"

    @property
    def store(self) -> Path:
        """The cloud's database."""
        return self.folder / "cloud.db"

    @property
    def broker(self) -> str:
        """Its address."""
        return f"mqtt://127.0.0.1:{self.broker_port}"

    def configure(self, shift: Shift) -> None:
        """Write station.toml."""
        self.config.write_text(self.settings.station_file(shift, self.line_port, self.broker), encoding="utf-8")

    def found_cloud(self) -> None:
        """Write cloud.toml, make the keys that releases are signed by, and give their root to the station."""
        self.cloud.write_text(self.settings.cloud_file(self.broker), encoding="utf-8")
        phrase = self.folder / "passphrase"
        phrase.touch(mode=0o600)
        phrase.write_text(secrets.token_hex(16) + "\n", encoding="utf-8")
        keys = ["--store", str(self.store)]
        own = ["--trust", str(self.folder / "trust"), "--passphrase-file", str(phrase), "--json"]
        ask(["cloud", "keys", "init", *keys, *own])
        ask(["cloud", "keys", "root", *keys, "--out", str(self.folder / "root.json"), "--json"])

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """Broker and collector run."""
        with ExitStack() as stack:
            stack.enter_context(LocalBroker(self.kind, self.folder / "broker", self.broker_port))
            collect = ["cloud", "collect", "--broker", self.broker, "--store", str(self.store), "--json"]
            stack.enter_context(running(collect, self.log("collector"), wait_for_line=True))
            yield

    @contextmanager
    def inspecting(self, shift: Shift) -> Iterator[None]:
        """The station runs."""
        self.configure(shift)
        with running(["edge", "run", "--config", str(self.config), "--json"], self.log("station")):
            yield

    @contextmanager
    def training(self) -> Iterator["subprocess.Popen[str]"]:
        """The cloud's worker runs, and says each event as a line of JSON."""
        work = ["cloud", "work", "--config", str(self.cloud), "--json"]
        with running(work, self.log("work"), wait_for_line=True) as process:
            yield process

    @contextmanager
    def line(self, parts: int, prefix: str = FIRST_PARTS, rate_hz: float = 0) -> Iterator["subprocess.Popen[str]"]:
        """So many parts pass, told in `lines/PREFIX.jsonl`."""
        log = self.told(prefix)
        simulate = [
            "edge",
            "simulate",
            "--product",
            self.settings.product,
            "--parts",
            str(parts),
            "--log",
            str(log),
            "--json",
        ]
        simulate += ["--port", f"tcp://127.0.0.1:{self.line_port}", "--in-flight", str(_IN_FLIGHT)]
        simulate += ["--prefix", prefix, "--rate", f"{rate_hz:g}"]
        with running(simulate, self.log("line")) as process:
            yield process

    def told(self, prefix: str) -> Path:
        """The log of the line's parts of this name."""
        return self.folder / "lines" / f"{prefix}.jsonl"

    def log(self, what: str) -> Path:
        """A process's own log."""
        folder = self.folder / "logs"
        folder.mkdir(exist_ok=True)
        return folder / f"{what}.log"

    def await_drained(self) -> None:
        """Wait until the cloud has every record and image. Raises OutputError."""
        until_s = time.monotonic() + _DRAIN_S
        while time.monotonic() < until_s:
            status = ask_json(["edge", "status", "--config", str(self.config), "--json"], may_refuse=True)
            database = cast("dict[str, dict[str, int]]", status["database"])
            if not database["outbox"] and "open" not in database["outcomes"]:
                break
        else:
            raise OutputError(f"the outbox was not acknowledged within {_DRAIN_S:g} s: see the logs")
        ask(["edge", "spool", "drain", "--config", str(self.config), "--timeout-s", f"{_DRAIN_S:g}", "--json"])


def ended_well(line: "subprocess.Popen[str]", code: int, logs: Path) -> dict[str, object]:
    """What a simulated line says of its run. Raises OutputError: it could not be run."""
    if code not in {0, 1}:
        raise OutputError(f"the simulated line ended with exit code {code}: see {logs}")
    said: dict[str, object] = json.loads(line.stdout.read() if line.stdout else "{}")
    return said
