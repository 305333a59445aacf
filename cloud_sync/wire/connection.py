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
    """

    since_s: float
    limits: Limits | None = None
    broken: str | None = None
    in_flight: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

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

    def is_overdue(self, now_s: float, handshake_timeout_s: float) -> bool:
        """Whether it should have been ready by now."""
        return self.limits is None and now_s - self.since_s > handshake_timeout_s
