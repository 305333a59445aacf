"""A whole line for scenarios: station, broker, collector and simulator as processes, and the join of what they hold."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from brokers import eventually
from checker import Report
from checker_sources import check
from station_kit import Station, make_bundle, process, write_frames

from cloud_sync.wire.broker import LocalBroker
from edge.demo.compare import read_station
from edge.record.database import open_reader

STATION = "test-1"


@dataclass
class Line:
    """A station's folder beside a collector's store and a simulator's log."""

    station: Station
    store: Path
    log: Path

    @classmethod
    def at(cls, folder: Path, station: Station | None = None) -> "Line":
        """The line whose files lie in a folder."""
        return cls(station or Station(folder / "station"), folder / "cloud.db", folder / "line.jsonl")

    def told(self) -> int:
        """How many verdicts the line was told so far."""
        return self.log.read_bytes().count(b'"event": "told"') if self.log.exists() else 0

    def events(self, name: str) -> list[dict[str, object]]:
        """The simulator's events of one name."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [event for event in map(json.loads, lines) if event["event"] == name]

    def records(self, stream: str = "inspections") -> dict[str, dict[str, object]]:
        """The station's records of a stream by inspection id."""
        found = read_station(self.station.database, STATION, stream)
        return {identity: json.loads(payload) for identity, (_sha256, payload) in found.items()}

    def outcomes(self) -> dict[str, int]:
        """How many inspections have which outcome at the station."""
        connection = open_reader(self.station.database)
        try:
            query = "SELECT coalesce(outcome, 'open'), count(*) FROM inspections GROUP BY 1"
            return dict(connection.execute(query).fetchall())
        finally:
            connection.close()

    def outbox_depth(self) -> int:
        """How many records the cloud has not acknowledged."""
        connection = open_reader(self.station.database)
        try:
            return int(connection.execute("SELECT count(*) FROM outbox").fetchone()[0])
        finally:
            connection.close()

    def await_acknowledged(self, within_s: float = 40) -> None:
        """Wait until the cloud acknowledged everything."""
        eventually(lambda: "open" not in self.outcomes() and self.outbox_depth() == 0, within_s)

    def check(self) -> Report:
        """Join simulator log, station and cloud, whatever the stream."""
        return check(STATION, self.station.database, str(self.store), self.log if self.log.exists() else None)

    @contextmanager
    def daemon(self) -> Iterator["subprocess.Popen[str]"]:
        """The station's daemon."""
        with process(["edge", "run", "-c", str(self.station.config)], self.station.folder / "daemon.log") as child:
            yield child

    @contextmanager
    def collector(self) -> Iterator["subprocess.Popen[str]"]:
        """The collector; returns once it is subscribed."""
        arguments = [
            "cloud",
            "collect",
            "--broker",
            f"mqtt://{self.station.broker}",
            "--store",
            str(self.store),
            "--json",
        ]
        with process(arguments, self.station.folder / "collector.log") as child:
            assert child.stdout is not None
            assert json.loads(child.stdout.readline())["event"] == "ready"
            yield child

    @contextmanager
    def simulator(self, parts: int, *options: str) -> Iterator["subprocess.Popen[str]"]:
        """A simulated line."""
        address = f"tcp://127.0.0.1:{self.station.port}"
        base = ["edge", "simulate", "--product", "blob", "--port", address, "--log", str(self.log), "--json"]
        with process([*base, "--parts", str(parts), *options], self.station.folder / "line.log") as child:
            yield child

    def run_parts(self, parts: int, *options: str, within_s: float = 60) -> dict[str, object]:
        """Run a simulated line to its end; returns its summary."""
        with self.simulator(parts, *options) as child:
            out, _ = child.communicate(timeout=within_s)
        summary: dict[str, object] = json.loads(out)
        return summary


def make_line(
    folder: Path,
    broker: LocalBroker | None = None,
    *,
    frames: int = 40,
    bad_every: int = 5,
    nan_above: float | None = None,
    settings: dict[str, dict[str, object]] | None = None,
) -> Line:
    """A line with the blob bundle and `frames` images of which every `bad_every`-th is bad."""
    address = None if broker is None else str(broker.address)
    station = Station(folder / "station", address, settings=settings or {})
    station.write_config()
    make_bundle(station.bundles, nan_above=nan_above)
    write_frames(station.folder / "frames", frames, bad_every=bad_every)
    return Line.at(folder, station)
