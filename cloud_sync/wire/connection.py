"""One connection's life: which it is, how far it came, how much is under way on it. Knows no protocol."""

import threading
from dataclasses import dataclass, field

from cloud_sync.wire.link import Limits


@dataclass(slots=True)
class Connection:
    """Begins with the attempt to connect and ends for good when it breaks; the next attempt is another one.

    Args:
        since_s: when the attempt began, seconds on a clock that only rises.
        limits: what it allows; None until it is ready for use.
        broken: why it ended; None while it lives.
        in_flight: publishes that wait for the broker's answer.
        moved_s: when the last answer came, or nothing waited for one.
    """

    since_s: float
    limits: Limits | None = None
    broken: str | None = None
    in_flight: int = 0
    moved_s: float = field(init=False)
    _answers: int = field(default=0, init=False)
    _answers_seen: int = field(default=0, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.moved_s = self.since_s

    def take_place(self) -> bool:
        """Count one more publish under way; False if there is no room, or the connection is not ready."""
        with self._lock:
            if self.limits is None or self.broken is not None or self.in_flight >= self.limits.in_flight:
                return False
            self.in_flight += 1
            return True

    def give_place(self) -> None:
        """One publish was answered."""
        with self._lock:
            self.in_flight = max(0, self.in_flight - 1)
            self._answers += 1

    def is_overdue(self, now_s: float, handshake_timeout_s: float) -> bool:
        """Whether it should have been ready by now."""
        return self.limits is None and now_s - self.since_s > handshake_timeout_s

    def is_unanswered(self, now_s: float, timeout_s: float) -> bool:
        """Whether publishes wait, and for so long none was answered: the places they hold are lost otherwise."""
        with self._lock:
            if self.in_flight == 0 or self._answers != self._answers_seen:
                self._answers_seen, self.moved_s = self._answers, now_s
            return now_s - self.moved_s > timeout_s
