"""An output on a real line port, whose verdicts the test gives; and what stands in station.toml for it."""

import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brokers import eventually
from daemon_kit import status
from edge_kit import Collected, committed
from pydantic import TypeAdapter
from station_kit import Station, make_bundle, write_frames

from cloud_sync.wire.broker import free_port
from edge.config_outputs import OutputSection
from edge.domain.errors import OutputError
from edge.domain.part import Part, Verdict
from edge.line.outputs.open import make_output
from edge.line.outputs.output import Output
from edge.line.outputs.teller import Teller
from edge.line.port import LinePort, PortTimes
from edge.line.protocol import Address

TIMES = PortTimes(1.0, 1.0, 0.2)


GPIO = """
[[output]]
id = "lamp"
kind = "gpio"
pass_line = 1
fail_line = 2
undecided_line = 3
ready_line = 4
gap_ms = 0.1
"""


def section(text: str) -> OutputSection:
    """The first `[[output]]` of this text."""
    adapter: TypeAdapter[OutputSection] = TypeAdapter(OutputSection)
    return adapter.validate_python(tomllib.loads(text)["output"][0])


def output_status(made: Station, output_id: str) -> dict[str, Any]:
    """What the daemon says of an output; nothing before it said anything at all."""
    try:
        found: dict[str, Any] = status(made)["outputs"][output_id]
    except FileNotFoundError:
        return {"tells": None}
    return found


def make_station(folder: Path) -> Station:
    """A station with the blob bundle, whose every fifth frame is bad."""
    station = Station(folder / "station")
    station.write_config()
    make_bundle(station.bundles)
    write_frames(station.folder / "frames", 20, bad_every=5)
    return station


def with_output(made: Station, text: str) -> Station:
    """The station with one more section."""
    made.config.write_text(made.config.read_text() + text)
    return made


@dataclass
class ServedOutput:
    """A port, the output at it, and what came of both."""

    port: LinePort
    where: int
    teller: Teller
    parts: Collected
    outcomes: Collected

    def part(self, count: int = 1) -> Part:
        found: Part = self.parts.wait_for(count)[count - 1]
        return found

    def tell(self, verdict: Verdict, part: Part, seq: int = 1) -> None:
        self.port.tell(committed(verdict, part, seq))

    def tells(self, *, within_s: float = 15) -> None:
        """Wait until the output reaches its peer."""
        eventually(lambda: not self.teller.trouble, within_s)

    def fails(self, *, within_s: float = 15) -> str:
        """Wait until it does not; returns why."""
        eventually(lambda: self.teller.trouble, within_s)
        return self.teller.trouble


@contextmanager
def served_output(output: OutputSection | Output, *, listens: bool = True) -> Iterator[ServedOutput]:
    """The output, started, at a port that is ready."""
    parts, outcomes, where = Collected(), Collected(), free_port()
    address = Address(where, None)
    port = LinePort(address, TIMES, parts, lambda settled: [outcomes(one) for one in settled] and None)
    driver = output if hasattr(output, "serve") else make_output(output, "test-1")
    teller = Teller("out", driver, address, listens=listens, on_trouble=lambda _why: None)
    port.start()
    port.set_ready(True, "")
    teller.start()
    try:
        yield ServedOutput(port, where, teller, parts, outcomes)
    finally:
        teller.stop(5)
        port.stop(5)
    assert port.failure is None
    assert not teller._thread.is_alive()  # noqa: SLF001 - a thread that stays would hold the peer


class WrittenDown:
    """A chip that keeps what it was told; it fails while `broken`."""

    def __init__(self) -> None:
        self.broken = False
        self.offsets: tuple[int, ...] = ()
        self.driven: list[dict[int, bool]] = []

    def open(self, offsets: tuple[int, ...]) -> None:
        if self.broken:
            raise OutputError("no chip")
        self.offsets = offsets
        self.driven.append(dict.fromkeys(offsets, False))

    def drive(self, levels: Mapping[int, bool]) -> None:
        if self.broken:
            raise OutputError("the chip is gone")
        self.driven.append(dict(levels))

    def close(self) -> None:
        self.driven.append(dict.fromkeys(self.offsets, False))

    def on(self) -> list[set[int]]:
        """Which lines were on, change by change."""
        return [{offset for offset, is_on in levels.items() if is_on} for levels in self.driven]
