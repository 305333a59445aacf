"""A link to nobody: every publish is answered at once, every batch acknowledged at once. To measure a sender alone."""

import queue
import re
import threading
import time

from outboxes import STATION

from cloud_sync.wire import topics
from cloud_sync.wire.envelopes import Ack, pack_ack, to_ranges
from cloud_sync.wire.link import Limits, Listener, Message
from cloud_sync.wire.outbox import Stream

_BATCH = re.compile(rb'"stream":"(\w+)","epoch":"(\w+)"')
_SEQ = re.compile(rb'"seq":(\d+)')


class AnsweringLink:
    """Counts what came by; `busy_s` is the processor time of its own thread."""

    def __init__(self) -> None:
        self.batches = 0
        self.records = 0
        self.busy_s = 0.0
        self._published: queue.SimpleQueue[tuple[str, bytes] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def start(self, listener: Listener) -> None:
        self._thread = threading.Thread(target=self._run, args=(listener,), daemon=True)
        self._thread.start()

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:  # noqa: ARG002
        self._published.put((topic, payload))
        return True

    def acknowledge(self, message: Message) -> None:
        pass

    def stop(self, timeout_s: float) -> bool:
        self._published.put(None)
        assert self._thread is not None
        self._thread.join(timeout_s)
        return True

    def _run(self, listener: Listener) -> None:
        listener.on_connected(Limits(256 * 1024, 20))
        while (came := self._published.get()) is not None:
            listener.on_answer(None)
            if (found := _BATCH.search(came[1])) is not None:
                self.batches += 1
                seqs = [int(seq) for seq in _SEQ.findall(came[1])]
                self.records += len(seqs)
                ack = Ack(Stream(found[1].decode()), found[2].decode(), to_ranges(seqs))
                listener.on_message(Message(topics.ack(STATION), pack_ack(ack)))
            self.busy_s = time.thread_time()
