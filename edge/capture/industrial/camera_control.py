"""The thread on a camera's control channel, beside the one that reads images: it fires triggers and asks for life.

A camera that does not answer blocks a call for seconds; here it blocks nobody else, and `fault` says so.
"""

import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from edge.capture.industrial.trigger_count import TriggerCount

_BEAT_S = 0.2
_PATIENCE_S = 0.7
_JOIN_S = 10.0
_Answer = TypeVar("_Answer")


class LostControlError(Exception):
    """The camera answers, and is not ours."""


class CameraControl:
    """Fires software triggers one after another, each when the one before was answered or its time is over.

    Two triggers on their way at once can merge into one frame in the camera; nobody could say whose it is.

    Args:
        count: what waits for its frame.
        within_s: a trigger that waited longer for its turn is not fired any more; its part is UNDECIDED by then.
        fire: fires one trigger in the camera; raises when it does not answer.
        lives: asks the camera whether it is still ours; raises when it does not answer.
    """

    def __init__(
        self, count: TriggerCount, within_s: float, fire: Callable[[], None], lives: Callable[[], bool]
    ) -> None:
        self._count = count
        self._within_s = within_s
        self._fire = fire
        self._lives = lives
        self._asked: queue.SimpleQueue[tuple[int, float] | None] = queue.SimpleQueue()
        self._failure = ""
        self._busy_since_s: float | None = None
        self._last_answer_s = 0.0
        self._answered = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="camera-control", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def ask(self, number: int) -> None:
        """Fire a trigger when its turn comes; never blocks."""
        self._asked.put((number, time.monotonic()))

    def answered(self) -> None:
        """A frame came: the next trigger may have its turn."""
        self._answered.set()

    def fault(self, now_s: float) -> str:
        """Why the camera counts as lost; empty while it answers."""
        if self._failure:
            return self._failure
        busy_since_s = self._busy_since_s
        if busy_since_s is not None and now_s - busy_since_s > _PATIENCE_S:
            return f"no answer on its control channel for {now_s - busy_since_s:.1f} s"
        return ""

    def stop(self) -> bool:
        """End the thread; False where a call to the camera still holds it after all its own time limits."""
        self._stop.set()
        self._answered.set()
        self._asked.put(None)
        if self._thread.ident is not None:
            self._thread.join(_JOIN_S)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._next()
        except Exception as error:  # noqa: BLE001 - whatever it was, the camera's reader must hear of it
            self._failure = str(error) or type(error).__name__

    def _next(self) -> None:
        with suppress(queue.Empty):
            asked = self._asked.get(timeout=_BEAT_S)
            if asked is not None:
                self._take_turn(*asked)
        if not self._stop.is_set():
            self._beat()

    def _beat(self) -> None:
        if time.monotonic() - self._last_answer_s >= _BEAT_S and not self._call(self._lives):
            raise LostControlError("the camera is no longer ours: it was restarted, or somebody else took it")

    def _take_turn(self, number: int, asked_s: float) -> None:
        while not self._stop.is_set() and (left_s := self._count.unsettled_s(time.monotonic())) > 0:
            self._answered.clear()
            if self._count.unsettled_s(time.monotonic()) > 0:
                self._answered.wait(min(left_s, _BEAT_S))
            self._beat()
        now_s = time.monotonic()
        if self._stop.is_set() or now_s - asked_s > self._within_s:
            return
        self._count.expect(number, now_s)
        self._call(self._fire)

    def _call(self, call: Callable[[], _Answer]) -> _Answer:
        self._busy_since_s = time.monotonic()
        answer = call()
        self._busy_since_s = None
        self._last_answer_s = time.monotonic()
        return answer
