"""The one thread an output has: a client of the line port, so that whatever hangs behind it, no verdict waits for it.

Invariants:
- A verdict of an earlier connection never reaches a peer that came back: each opening is a new connection to the port.
- What is heard while an output is not open is not told by it afterwards.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from edge.domain.errors import OutputError
from edge.line.connection import LineConnection
from edge.line.outputs.output import Output
from edge.line.protocol import Ack, Address, Trigger, ack_line, listen_line, trigger_line
from edge.line.said import Told, parse_said

log = structlog.get_logger()
_PATIENCE_S = 0.1
_BACKOFF_S = (0.2, 0.5, 1.0)
_NOT_OPEN = "not opened yet"


@dataclass(slots=True)
class TellerCounters:
    """Since the start: parts its peer triggered, verdicts given to it and acknowledged, what was dropped, losses."""

    triggers: int = 0
    told: int = 0
    acknowledged: int = 0
    dropped: int = 0
    losses: int = 0


class Teller:
    """Owns one output and its thread; opens it again, with growing pauses, whenever it is lost.

    Args:
        output_id: the output's name in station.toml.
        output: used by this object alone.
        address: the station's line port.
        listens: it hears of every part; else of those that its own peer triggers.
        on_trouble: called with why nothing reaches the peer, and with nothing once it does again.
    """

    def __init__(
        self, output_id: str, output: Output, address: Address, *, listens: bool, on_trouble: Callable[[str], None]
    ) -> None:
        self.output_id = output_id
        self.counters = TellerCounters()
        self.trouble = _NOT_OPEN
        self._output = output
        self._address = address
        self._listens = listens
        self._on_trouble = on_trouble
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"output-{output_id}", daemon=True)

    def start(self) -> None:
        """Start the thread; the output opens in it."""
        self._on_trouble(f"output {self.output_id!r}: {self.trouble}")
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """End the thread, its output left in a safe state, waiting at most `timeout_s` seconds."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
            if self._thread.is_alive():
                log.error("an output does not let go", output=self.output_id)

    def _run(self) -> None:
        attempt = 0
        while not self._stop.is_set():
            attempt = 0 if self._serve_output() else attempt + 1
            self._stop.wait(_BACKOFF_S[min(attempt, len(_BACKOFF_S) - 1)])

    def _serve_output(self) -> bool:
        """Open the output and serve it until it is lost or a stop is asked for; whether it reached its peer."""
        why = ""
        try:
            self._output.open()
            with LineConnection(self._address) as line:
                self._attend(line)
        except OutputError as error:
            why = str(error)
        except Exception as error:
            # a defect in one output must be seen, and must not end the inspection that the others are told of
            why = f"{type(error).__name__}: {error}"
            if why != self.trouble:
                log.exception("defect in an output", output=self.output_id)
        finally:
            self._close()
        reached = not self.trouble
        if why:
            self.counters.losses += 1
            self._set_trouble(why)
        return reached

    def _close(self) -> None:
        try:
            self._output.close()
        except Exception:
            log.exception("defect in an output, at its end", output=self.output_id)

    def _attend(self, line: LineConnection) -> None:
        if self._listens:
            line.say(listen_line())
        while not self._stop.is_set():
            turn = self._output.serve(time.monotonic())
            for word in turn.words:
                self._say(line, word)
            self.counters.dropped = turn.dropped
            self._set_trouble(turn.trouble)
            for heard in line.hear(min(turn.wait_s, _PATIENCE_S)):
                self._hear(heard)

    def _say(self, line: LineConnection, word: Trigger | Ack) -> None:
        match word:
            case Trigger():
                self.counters.triggers += 1
                line.say(trigger_line(word))
            case Ack():
                self.counters.acknowledged += 1
                line.say(ack_line(word))

    def _hear(self, line: bytes) -> None:
        said = parse_said(line)
        if said is None:
            return
        self._output.hear(said)
        self.counters.told += isinstance(said, Told)

    def _set_trouble(self, why: str) -> None:
        if why == self.trouble:
            return
        if bool(why) != bool(self.trouble) or self.trouble == _NOT_OPEN:
            say = log.warning if why else log.info
            say("output lost" if why else "output tells", output=self.output_id, why=why)
        self.trouble = why
        self._on_trouble(f"output {self.output_id!r}: {why}" if why else "")
