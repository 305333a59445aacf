"""Network cameras for tests: real servers in processes of their own, which can be hung, killed and started again."""

import functools
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cloud_sync.wire.broker import free_port
from edge.capture.camera import Camera, Shot
from edge.config import CameraSection

DEBIAN_PYTHON = "/usr/bin/python3"
_KIT = Path(__file__).parent
_START_S = 15.0
_RTSP_PROBE = """
import gi
gi.require_version("Gst", "1.0"); gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gst, GstRtspServer
Gst.init(None)
wanted = ("appsrc", "videoconvert", "x264enc", "rtph264pay")
missing = [name for name in wanted if not Gst.ElementFactory.find(name)]
raise SystemExit(f"no {', '.join(missing)}" if missing else 0)
"""


@functools.cache
def rtsp_missing() -> str:
    """What is missing here for an RTSP server; empty when nothing is."""
    packages = "python3-gi, gir1.2-gst-rtsp-server-1.0 and gstreamer1.0-plugins-base, -good and -ugly"
    try:
        done = subprocess.run([DEBIAN_PYTHON, "-c", _RTSP_PROBE], capture_output=True, check=False, timeout=60)
    except OSError:
        return f"no {DEBIAN_PYTHON}: the RTSP server needs Debian's, with {packages}"
    return f"the RTSP server needs Debian's {packages}" if done.returncode else ""


@dataclass
class Server:
    """A camera's server at a port of its own; its process comes and goes, the address stays."""

    kind: str
    options: tuple[str, ...] = ()
    port: int = field(default_factory=free_port)
    child: "subprocess.Popen[str] | None" = None

    def url(self, path: str = "view", login: str = "") -> str:
        scheme = "rtsp" if self.kind == "rtsp" else "http"
        return f"{scheme}://{login}127.0.0.1:{self.port}/{path}"

    def start(self) -> None:
        """Start the process; returns once it listens."""
        python = DEBIAN_PYTHON if self.kind == "rtsp" else sys.executable
        command = [python, str(_KIT / f"{self.kind}_server.py"), str(self.port), *self.options]
        self.child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.child.stdout is not None
        said: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=lambda out: said.put(out.readline()), args=(self.child.stdout,), daemon=True).start()
        assert said.get(timeout=_START_S) == "ready\n"

    def hang(self) -> None:
        self.signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.signal(signal.SIGCONT)

    def signal(self, what: signal.Signals) -> None:
        assert self.child is not None
        self.child.send_signal(what)

    def kill(self) -> None:
        """End the process, hung or not."""
        if self.child is not None:
            self.child.kill()
            self.child.wait(10)
            assert self.child.stdout is not None
            self.child.stdout.close()
        self.child = None


@contextmanager
def served(kind: str, *options: str) -> Iterator[Server]:
    """A running server of a kind, `rtsp` or `mjpeg`; gone afterwards. Skips where its packages are missing."""
    if kind == "rtsp" and rtsp_missing():
        pytest.skip(rtsp_missing())
    server = Server(kind, options)
    server.start()
    try:
        yield server
    finally:
        server.kill()


def network_section(url: str, **more: object) -> CameraSection:
    """A camera's section for a served stream; the pictures take 42 ms through H.264 here, 2 ms through JPEG."""
    return CameraSection.model_validate({"id": "top", "source": url, "latency_ms": 100, **more})


def first_shot(camera: Camera, within_s: float = 10.0, fits: Callable[[Shot], bool] = lambda _shot: True) -> Shot:
    """Read until an image comes that is trusted (and fits)."""
    until_s = time.monotonic() + within_s
    while time.monotonic() < until_s:
        shot = camera.read(0.1)
        if shot is not None and fits(shot):
            return shot
    raise AssertionError(f"no image within {within_s} s")
