"""Many simulated stations in one process: real packed batches of real records, published by a few paho connections.

Simulated are the stations: what they send and hear is real, but no disk, no camera and no resend is behind it.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

import paho.mqtt.client as paho
from backlog_kit import BEGAN, backlog_inspection
from paho.mqtt.enums import CallbackAPIVersion

from cloud_sync.wire import topics
from cloud_sync.wire.envelopes import pack_batch, unpack_ack
from cloud_sync.wire.outbox import OutboxRow, Stream
from cloud_sync.wire.records import InspectionRecord, canonical_json

CONNECTIONS = 4
WINDOW = 20  # messages of a connection that the broker has not acknowledged
UNSETTLED = 1_000  # messages that the collector has not acknowledged
EPOCH = "0123456789abcdef" * 2
WITHIN_S = 300.0
_STATION, _SEQ, _AT = b"STATION", b'"seq":777777777', b"2026-03-01T06:00:00Z"


def messages(stations: int, records: int, batches: int) -> Iterator[tuple[str, bytes]]:
    """(topic, payload) of each batch, made when it is asked for: its records' `triggered_at` is then."""
    template = record_template()
    for number in range(batches):
        for station in (f"sim-{index:04d}" for index in range(stations)):
            own = template.replace(_STATION, station.encode()).replace(_AT, datetime.now(UTC).isoformat().encode())
            seqs = range(number * records + 1, (number + 1) * records + 1)
            rows = [OutboxRow(Stream.INSPECTIONS, seq, own.replace(_SEQ, b'"seq":%d' % seq), EPOCH) for seq in seqs]
            yield topics.inspections(station), pack_batch(station, EPOCH, rows, BEGAN)


def record_template() -> bytes:
    """A record as a station makes it, with marks where station, seq and time stand."""
    made = backlog_inspection(777_777_777)
    view = made.views[0]
    assert view.model is not None
    assert view.frame is not None
    record = InspectionRecord.model_validate(
        {
            "station": "STATION",
            "epoch": EPOCH,
            "seq": 777_777_777,
            "part_id": "cell-00000001",
            "product": "cell",
            "triggered_at": BEGAN,
            "verdict": "PASS",
            "reasons": [],
            "views": [
                {
                    "camera": "top",
                    "frame_seq": 1,
                    "captured_at": view.frame.captured_at,
                    "source": "",
                    "verdict": "PASS",
                    "reasons": [],
                    "score": 0.0,
                    "detections": [],
                    "detections_total": 0,
                    "model": {"id": "cell", "version": 3, "sha256": view.model.sha256, "precision": "INT8"},
                }
            ],
            "recipe_version": made.recipe_version,
            "latency_ms": made.latency_ms,
            "image": "none",
            "replayed": False,
        }
    )
    return canonical_json(record)


class Publishers:
    """A few connections, each with a window; a context manager.

    Args:
        broker: HOST:PORT.
        records: how many are in a message, where the collector's acknowledgements are waited for, with a window for
            them like a station's; 0 where PUBACKs are all that counts.
    """

    def __init__(self, broker: str, records: int = 0) -> None:
        self.settled = 0
        self._broker = broker
        self._records = records
        self._done = threading.Condition()
        self._windows = [threading.Semaphore(WINDOW) for _ in range(CONNECTIONS)]
        self._unsettled = threading.Semaphore(UNSETTLED)
        self._clients: list[paho.Client] = []

    def __enter__(self) -> Self:
        self._clients = [self._connect(window) for window in self._windows]
        if self._records:
            ears = self._connect(threading.Semaphore())
            ears.on_message = self._hear
            ears.subscribe("inspectd/v1/+/down/ack", qos=1)
            self._clients.append(ears)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        for client in self._clients:
            client.disconnect()
            client.loop_stop()

    def send(self, every: Iterable[tuple[str, bytes]], per_s: float = 0) -> int:
        """Publish all, so many a second, 0 as fast as goes; says how many messages."""
        began_s, number = time.monotonic(), 0
        for number, (topic, payload) in enumerate(every, 1):
            if self._records:
                self._unsettled.acquire()
            if per_s:
                threading.Event().wait(max(0.0, began_s + number / per_s - time.monotonic()))
            index = number % CONNECTIONS
            self._windows[index].acquire()
            self._clients[index].publish(topic, payload, qos=1)
        return number

    def await_settled(self, goal: int) -> None:
        """Until so many records, or messages where the collector is not waited for, are acknowledged."""
        with self._done:
            assert self._done.wait_for(lambda: self.settled >= goal, WITHIN_S), f"{self.settled} of {goal}"

    def _connect(self, window: threading.Semaphore) -> paho.Client:
        client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        client.on_publish = self._make_room(window)
        host, port = self._broker.rsplit(":", 1)
        client.connect(host, int(port))
        client.loop_start()
        return client

    def _make_room(self, window: threading.Semaphore) -> Callable[..., None]:
        def on_publish(*_: object) -> None:
            window.release()
            if not self._records:
                self._settle(1)

        return on_publish

    def _hear(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        count = sum(item.last - item.first + 1 for item in unpack_ack(message.payload).ranges)
        self._unsettled.release(-(-count // self._records))
        self._settle(count)

    def _settle(self, count: int) -> None:
        with self._done:
            self.settled += count
            self._done.notify_all()
