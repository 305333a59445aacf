"""An OPC UA client in a process of its own: subscribes to the station's events and logs each, a JSON line."""

import asyncio
import json
import logging
import sys
import time
from pathlib import Path
from typing import TextIO

from asyncua import Client, ua

NAMESPACE = "urn:inspectd:machine-vision"
FIELDS = ("PartId", "ProductId", "ResultId", "Verdict", "Reasons", "RecordSha256")


class Log:
    """Writes what the subscription hands over; the names are asyncua's."""

    def __init__(self, file: TextIO) -> None:
        self.file = file

    def write(self, **content: object) -> None:
        self.file.write(json.dumps({"monotonic_s": time.monotonic(), **content}) + "\n")

    def event_notification(self, event: object) -> None:
        self.write(event="result", **{name: getattr(event, name) for name in FIELDS})

    def datachange_notification(self, _node: object, value: ua.LocalizedText, _data: object) -> None:
        self.write(event="state", state=value.Text)


async def main(url: str, log: Log) -> None:
    logging.disable(logging.CRITICAL)
    async with Client(url, timeout=10) as client:
        index = await client.get_namespace_index(NAMESPACE)
        kind = await client.nodes.base_event_type.get_child(f"{index}:ResultReadyEventType")
        system = await client.nodes.objects.get_child(f"{index}:VisionSystem test-1")
        state = await system.get_child([f"{index}:VisionStateMachine", f"{index}:CurrentState"])
        subscription = await client.create_subscription(10, log)
        await subscription.subscribe_events(client.nodes.server, kind)
        await subscription.subscribe_data_change(state)
        log.write(event="listening")
        await asyncio.Event().wait()


if __name__ == "__main__":
    with Path(sys.argv[2]).open("a", buffering=1) as opened:
        asyncio.run(main(sys.argv[1], Log(opened)))
