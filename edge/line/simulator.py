"""A production line in a process of its own: it triggers parts and logs, a JSON line each, what it was told.

The log is the judge: "reported" means in this log. A part without a verdict by the end of its patience is logged as
`untold`, which a real line treats as a reject.
"""

import json
import math
import socket
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from edge.domain.errors import OutputError
from edge.domain.percentile import percentile
from edge.line.connection import connect
from edge.line.protocol import Address

_POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class SimulatedLine:
    """What the simulator does.

    Args:
        address: the station's line port.
        product: named in every trigger.
        parts: how many parts pass.
        log: file the events are appended to.
        rate_hz: parts per second at a fixed pace; None triggers as fast as `in_flight` allows.
        in_flight: at most this many parts wait for their verdict at once.
        patience_s: a part not told within this is `untold`.
        connect_s: how long to wait for the station to be there and ready, at the start and after each loss.
        prefix: part ids are `prefix-000001` and so on.
        acknowledge: send `ack` for each verdict.
        seconds: no part passes after this, however few did; None waits for all of them.
    """

    address: Address
    product: str
    parts: int
    log: Path
    rate_hz: float | None = None
    in_flight: int = 1
    patience_s: float = 5.0
    connect_s: float = 60.0
    prefix: str = "part"
    acknowledge: bool = True
    seconds: float | None = None


@dataclass(slots=True)
class SimulatorResult:
    """How the run went; latencies in milliseconds from trigger to told, as the line saw them."""

    triggered: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    untold: int = 0
    disconnects: int = 0
    repeated: int = 0
    latencies_ms: list[float] = field(default_factory=list)
    seconds: float = 0.0


class Simulator:
    """Plays one line against one station, reconnecting when the station goes away."""

    def __init__(self, line: SimulatedLine) -> None:
        self.result = SimulatorResult()
        self._line = line
        self._sock: socket.socket | None = None
        self._received = b""
        self._ready = False
        self._waiting: dict[str, float] = {}
        self._told: set[str] = set()
        self._next_s = 0.0
        self._until_s = math.inf

    def run(self) -> SimulatorResult:
        """Trigger every part and wait for every verdict.

        Raises:
            OutputError: the station was not there, or not ready, for `connect_s`.
        """
        self._line.log.parent.mkdir(parents=True, exist_ok=True)
        with self._line.log.open("a", encoding="utf-8", buffering=1) as log:
            self._connect(log)
            started_s = self._next_s = time.monotonic()
            self._until_s = started_s + (self._line.seconds or math.inf)
            while self._more_pass() or self._waiting:
                if self._sock is None:
                    self._connect(log)
                self._trigger_due(log)
                self._listen(log)
                self._lose_patience(log)
            self.result.seconds = time.monotonic() - started_s
            if self._sock is not None:
                self._sock.close()
        return self.result

    def _connect(self, log: TextIO) -> None:
        until_s = time.monotonic() + self._line.connect_s
        self._ready = False
        while not self._ready:
            if time.monotonic() > until_s:
                raise OutputError(
                    f"station at {self._line.address} was not ready in {self._line.connect_s:g} s: is `edge run` up?"
                )
            if self._sock is None:
                self._sock = _try_connect(self._line.address)
                self._received = b""
            self._listen(log)
        self._write(log, "connected")

    def _more_pass(self) -> bool:
        return self.result.triggered < self._line.parts and time.monotonic() < self._until_s

    def _trigger_due(self, log: TextIO) -> None:
        while self._sock and self._more_pass() and len(self._waiting) < self._line.in_flight:
            now_s = time.monotonic()
            if self._line.rate_hz is not None and now_s < self._next_s:
                return
            self._next_s = max(self._next_s, now_s - 1.0) + (1 / self._line.rate_hz if self._line.rate_hz else 0)
            self.result.triggered += 1
            part_id = f"{self._line.prefix}-{self.result.triggered:06d}"
            self._write(log, "triggered", part_id=part_id)
            self._waiting[part_id] = time.monotonic()
            self._send(log, {"type": "trigger", "part_id": part_id, "product": self._line.product})

    def _listen(self, log: TextIO) -> None:
        if self._sock is None:
            time.sleep(_POLL_S)
            return
        self._sock.settimeout(self._patience_s())
        try:
            data = self._sock.recv(65536)
        except TimeoutError:
            return
        except OSError:
            data = b""
        if not data:
            self._lose_connection(log)
            return
        *lines, self._received = (self._received + data).split(b"\n")
        for line in lines:
            self._hear(log, json.loads(line))

    def _patience_s(self) -> float:
        if self._line.rate_hz is None or not self._more_pass():
            return _POLL_S
        return min(_POLL_S, max(0.0005, self._next_s - time.monotonic()))

    def _hear(self, log: TextIO, message: dict[str, object]) -> None:
        if message["type"] == "ready":
            self._ready = bool(message["ready"])
            self._write(log, "ready", ready=self._ready, why=message["why"])
        elif message["type"] == "verdict":
            self._hear_verdict(log, message)
        elif message["type"] == "error":
            self._write(log, "error", why=message["why"])

    def _hear_verdict(self, log: TextIO, message: dict[str, object]) -> None:
        part_id = str(message["part_id"])
        triggered_s = self._waiting.pop(part_id, None)
        latency_ms = None if triggered_s is None else (time.monotonic() - triggered_s) * 1000
        self._write(
            log,
            "told",
            part_id=part_id,
            verdict=message["verdict"],
            reasons=message["reasons"],
            inspection_id=message["inspection_id"],
            record_sha256=message["record_sha256"],
            latency_ms=latency_ms,
            repeated=part_id in self._told,
        )
        self.result.repeated += part_id in self._told
        self._told.add(part_id)
        self.result.verdicts[str(message["verdict"])] += 1
        if latency_ms is not None:
            self.result.latencies_ms.append(latency_ms)
        if self._line.acknowledge:
            self._send(log, {"type": "ack", "part_id": part_id})

    def _send(self, log: TextIO, message: dict[str, object]) -> None:
        if self._sock is None:
            return
        try:
            self._sock.settimeout(1.0)
            self._sock.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            self._lose_connection(log)

    def _lose_patience(self, log: TextIO) -> None:
        late = time.monotonic() - self._line.patience_s
        for part_id in [part_id for part_id, since_s in self._waiting.items() if since_s < late]:
            self._give_up(log, part_id, "patience")

    def _lose_connection(self, log: TextIO) -> None:
        if self._sock is None:
            return
        self._sock.close()
        self._sock = None
        self.result.disconnects += 1
        self._write(log, "disconnected")
        for part_id in list(self._waiting):
            self._give_up(log, part_id, "disconnected")

    def _give_up(self, log: TextIO, part_id: str, why: str) -> None:
        del self._waiting[part_id]
        self.result.untold += 1
        self._write(log, "untold", part_id=part_id, why=why)

    def _write(self, log: TextIO, event: str, **content: object) -> None:
        log.write(json.dumps({"event": event, "monotonic_s": time.monotonic(), **content}) + "\n")


def _try_connect(address: Address) -> socket.socket | None:
    try:
        return connect(address)
    except OSError:
        return None


def summarize(result: SimulatorResult) -> dict[str, object]:
    """The run in figures: counts, parts per second, and told latency percentiles in milliseconds."""
    latencies = sorted(result.latencies_ms)
    p50_ms, p99_ms = (round(percentile(latencies, share), 2) if latencies else None for share in (0.50, 0.99))
    return {
        "parts": result.triggered,
        "verdicts": dict(result.verdicts),
        "untold": result.untold,
        "repeated": result.repeated,
        "disconnects": result.disconnects,
        "told_p50_ms": p50_ms,
        "told_p99_ms": p99_ms,
        "parts_per_s": round(result.triggered / result.seconds, 2) if result.seconds else None,
        "seconds": round(result.seconds, 3),
    }
