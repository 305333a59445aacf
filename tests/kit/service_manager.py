"""The service manager's end of the notify protocol: a real datagram socket, and what came to it."""

import socket
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self


class ServiceManager:
    """Listens; a context manager. `environment` is what it would start a process with.

    Args:
        where: the socket's path, or "@" and a name in the abstract namespace.
        limit_s: what it would set as WatchdogSec; 0: none.
    """

    def __init__(self, where: Path | str, limit_s: float = 0) -> None:
        self._name = str(where)
        self._limit_s = limit_s
        self._came: list[tuple[float, str]] = []
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sock.settimeout(0.05)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    @property
    def environment(self) -> dict[str, str]:
        watchdog = {"WATCHDOG_USEC": str(int(self._limit_s * 1e6))} if self._limit_s else {}
        return {"NOTIFY_SOCKET": self._name, **watchdog}

    def said(self, word: str) -> list[float]:
        """When messages came that hold this word, on the monotonic clock."""
        return [at_s for at_s, message in list(self._came) if word in message.splitlines()]

    def statuses(self) -> list[str]:
        lines = [line for _, message in list(self._came) for line in message.splitlines()]
        return [line.removeprefix("STATUS=") for line in lines if line.startswith("STATUS=")]

    def __enter__(self) -> Self:
        self._sock.bind("\0" + self._name[1:] if self._name.startswith("@") else self._name)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join(5)
        self._sock.close()

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                message = self._sock.recv(4096)
            except TimeoutError:
                continue
            self._came.append((time.monotonic(), message.decode()))
