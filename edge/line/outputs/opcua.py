"""An OPC UA server in a process of its own as an output; clients come and go, and none is waited for.

In a thread of the daemon, two clients that read without end took verdicts from 17 to 34 ms and the slowest of a hundred
to 180: they shared one interpreter with the inspection.
"""

import contextlib
import os
import socket
import subprocess
import sys
import time

from edge.config_outputs import OpcUaSection
from edge.domain.errors import OutputError
from edge.line.outputs.output import Turn
from edge.line.said import Readiness, Told, said_line

_TURN_S = 0.1
_START_S = 60.0
_ANSWER_S = 5.0
_STOP_S = 3.0
_UNSENT_LIMIT_BYTES = 1 << 20
_READ_BYTES = 65_536


class OpcUaOutput:
    """Hands what the station says to the server's process, and sees to it that it lives and answers.

    Args:
        section: where to listen.
        station: the station's id, in the nodes' names.
    """

    def __init__(self, section: OpcUaSection, station: str) -> None:
        self._section = section
        self._station = station
        self._child: subprocess.Popen[bytes] | None = None
        self._unsent = bytearray()
        self._received = b""
        self._unanswered = 0
        self._answered_s = 0.0
        self._trouble = ""

    def open(self) -> None:
        """Start the process; until it listens there is trouble; see `Output.open`."""
        self._check_free()
        arguments = [self._section.host, str(self._section.port), self._station]
        self._child = subprocess.Popen(
            [sys.executable, "-m", "edge.line.outputs.vision_process", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the daemon: it stops the server when its own time has come
        )
        for pipe in (self._child.stdin, self._child.stdout):
            assert pipe is not None  # noqa: S101 - both were asked for
            os.set_blocking(pipe.fileno(), False)
        self._unsent, self._received, self._unanswered = bytearray(), b"", 0
        self._answered_s, self._trouble = time.monotonic(), "the server starts"

    def hear(self, said: Told | Readiness) -> None:
        """Hand it on; see `Output.hear`."""
        if not self._unanswered and not self._trouble:
            self._answered_s = time.monotonic()
        self._unanswered += 1
        self._unsent += said_line(said)
        self._send()

    def serve(self, now_s: float) -> Turn:
        """Hear what the process answers; see `Output.serve`."""
        self._send()
        for word in self._answers():
            self._take(word)
        silent_s = now_s - self._answered_s
        if silent_s > (_START_S if self._trouble else _ANSWER_S) and (self._trouble or self._unanswered):
            raise self._error(f"its process has not answered for {silent_s:.0f} s")
        return Turn(_TURN_S, trouble=self._trouble)

    def close(self) -> None:
        """End the process, by force where it does not end; see `Output.close`."""
        child, self._child = self._child, None
        if child is None:
            return
        assert child.stdin is not None  # noqa: S101 - asked for
        assert child.stdout is not None  # noqa: S101 - asked for
        with contextlib.suppress(OSError), child.stdout:
            child.stdin.close()
            try:
                child.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                child.kill()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(_STOP_S)

    def _take(self, word: str) -> None:
        self._answered_s = time.monotonic()
        match word.split(" ", 1):
            case ["failed", why]:
                raise self._error(why)
            case ["open"]:
                self._trouble = ""
            case _:
                self._unanswered -= 1

    def _send(self) -> None:
        if self._child is None or self._child.stdin is None:
            raise self._error("it is not open")
        try:
            while self._unsent:
                del self._unsent[: os.write(self._child.stdin.fileno(), self._unsent)]
        except BlockingIOError:
            if len(self._unsent) > _UNSENT_LIMIT_BYTES:
                raise self._error("its process does not read") from None
        except OSError:
            self._unsent.clear()  # its last word, or that it ended, is read next

    def _answers(self) -> list[str]:
        if self._child is None or self._child.stdout is None:
            return []
        try:
            data = os.read(self._child.stdout.fileno(), _READ_BYTES)
        except BlockingIOError:
            return []
        if not data:
            raise self._error(f"its process ended ({self._child.poll()})")
        *lines, self._received = (self._received + data).split(b"\n")
        return [line.decode(errors="replace") for line in lines]

    def _check_free(self) -> None:
        """A process that cannot listen would be started again and again: that is found out without one."""
        try:
            host, port = self._section.host, self._section.port
            family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, kind) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
        except OSError as error:
            raise self._error(f"cannot listen: {error.strerror or error}: is another server running?") from error

    def _error(self, why: str) -> OutputError:
        return OutputError(f"OPC UA server at {self._section.host}:{self._section.port}: {why}")
