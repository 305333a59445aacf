"""What every output offers, and nothing more."""

from dataclasses import dataclass
from typing import Protocol

from edge.line.protocol import Ack, Trigger
from edge.line.said import Readiness, Told


@dataclass(frozen=True, slots=True)
class Turn:
    """What came of serving an output once.

    Args:
        wait_s: how long it may be left alone, seconds; something the station says comes at once all the same.
        words: what its peer says to the station: a part to look at, a verdict that arrived.
        trouble: why its peer does not get what it is told, where the output heals that by itself; else empty.
        dropped: what it could not pass on since it was made: verdicts, or triggers that came while it was busy.
    """

    wait_s: float
    words: tuple[Trigger | Ack, ...] = ()
    trouble: str = ""
    dropped: int = 0


class Output(Protocol):
    """A way to the line, driven by exactly one thread."""

    def open(self) -> None:
        """Reach the peer and show it nothing but a safe state; may be called again after `close`.

        Raises:
            OutputError: the peer cannot be reached.
        """
        ...

    def hear(self, said: Told | Readiness) -> None:
        """The station said something. Must not block for long. Raises OutputError when the peer is gone."""
        ...

    def serve(self, now_s: float) -> Turn:
        """Do what is due at `now_s` (monotonic), or what the peer asks for. Raises OutputError when it is gone."""
        ...

    def close(self) -> None:
        """Leave a safe state where it can still be reached, and let go; never raises OutputError."""
        ...
