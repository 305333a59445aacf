"""paho alone: receives as many messages as it is told to, acknowledges each, and keeps nothing.

Says `ready`, and at its end its processor time in seconds.
"""

import sys
import time

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion


def main(port: int, count: int) -> None:
    received = 0

    def on_connect(client: paho.Client, *_: object) -> None:
        client.subscribe("inspectd/v1/+/up/inspections", qos=1)

    def on_message(client: paho.Client, _userdata: object, _message: paho.MQTTMessage) -> None:
        nonlocal received
        received += 1
        if received == count:
            client.disconnect()

    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    client.on_connect = on_connect
    client.on_message = on_message
    client.on_subscribe = lambda *_: sys.stdout.write("ready\n") and sys.stdout.flush()
    client.connect("127.0.0.1", port)
    begun_s = time.process_time()
    client.loop_forever()
    sys.stdout.write(f"{time.process_time() - begun_s}\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
