"""Codes read beside the model: a thread for each camera that reads any, so that a slow picture costs nobody else time.

Reading takes 10 to 200 ms at 1080p and cannot be broken off, so whoever waits does so only until the part's own time
is over; a picture whose part is over by then is not read at all.
"""

import queue
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

from edge.capture.codes.reading import CodeReader, CodeRule, Seen
from edge.config import StationConfig
from edge.domain.errors import ConfigError
from edge.domain.frame import Image
from edge.health import Health

_PATIENCE_S = 0.1
_QUIET_S = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class CodeTicket:
    """One picture on its way to be read; `answer` takes what was seen, or the error."""

    image: Image
    rule: CodeRule
    until_s: float
    answer: "queue.SimpleQueue[Seen | Exception]"

    def reading(self) -> tuple[str | None, str]:
        """(code, reason why there is none), waiting until the part's time is over at most."""
        try:
            answer = self.answer.get(timeout=max(0.0, self.until_s - time.monotonic()))
        except queue.Empty:
            return None, "code_late"
        if isinstance(answer, Exception):
            return None, "code_fault"
        return answer.reading


class CodeDesk:
    """Reads codes for the pipeline; `ask` and `judge` are called in part order, each from one thread.

    Args:
        cameras: the cameras whose pictures carry codes.
        waiting: how many pictures may wait for a camera's thread.
        health: where it is said that reading fails, which a code that cannot be read is not.
    """

    def __init__(self, cameras: Iterable[str], waiting: int, health: Health) -> None:
        self._health = health
        self._queues: dict[str, queue.Queue[CodeTicket]] = {name: queue.Queue(waiting) for name in cameras}
        self._last: dict[str, str] = {}
        self._failed_s: dict[str, float] = {}
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._read, args=(tickets,), name=f"codes-{name}", daemon=True)
            for name, tickets in self._queues.items()
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def stop(self, timeout_s: float) -> None:
        """End the threads, waiting at most `timeout_s` seconds each; what still waits goes unread."""
        self._stop.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(timeout_s)

    def ask(self, image: Image, rule: CodeRule, until_s: float) -> CodeTicket:
        """Hand a picture over; never blocks. One too many is as late as one that nobody came to."""
        ticket = CodeTicket(image, rule, until_s, queue.SimpleQueue())
        try:
            self._queues[rule.camera_id].put_nowait(ticket)
        except queue.Full:
            return replace(ticket, until_s=0.0)
        return ticket

    def judge(self, product_id: str, rule: CodeRule, ticket: CodeTicket | None) -> tuple[str | None, tuple[str, ...]]:
        """(the part's code, why the part is UNDECIDED for it); without a ticket there was no picture to read."""
        code, reason = (None, "code_unreadable") if ticket is None else ticket.reading()
        if code is None:
            return None, () if reason == "code_unreadable" and rule.unreadable_allowed else (reason,)
        repeats = self._last.get(product_id) == code
        self._last[product_id] = code
        return code, ("code_repeated",) if repeats and not rule.repeat_allowed else ()

    def _read(self, tickets: "queue.Queue[CodeTicket]") -> None:
        reader = CodeReader()
        while not self._stop.is_set():
            try:
                ticket = tickets.get(timeout=_PATIENCE_S)
            except queue.Empty:
                continue
            if time.monotonic() < ticket.until_s:
                ticket.answer.put(self._read_one(reader, ticket))

    def watch(self, now_s: float) -> None:
        """Close alarms after a while, on probation: a line that honours `ready` sends no part that could show more."""
        for camera_id, failed_s in list(self._failed_s.items()):
            if now_s - failed_s > _QUIET_S:
                del self._failed_s[camera_id]
                self._health.clear(f"code:{camera_id}")

    def _read_one(self, reader: CodeReader, ticket: CodeTicket) -> Seen | Exception:
        fault = f"code:{ticket.rule.camera_id}"
        try:
            seen = reader.read(ticket.image, ticket.rule)
        except Exception as error:  # noqa: BLE001 - whatever failed, its part is UNDECIDED and the next one is read
            self._failed_s[ticket.rule.camera_id] = time.monotonic()
            self._health.raise_fault(fault, f"codes of camera {ticket.rule.camera_id!r} cannot be read: {error}")
            return error
        self._health.clear(fault)
        return seen


def code_rules(config: StationConfig) -> dict[str, CodeRule]:
    """Each product's code, by product id.

    Raises:
        ConfigError: a code's camera is none of the station's, or it must be named because there are several.
    """
    return {
        product.id: CodeRule(
            product.code.kind,
            _camera_of(config, product.id, product.code.camera),
            product.code.roi,
            product.code.on_unreadable == "allow",
            product.code.on_repeat == "allow",
        )
        for product in config.product
        if product.code is not None
    }


def _camera_of(config: StationConfig, product_id: str, named: str) -> str:
    known = [camera.id for camera in config.camera]
    if named in known or (not named and len(known) == 1):
        return named or known[0]
    raise ConfigError(
        f"product {product_id!r}: its code must be read by one of the cameras {', '.join(known)}, got {named!r}: set "
        "product.code.camera"
    )
