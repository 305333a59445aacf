"""A simulated PLC as a process that can be paused, killed and restarted, and the station.toml section that fits it."""

import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from brokers import eventually
from pymodbus.client import ModbusTcpClient

from cloud_sync.wire.broker import free_port

PROGRAM = Path(__file__).with_name("simulated_plc.py")
MAP = {
    "trigger": "coil:0",
    "result_ack": "coil:1",
    "part_number": "holding:0",
    "product": "holding:1",
    "ready": "coil:10",
    "trigger_ack": "coil:11",
    "busy": "coil:12",
    "result_valid": "coil:13",
    "pass_bit": "coil:14",
    "fail_bit": "coil:15",
    "undecided_bit": "coil:16",
    "result_number": "holding:10",
    "heartbeat": "holding:11",
}
PRODUCT = 7


@dataclass
class PlcProcess:
    """One PLC; `first` is the number of its next part, `parts` how many it triggers in one life."""

    folder: Path
    port: int = field(default_factory=free_port)
    parts: int = 100_000
    first: int = 1
    window_s: float = 1.5
    pause_s: float = 0.0
    product: int = PRODUCT
    acknowledges: bool = True
    child: "subprocess.Popen[bytes] | None" = None

    @property
    def log(self) -> Path:
        return self.folder / "plc.jsonl"

    def section(self, *, required: bool = False, without: tuple[str, ...] = (), **settings: object) -> str:
        """Its `[[output]]` for a station of the product `blob`."""
        values: dict[str, object] = {"id": "plc", "kind": "modbus", "host": "127.0.0.1", "port": self.port}
        values |= {"required": required, **settings}
        lines = ["[[output]]", *(f"{name} = {json.dumps(value)}" for name, value in values.items()), "[output.map]"]
        lines += [f"{name} = {json.dumps(place)}" for name, place in MAP.items() if name not in without]
        products = ["[output.products]", f"{PRODUCT} = 'blob'"] if "product" not in without else []
        return "\n".join([*lines, *products]) + "\n"

    def start(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        names = ("port", "parts", "first", "window_s", "pause_s", "product", "acknowledges")
        options = {name: getattr(self, name) for name in names} | {"log": str(self.log)}
        with (self.folder / "plc.err").open("ab") as errors:
            self.child = subprocess.Popen([sys.executable, str(PROGRAM), json.dumps(options)], stderr=errors)
        eventually(lambda: listens(self.port))
        return self

    def pause(self) -> None:
        """Let it hang; returns when it does."""
        assert self.child is not None
        self.child.send_signal(signal.SIGSTOP)
        os.waitpid(self.child.pid, os.WUNTRACED)

    def resume(self) -> None:
        assert self.child is not None
        self.child.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """As a power cut; its memory is gone."""
        child, self.child = self.child, None
        if child is not None:
            child.kill()
            child.send_signal(signal.SIGCONT)
            child.wait(5)
            self.first = 1 + max((event["number"] for event in self.events()), default=self.first - 1)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()

    def peer(self) -> ModbusTcpClient:
        """Another client of it."""
        return ModbusTcpClient("127.0.0.1", port=self.port, timeout=2, retries=0)

    def coils(self) -> list[bool]:
        """Ready, TriggerAck, Busy, ResultValid, Pass, Fail, Undecided as they stand in its memory."""
        with self.peer() as client:
            return list(client.read_coils(10, count=7, device_id=1).bits[:7])

    def events(self, *names: str) -> list[dict[str, Any]]:
        """What it logged, in order."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        events = [json.loads(line) for line in lines if line.endswith("}")]
        return [event for event in events if not names or event["event"] in names]

    def results(self) -> list[dict[str, Any]]:
        """The results that it took."""
        return self.events("result")

    def await_results(self, count: int, within_s: float = 120) -> list[dict[str, Any]]:
        eventually(lambda: len(self.results()) >= count, within_s)
        return self.results()


def listens(port: int) -> bool:
    """Whether somebody takes connections there."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
