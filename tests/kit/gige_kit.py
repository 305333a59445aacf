"""A network of its own for a test, and simulated GigE cameras in it."""

import ctypes
import ctypes.util
import functools
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from brokers import eventually

_NEW_NETWORK = 0x40000000
_CAMERA = Path(__file__).with_name("gige_camera.py")
SERIAL = "GV77"
ADDRESS = "127.0.0.1"


@functools.cache
def missing() -> str:
    """What these tests need and this machine lacks; empty where all is there."""
    if os.geteuid() != 0:
        return "a network namespace needs root"
    for tool, package in (("ip", "iproute2"), ("nft", "nftables")):
        if not _tool(tool):
            return f"Debian's {package} is not installed"
    try:
        ctypes.CDLL("libaravis-0.8.so.0")
    except OSError:
        return "Debian's libaravis-0.8-0 is not installed"
    try:
        with own_network():
            return ""
    except OSError as error:
        return f"no network namespace here: {error.strerror}"


def _tool(name: str) -> str:
    """Where Debian puts it, also for a user whose PATH lacks it."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") or ""


@contextmanager
def own_network() -> Iterator[None]:
    """Put this thread, and every thread and process it starts, into a network of its own that has a loopback alone.

    GigE discovery broadcasts on every interface: a test must not speak to cameras of the network that it runs on.
    """
    libc = ctypes.CDLL(ctypes.util.find_library("c"), use_errno=True)
    ours = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        if libc.unshare(_NEW_NETWORK) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        try:
            subprocess.run([_tool("ip"), "link", "set", "lo", "up"], check=True, timeout=10)
            yield
        finally:
            assert libc.setns(ours, _NEW_NETWORK) == 0
    finally:
        os.close(ours)


def lose_packets(per_thousand: int, longer_than: int = 500) -> None:
    """From now on this network drops so many of the stream's packets that are longer; 0 per thousand stops it.

    Long ones carry pixels; what begins and ends a frame is short.
    """
    rules = "flush ruleset\n"
    if per_thousand:
        rules += (
            "table ip loss {\nchain in {\ntype filter hook input priority 0;\n"
            f"udp sport != 3956 udp dport != 3956 meta length > {longer_than} "
            f"numgen random mod 1000 <= {per_thousand - 1} drop\n}}\n}}\n"
        )
    subprocess.run([_tool("nft"), "-f", "-"], input=rules, text=True, check=True, timeout=10)


class SimulatedCamera:
    """A simulated camera's process; started again, it is the same camera after a power cut.

    Args:
        images: folder of the images that it shows.
        log: where it writes what it exposes.
        options: more options of `gige_camera.py`.
    """

    def __init__(self, images: Path, log: Path, *options: str, serial: str = SERIAL) -> None:
        self._command = [sys.executable, str(_CAMERA), serial, str(images), "--log", str(log), *options]
        self._log = log
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def pulse(self) -> None:
        """An edge on its line input."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write("pulse\n")
        self._process.stdin.flush()

    def signal(self, what: signal.Signals) -> None:
        """SIGSTOP: it hangs; SIGCONT: it goes on."""
        assert self._process is not None
        self._process.send_signal(what)

    def kill(self) -> None:
        """A power cut."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate(timeout=10)
            self._process = None

    def exposed(self) -> int:
        """How many frames it exposed since it was made."""
        return self._log.read_bytes().count(b"\n") if self._log.exists() else 0

    def await_exposed(self, count: int) -> None:
        """Wait until it exposed so many frames."""
        eventually(lambda: self.exposed() >= count)


@contextmanager
def simulated_camera(images: Path, log: Path, *options: str, serial: str = SERIAL) -> Iterator[SimulatedCamera]:
    """A camera that is on the network until the block ends."""
    camera = SimulatedCamera(images, log, *options, serial=serial)
    camera.start()
    try:
        yield camera
    finally:
        camera.kill()
