"""OPC UA clients as processes that can be paused, killed and restarted."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from brokers import eventually

PROGRAM = Path(__file__).with_name("opcua_listener.py")


def output(port: int) -> str:
    """The `[[output]]` of a server at this port."""
    return f"[[output]]\nid = 'ua'\nkind = 'opcua'\nport = {port}\n"


@dataclass
class Listener:
    """One client that subscribes to events; `log` goes on over its lives."""

    port: int
    log: Path
    child: "subprocess.Popen[bytes] | None" = None

    def start(self, within_s: float = 30) -> Self:
        before = len(self.events("listening"))
        with self.log.with_suffix(".err").open("ab") as errors:
            url = f"opc.tcp://127.0.0.1:{self.port}/inspectd"
            self.child = subprocess.Popen([sys.executable, str(PROGRAM), url, str(self.log)], stderr=errors)
        eventually(lambda: len(self.events("listening")) > before, within_s)
        return self

    def pause(self) -> None:
        assert self.child is not None
        self.child.send_signal(signal.SIGSTOP)
        os.waitpid(self.child.pid, os.WUNTRACED)

    def resume(self) -> None:
        assert self.child is not None
        self.child.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        child, self.child = self.child, None
        if child is not None:
            child.kill()
            child.send_signal(signal.SIGCONT)
            child.wait(5)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()

    def events(self, name: str) -> list[dict[str, Any]]:
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [event for event in map(json.loads, lines) if event["event"] == name]

    def results(self) -> list[dict[str, Any]]:
        return self.events("result")
