"""What paho and mosquitto alone reach: a subscriber that only counts and acknowledges.

`python counting.py BROKER MESSAGES` prints `ready`, then the monotonic time of the last of so many messages.
"""

import sys
import threading
import time

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

WITHIN_S = 300.0


def main() -> None:
    broker, messages = sys.argv[1], int(sys.argv[2])
    host, port = broker.rsplit(":", 1)
    counted, ready, done = 0, threading.Event(), threading.Event()

    def count(*_: object) -> None:
        nonlocal counted
        counted += 1
        if counted == messages:
            done.set()

    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    client.on_message = count
    client.on_subscribe = lambda *_: ready.set()
    client.connect(host, int(port))
    client.loop_start()
    client.subscribe("inspectd/v1/+/up/inspections", qos=1)
    assert ready.wait(WITHIN_S)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    assert done.wait(WITHIN_S), f"{counted} of {messages}"
    sys.stdout.write(f"{time.monotonic()}\n")


if __name__ == "__main__":
    main()
