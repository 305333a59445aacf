"""A broker process on this machine's loopback, for the demo and the tests. Not for production: anyone may connect."""

import contextlib
import importlib.util
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Literal, Self

from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.link import Address

Kind = Literal["mosquitto", "iotcore"]
KINDS: tuple[Kind, ...] = ("mosquitto", "iotcore")

_HOST = "127.0.0.1"
_PORTS = range(20_000, 32_000)
_START_TIMEOUT_S = 10.0
_STOP_TIMEOUT_S = 3.0
_LOG_SHOWN = 300

_MOSQUITTO = """\
listener {port} 127.0.0.1
allow_anonymous true
# Else each answer waits 40 ms for an acknowledgement: measured, 110 s in place of 25 for 200 images and a kit.
set_tcp_nodelay true
log_type error
log_type warning
max_queued_messages 100000
persistence {persistence}
persistence_location {directory}/
autosave_interval 2
{user}
{options}
"""

_IOTCORE = """\
id = 0
[router]
id = 0
max_connections = 100
max_outgoing_packet_count = 200
max_segment_size = 104857600
max_segment_count = 10
[v5.1]
name = "v5-1"
listen = "127.0.0.1:{port}"
next_connection_delay_ms = 1
[v5.1.connections]
connection_timeout_ms = 60000
max_payload_size = 524288
max_inflight_count = 100
dynamic_filters = true
"""


def available_kinds() -> tuple[Kind, ...]:
    """The brokers that this machine has, the best first."""
    kinds: tuple[Kind, ...] = ("mosquitto",) if _mosquitto() else ()
    return (*kinds, "iotcore") if importlib.util.find_spec("iotcore") else kinds


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens at just now. Raises LinkError if there is none.

    It lies below the ports that the system gives to clients: a client that tries again and again to reach a port among
    those is at some time given that very port, connects to itself, and the broker cannot have it back.
    """
    for port in random.sample(_PORTS, len(_PORTS)):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((_HOST, port))
            return port
    raise LinkError(f"no port of {_PORTS} is free")


class LocalBroker:
    """One broker process at 127.0.0.1; a context manager that starts and stops it.

    Args:
        kind: which program.
        directory: made if absent; configuration, log and (mosquitto) sessions lie there.
        port: where it listens; the same after a restart.
        persistence: mosquitto keeps sessions and messages on disk, saved every 2 s and at a stop.
        options: further lines of mosquitto's configuration.
    """

    def __init__(
        self, kind: Kind, directory: Path, port: int, *, persistence: bool = False, options: tuple[str, ...] = ()
    ) -> None:
        self.kind = kind
        self.address = Address(_HOST, port)
        self._directory = directory
        self._persistence = persistence
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The number of its process. Raises LinkError if it does not run."""
        if self._process is None:
            raise LinkError(f"the broker at {self.address} does not run")
        return self._process.pid

    def start(self) -> Self:
        """Start it, wait until it accepts connections. Raises LinkError, and leaves nothing running, if it does not."""
        if self._process is not None:
            raise LinkError(f"the broker at {self.address} runs already")
        if _accepts(self.address):
            raise LinkError(f"something else listens at {self.address}: choose another port")
        command = self._command()
        with (self._directory / "broker.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        self._await_start()
        return self

    def kill(self) -> None:
        """End it as a power cut would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in order, by force after 3 s; no error if it does not run."""
        self._end(signal.SIGTERM)

    def pause(self) -> None:
        """Let it hang: connections stay open, nothing is answered; returns when it does."""
        self._signal(signal.SIGSTOP)
        if self._process is not None:
            os.waitpid(self._process.pid, os.WUNTRACED)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _command(self) -> list[str]:
        self._directory.mkdir(parents=True, exist_ok=True)
        if self.kind == "mosquitto":
            return [_mosquitto() or "mosquitto", "-c", str(self._write("mosquitto.conf", _MOSQUITTO))]
        config = self._write("rumqttd.toml", _IOTCORE)
        return [sys.executable, "-m", "iotcore", "--log-level", "CRITICAL", "--config", str(config)]

    def _write(self, name: str, template: str) -> Path:
        path = self._directory.resolve() / name
        text = template.format(
            port=self.address.port,
            directory=path.parent,
            persistence="true" if self._persistence else "false",
            user="user root" if os.geteuid() == 0 else "",  # else it drops to a user that cannot write the directory
            options="\n".join(self._options),
        )
        path.write_text(text)
        return path

    def _await_start(self) -> None:
        until_s = time.monotonic() + _START_TIMEOUT_S
        while not _accepts(self.address):
            if self._process is None or self._process.poll() is not None or time.monotonic() > until_s:
                self.kill()
                log = (self._directory / "broker.log").read_text(errors="replace")[-_LOG_SHOWN:]
                raise LinkError(f"{self.kind} did not come up at {self.address}: {log.strip() or 'it said nothing'}")
            time.sleep(0.02)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        process.send_signal(signal.SIGCONT)
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _signal(self, what: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(what)


def _mosquitto() -> str | None:
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


def _accepts(address: Address) -> bool:
    try:
        with socket.create_connection((address.host, address.port), timeout=0.5):
            return True
    except OSError:
        return False
