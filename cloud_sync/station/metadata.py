"""Fetches signed metadata for whoever checks it: a question on one thread, its blocks on the uplink's.

- `fetch` waits, and never longer than its limit; the uplink's thread never waits.
- One file at a time, no more of it in memory than was asked for; a block that is longer, or one too many, ends it.
- What does not come is asked for again, after twice as long each time, and at once on a new connection.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from cloud_sync.station.passenger import Publish
from cloud_sync.wire import topics
from cloud_sync.wire.backoff import doubled_s
from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.link import Limits
from cloud_sync.wire.messages import BLOCK_BYTES, METADATA_MARK, Want

_BLOCKS_ASKED = 4
_SHOWN = 80
_LOOK_S = 0.2


@dataclass(frozen=True, slots=True)
class MetadataPace:
    """How patient a question is.

    Args:
        resend_after_s: the first wait for a block before it is asked for again, seconds.
        resend_most_s: the longest, seconds.
        answer_s: how long a whole file may take, seconds.
    """

    resend_after_s: float = 2.0
    resend_most_s: float = 30.0
    answer_s: float = 60.0


@dataclass(slots=True)
class _Question:
    name: str
    limit_bytes: int
    content: bytearray = field(default_factory=bytearray)
    due_s: float | None = None
    asked_end: int = 0
    silences: int = 0
    is_over: bool = False
    refusal: str = ""


class MetadataChannel:
    """A `Passenger`; `fetch` is for one other thread, or several that wait for each other.

    Args:
        station: the station's id.
        pace: how patient it is.

    `on_question` is called, on the thread that asks, when there is something to send: `Uplink.notify`. `unwanted` is
    asked there several times a second, while it waits: whether it has to do something else first.
    """

    def __init__(self, station: str, pace: MetadataPace | None = None) -> None:
        self.on_question: Callable[[], None] = lambda: None
        self.unwanted: Callable[[], bool] = lambda: False
        self._station = topics.checked_station(station)
        self._pace = pace or MetadataPace()
        self._turn = threading.Lock()
        self._changed = threading.Condition()
        self._question: _Question | None = None
        self._closed = False

    @property
    def is_asking(self) -> bool:
        """Whether somebody waits for an answer."""
        return self._question is not None

    def fetch(self, name: str, limit_bytes: int) -> bytes | None:
        """A file of signed metadata by its name, such as `timestamp.json`; None where the cloud has none.

        Raises LinkError: no answer in time, more than `limit_bytes`, or the channel was closed.
        """
        until_s = time.monotonic() + self._pace.answer_s
        if not self._turn.acquire(timeout=self._pace.answer_s):
            raise LinkError(f"somebody else has been asking for {self._pace.answer_s:g} s: ask for {name!r} later")
        try:
            return self._answered(_Question(METADATA_MARK + name, limit_bytes), until_s)
        finally:
            self._turn.release()

    def close(self) -> None:
        """End whoever waits, now and from now on: the station stops. From any thread."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def begin(self, limits: Limits) -> None:  # noqa: ARG002 - what is sent is small
        """A new connection: ask again at once; see `Passenger`."""
        with self._changed:
            if self._question is not None:
                self._question.due_s = None

    def hear(self, subject: str, payload: bytes) -> bool:
        """Take a block of metadata; see `Passenger`. Raises LinkError."""
        if not subject.startswith(f"block/{METADATA_MARK}"):
            return False
        with self._changed:
            question = self._question
            if question is None or question.is_over or subject != _next_block(question):
                return True  # late, or behind a gap: what is missing is asked for again
            try:
                self._take(question, payload)
            finally:
                self._changed.notify_all()
        return True

    def work(self, now_s: float, publish: Publish) -> None:
        """Ask for what is missing; see `Passenger`."""
        with self._changed:
            question = self._question
            if question is None or question.is_over or (question.due_s is not None and now_s < question.due_s):
                return
            held = len(question.content)
            count = min(_BLOCKS_ASKED, (question.limit_bytes - held) // BLOCK_BYTES + 1)
            if publish(topics.want(self._station), Want(name=question.name, offset=held, count=count).pack()):
                question.silences += 1
                question.asked_end = held + count * BLOCK_BYTES
                first_s, most_s = self._pace.resend_after_s, self._pace.resend_most_s
                question.due_s = now_s + doubled_s(first_s, question.silences, most_s)

    def _answered(self, question: _Question, until_s: float) -> bytes | None:
        with self._changed:
            self._question = question
            self.on_question()
            try:
                self._wait(question, until_s)
            finally:
                self._question = None
            if question.refusal:
                raise LinkError(question.refusal)
            if not question.is_over:
                why = "the station stops" if self._closed else f"no answer within {self._pace.answer_s:g} s"
                raise LinkError(f"the cloud was asked for {question.name!r}: {why}")
            return bytes(question.content) or None

    def _wait(self, question: _Question, until_s: float) -> None:
        while not question.is_over and not self._closed and (left_s := until_s - time.monotonic()) > 0:
            self._changed.wait(min(left_s, _LOOK_S))
            if not question.is_over and self.unwanted():
                question.refusal = f"the cloud was asked for {question.name!r}, and something else comes first"
                return

    def _take(self, question: _Question, block: bytes) -> None:
        """The next block. Raises LinkError, and then the question is over."""
        if len(block) > BLOCK_BYTES or len(question.content) + len(block) > question.limit_bytes:
            question.is_over, question.content = True, bytearray()
            question.refusal = f"{question.name[:_SHOWN]!r} has more than the {question.limit_bytes} bytes that it may"
            raise LinkError(question.refusal)
        question.content += block
        question.silences = 0
        question.is_over = len(block) < BLOCK_BYTES
        if len(question.content) >= question.asked_end:
            question.due_s = None


def _next_block(question: _Question) -> str:
    return f"block/{question.name}/{len(question.content) // BLOCK_BYTES}"
