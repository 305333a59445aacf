"""A whole line whose station and collector reach the broker through proxies, and what must hold in the end."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from brokers import eventually, local_broker
from clouds import CloudProcess
from line_kit import Line, make_line
from mqtt_proxy import MqttProxy, mqtt_proxy

from cloud_sync.wire.broker import LocalBroker, available_kinds

DEADLINE_MS = 1000  # of the kit's station


@dataclass
class FaultyLine:
    """A line, its broker, and the proxies: `near` before the station, `far` before the collector."""

    line: Line
    broker: LocalBroker
    near: MqttProxy
    far: MqttProxy

    def await_told(self, more: int, within_s: float = 60) -> None:
        """Wait until the line was told so many verdicts more: it does not wait for the cloud."""
        goal = self.line.told() + more
        eventually(lambda: self.line.told() >= goal, within_s)

    def check(self, parts: int) -> None:
        """All told in time, all in the cloud, once, byte for byte."""
        report = self.line.check()
        assert report.clean, report
        assert self.line.outcomes() == {"told": parts}
        assert not self.line.events("untold")
        took_ms = sorted(float(str(record["told_ms"])) for record in self.line.records("outcomes").values())
        assert took_ms[int(0.99 * len(took_ms))] < DEADLINE_MS


@contextmanager
def faulty_line(folder: Path, seed: int = 7) -> Iterator[FaultyLine]:
    """Broker, proxies and collector run; the station resends after a second, and is not started."""
    with (
        local_broker(available_kinds()[0], folder) as broker,
        mqtt_proxy(broker.address, seed) as near,
        mqtt_proxy(broker.address, seed + 1) as far,
    ):
        line = make_line(folder, near, settings={"sync": {"broker": f"mqtt://{near.address}", "resend_s": 1}})
        cloud = CloudProcess(far.address, line.store)
        cloud.start()
        try:
            yield FaultyLine(line, broker, near, far)
        finally:
            cloud.stop()
