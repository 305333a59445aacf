"""Structured logs on stderr: a line for each state change, none for a frame, and no wait for whoever reads them."""

import atexit
import functools
import logging
import os
import queue
import sys
import threading
from contextlib import suppress
from typing import TextIO, cast

import structlog

from edge.domain.secrets import redacted

_WAITING_LINES = 1000
_FLUSH_S = 1.0
_STDERR = 2


def configure_logs(*, as_json: bool) -> None:
    """Send every log line to stderr, as JSON for machines or coloured text for people."""
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _visible,
            structlog.processors.format_exc_info,
            _without_secrets,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _stderr())),
        cache_logger_on_first_use=True,
    )
    _take_over(logging.getLogger("cloud_sync"))


def _take_over(logger: logging.Logger) -> None:
    """The sync's own lines come out where all others do, past no pipe that nobody reads."""
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.handlers = [_Forward()]


class _Forward(logging.Handler):
    """Hands a standard library's log line on to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        """The record's text, with its level and traceback."""
        structlog.get_logger().log(record.levelno, record.getMessage(), exc_info=record.exc_info)


def _visible(_logger: object, _name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """No word to the terminal and no second line from a name that a stranger chose."""
    return {key: plain(value) if isinstance(value, str) else value for key, value in event.items()}


def plain(text: str) -> str:
    """The text on one line, with its number in place of each character that is none to be seen."""
    return text if text.isprintable() else "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def _without_secrets(_logger: object, _name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    return {key: redacted(value) if isinstance(value, str) else value for key, value in event.items()}


@functools.cache
def _stderr() -> "_Stderr":
    return _Stderr()


def _write_all(line: bytes) -> None:
    """Past Python's own buffers: a thread that hangs in them would hold their lock against the end of the process."""
    while line:
        line = line[os.write(_STDERR, line) :]


class _Stderr:
    """Standard error behind a queue and a thread of its own.

    A pipe that nobody reads must not stop a thread that logs, nor a full disk end it: lines that find the queue full,
    or cannot be written, are given up; the next line that can be written says how many.
    """

    def __init__(self) -> None:
        self._lines: queue.Queue[str] = queue.Queue(_WAITING_LINES)
        self._given_up = 0
        threading.Thread(target=self._run, name="logs", daemon=True).start()
        atexit.register(self._finish)

    def write(self, text: str) -> None:
        try:
            self._lines.put_nowait(text)
        except queue.Full:
            self._given_up += 1

    def flush(self) -> None:
        """Nothing to do: the thread flushes."""

    def _run(self) -> None:
        while True:
            text = self._lines.get()
            given_up, self._given_up = self._given_up, 0
            if given_up:
                text += f"{given_up} log lines were given up: nobody reads standard error\n"
            with suppress(OSError):
                _write_all(text.encode(errors="backslashreplace"))
            self._lines.task_done()

    def _finish(self) -> None:
        until = threading.Event()
        waited_s = 0.0
        while self._lines.unfinished_tasks and waited_s < _FLUSH_S:
            until.wait(0.01)
            waited_s += 0.01
