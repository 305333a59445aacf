"""How late a collector acknowledges: one record after the other, each timed as its station sees it."""

import queue
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from brokers import eventually
from collector_speed import messages

from cloud_sync.wire import topics
from cloud_sync.wire.broker import LocalBroker
from cloud_sync.wire.link import Limits, Message
from cloud_sync.wire.mqtt import MqttLink
from cloud_sync.wire.mqtt_settings import MqttSettings


class Asker:
    """A station that sends one record and waits until the collector says that it has it."""

    def __init__(self, broker: LocalBroker, station: str, most: int) -> None:
        self._connected = False
        self._acks: queue.Queue[Message] = queue.Queue()
        self._link = MqttLink(MqttSettings(broker.address, station, (topics.ack(station),)))
        self._link.start(self)
        self._left = iter(messages(station, most, 1))
        eventually(lambda: self._connected)

    def on_connected(self, limits: Limits) -> None:
        del limits
        self._connected = True

    def on_disconnected(self, why: str) -> None:
        del why

    def on_message(self, message: Message) -> None:
        self._link.acknowledge(message)
        self._acks.put(message)

    def on_answer(self, refusal: str | None) -> None:
        assert refusal is None

    def block_s(self, count: int) -> list[float]:
        """Seconds until each of the next records was acknowledged."""
        return [self._one_s() for _ in range(count)]

    def span_s(self, length_s: float) -> list[float]:
        """Likewise, of as many as come to be within so many seconds."""
        until_s, found = time.monotonic() + length_s, list[float]()
        while time.monotonic() < until_s:
            found.append(self._one_s())
        return found

    def _one_s(self) -> float:
        message = next(self._left)
        began_s = time.perf_counter()
        assert self._link.publish(message.topic, message.payload)
        self._acks.get(timeout=30)
        return time.perf_counter() - began_s

    def stop(self) -> None:
        self._link.stop(2.0)


def busy_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def figures(seconds: Sequence[float]) -> tuple[float, float]:
    """p50 and p99, ms."""
    cuts = statistics.quantiles(seconds, n=100)
    return cuts[49] * 1000, cuts[98] * 1000


def memory_mb(pid: int) -> float:
    """What a process holds now."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024
