"""A topic of a broker as an output: every verdict, QoS 1, from a bounded queue.

A message that the broker did not take before the connection broke is sent again, so one may come twice; `inspection_id`
tells them apart. A queue that is full loses its oldest, counted.
"""

import json
import threading
import time
from collections import deque
from collections.abc import Callable

from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.link import Limits, Link, Message
from edge.line.outputs.output import Turn
from edge.line.said import Readiness, Told

_TURN_S = 0.1
_SILENT_S = 2.0
_STOP_S = 1.5


class MqttOutput:
    """Publishes what the station tells. The link reconnects by itself.

    Args:
        make_link: a link to the broker, not started.
        topic: where verdicts are published.
        queue_messages: how many may wait for the broker, those under way included.
        station: named in every message.
    """

    def __init__(self, make_link: Callable[[], Link], topic: str, queue_messages: int, station: str) -> None:
        self.dropped = 0
        self.published = 0
        self._make_link = make_link
        self._topic = topic
        self._queue_messages = queue_messages
        self._station = station
        self._link: Link | None = None
        self._lock = threading.Lock()
        self._waiting: deque[bytes] = deque()
        self._under_way: deque[bytes] = deque()
        self._trouble = "not connected yet"
        self._answered_s = 0.0

    def open(self) -> None:
        """Begin to connect; a broker that is not there is trouble, not an error; see `Output.open`."""
        self._trouble = "not connected yet"
        self._link = self._make_link()
        self._link.start(self)

    def hear(self, said: Told | Readiness) -> None:
        """Queue a verdict; see `Output.hear`."""
        if isinstance(said, Readiness):
            return
        with self._lock:
            if len(self._waiting) + len(self._under_way) >= self._queue_messages and self._waiting:
                self._waiting.popleft()
                self.dropped += 1
            self._waiting.append(self._message(said))
        self._publish()

    def serve(self, now_s: float) -> Turn:
        """Publish what there is room for; see `Output.serve`."""
        self._publish()
        return Turn(_TURN_S, trouble=self._trouble or self._silence(now_s), dropped=self.dropped)

    def close(self) -> None:
        """Hang up; what waits is kept for the next connection; see `Output.close`."""
        link, self._link = self._link, None
        if link is not None:
            link.stop(_STOP_S)
        self._forget_connection("closed")

    def on_connected(self, _limits: Limits) -> None:
        """See `Listener`."""
        self._trouble = ""
        self._publish()

    def on_disconnected(self, why: str) -> None:
        """See `Listener`."""
        self._forget_connection(why)

    def on_message(self, message: Message) -> None:
        """See `Listener`; nothing is subscribed to."""

    def on_answer(self, refusal: str | None) -> None:
        """See `Listener`. A refused message would be refused again."""
        with self._lock:
            self._answered_s = time.monotonic()
            if self._under_way:
                self._under_way.popleft()
                self.published += refusal is None
                self.dropped += refusal is not None
            self._trouble = "" if refusal is None else f"the broker refuses {self._topic!r}: {refusal}"
        self._publish()

    def _forget_connection(self, why: str) -> None:
        with self._lock:
            self._trouble = why
            self._waiting.extendleft(reversed(self._under_way))
            self._under_way.clear()

    def _publish(self) -> None:
        with self._lock:
            while self._waiting and self._link is not None:
                try:
                    if not self._link.publish(self._topic, self._waiting[0]):
                        return
                except LinkError:
                    self._waiting.popleft()
                    self.dropped += 1
                    continue
                if not self._under_way:
                    self._answered_s = time.monotonic()
                self._under_way.append(self._waiting.popleft())

    def _silence(self, now_s: float) -> str:
        with self._lock:
            silent_s = now_s - self._answered_s if self._under_way else 0.0
        return f"the broker has not answered for {silent_s:.0f} s" if silent_s > _SILENT_S else ""

    def _message(self, told: Told) -> bytes:
        content = {
            "station": self._station,
            "part_id": told.part_id,
            "product": told.product,
            "verdict": told.verdict.value,
            "reasons": list(told.reasons),
            "inspection_id": told.inspection_id,
            "record_sha256": told.record_sha256,
        }
        return json.dumps(content, separators=(",", ":")).encode()
