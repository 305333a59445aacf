"""What a process tells the service manager that started it: systemd's notify protocol, one datagram a message.

Without a service manager nothing is told, and nothing else changes.
"""

import logging
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

_SEND_S = 1.0
_FEEDS_WITHIN_LIMIT = 4
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Supervisor:
    """Who started us.

    Args:
        address: the socket's path, or a name in the abstract namespace behind "@"; empty: nobody asked to be told.
        limit_s: we are killed and started again where no feed comes for so long; None: nobody watches.
    """

    address: str = ""
    limit_s: float | None = None

    @classmethod
    def of(cls, environment: Mapping[str, str], pid: int | None = None) -> Self:
        """The one that a process's environment names; a limit that was meant for another process is not ours.

        Raises:
            ValueError: the limit is no number of microseconds.
        """
        limit_us, meant_for = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
        ours = limit_us and meant_for in {"", str(pid or os.getpid())}
        return cls(environment.get("NOTIFY_SOCKET", ""), int(limit_us) / 1e6 if ours else None)

    def tell(self, *words: str) -> bool:
        """Send words such as READY=1 in one message; whether it went out. One that did not is logged."""
        if not self.address:
            return False
        name = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
                sock.settimeout(_SEND_S)
                sock.sendto("\n".join(words).encode(), name)
        except OSError as error:
            _logger.warning("the service manager at %s was not told %s: %s", self.address, words[0], error)
            return False
        return True


class Feed:
    """Says WATCHDOG=1, four times within the limit, however often `feed` is called; by one thread."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._next_s = 0.0

    def feed(self) -> None:
        """All is well."""
        now_s, limit_s = time.monotonic(), self._supervisor.limit_s
        if limit_s is not None and now_s >= self._next_s:
            self._supervisor.tell("WATCHDOG=1")
            self._next_s = now_s + limit_s / _FEEDS_WITHIN_LIMIT


def status_word(text: str) -> str:
    """STATUS= with a text that is one line, whatever it is made of."""
    return "STATUS=" + " ".join(text.split())
