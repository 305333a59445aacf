"""Steps a rollout's runner until it is killed: `python rollout_worker.py STORE HOST:PORT`. Its clock runs 20 times.

So a lease that a killed worker left runs out in less than a second.
"""

import sys
import threading
import time
import uuid

from cloud_sync.hub.rollout.runner import RolloutRunner
from cloud_sync.wire.link import Address, Limits, Message
from cloud_sync.wire.mqtt import MqttLink
from cloud_sync.wire.mqtt_settings import MqttSettings

FASTER = 20


class Silent:
    def on_connected(self, limits: Limits) -> None:
        pass

    def on_disconnected(self, why: str) -> None:
        pass

    def on_message(self, message: Message) -> None:
        pass

    def on_answer(self, refusal: str | None) -> None:
        pass


def fast_ms() -> int:
    """One clock for all workers of a test: it began when the machine did."""
    return round(time.clock_gettime(time.CLOCK_MONOTONIC) * FASTER * 1000)


def main() -> None:
    link = MqttLink(MqttSettings(Address.parse(sys.argv[2]), f"worker-{uuid.uuid4().hex[:8]}"))
    link.start(Silent())
    runner = RolloutRunner(sys.argv[1], link)
    pause = threading.Event()
    while True:
        runner.step(fast_ms())
        sys.stdout.write("step\n")
        sys.stdout.flush()
        pause.wait(0.005)


if __name__ == "__main__":
    main()
