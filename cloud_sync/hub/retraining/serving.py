"""`cloud serve`: the collector, the worker and the pages as processes of their own, started again where one ends.

A collector that trains would be late; a worker that hangs must not stop the collecting. So each has its process, dies
with this one, and is started again after a wait that doubles. The pages are a guest: where what they need is not
installed they are left out, and whatever their end says, the others go on.
"""

import contextlib
import importlib.util
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from cloud_sync.hub.retraining.child import Orders
from cloud_sync.hub.retraining.cloud_toml import CloudConfig, load_config
from cloud_sync.wire.backoff import Backoff
from cloud_sync.wire.supervisor import Feed, Supervisor, status_word

_CLOUD = (sys.executable, "-m", "cloud_sync.hub.cli")
_WRONG_USAGE = 2
_ROUND_S = 0.2
_WEB = "web"
_WEB_NEEDS = ("fastapi", "jinja2", "uvicorn", "argon2", "python_multipart")
_STEADY_S = 60.0
_STOP_S = 45.0
_OURS = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
_logger = logging.getLogger(__name__)


class Served:
    """One process, kept running by one thread.

    Args:
        name: what it is, for people.
        program: its absolute path and arguments.
        told: hears of each start and end.
    """

    def __init__(self, name: str, program: Sequence[str], told: Callable[[dict[str, object]], None]) -> None:
        self.name = name
        self._program = tuple(program)
        self._told = told
        self._backoff = Backoff(0.5, 30.0)
        self._process: subprocess.Popen[bytes] | None = None
        self._started_s = 0.0
        self._again_s = float("-inf")

    def keep(self, now_s: float) -> int | None:
        """Start it where it does not run and its wait is over; its exit code where it just ended."""
        if self._process is None:
            if now_s >= self._again_s:
                self._start(now_s)
            return None
        code = self._process.poll()
        if code is None:
            return None
        self._process = None
        if now_s - self._started_s > _STEADY_S:
            self._backoff.reset()
        wait_s = self._backoff.next_s()
        self._again_s = now_s + wait_s
        self._told({"event": "ended", "process": self.name, "exit_code": code, "again_in_s": wait_s})
        return code

    def ask_to_end(self) -> None:
        """SIGTERM."""
        if self._process is not None:
            self._process.terminate()

    def end(self, until_s: float) -> None:
        """Wait for its end, and kill it where it takes longer."""
        if self._process is None:
            return
        try:
            self._process.wait(max(0.1, until_s - time.monotonic()))
        except subprocess.TimeoutExpired:
            _logger.warning("%s did not end in time and is killed", self.name)
            self._process.kill()
            self._process.wait()
        self._process = None

    def _start(self, now_s: float) -> None:
        orders = Orders(os.getpid(), "", nice=0, idle=False)
        environment = {name: value for name, value in os.environ.items() if name not in _OURS}
        words = [sys.executable, "-m", "cloud_sync.hub.retraining.child", orders.as_json(), *self._program]
        self._process = subprocess.Popen(words, stdin=subprocess.DEVNULL, env=environment)
        self._started_s = now_s
        self._told({"event": "started", "process": self.name, "pid": self._process.pid})


def serve_until_signal(path: Path, *, as_json: bool) -> int:
    """Keep all of it running until SIGTERM or SIGINT; the exit code: 2 where one says that its words are wrong.

    Raises:
        CloudConfigError: cloud.toml is wrong.
    """
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(message)s")
    stop, supervisor = threading.Event(), Supervisor.of(os.environ)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    served = [
        Served(name, [*_CLOUD, *words, "--json"], lambda event: _say(event, as_json=as_json))
        for name, words in programs(load_config(path), path).items()
    ]
    if lacking := web_lacks():
        _say({"event": "left out", "process": _WEB, "why": lacking}, as_json=as_json)
    feed, code = Feed(supervisor), 0
    supervisor.tell("READY=1", status_word("collecting and working"))
    try:
        while not code and not stop.wait(_ROUND_S):
            codes = {one.name: one.keep(time.monotonic()) for one in served}
            codes.pop(_WEB, None)
            code = _WRONG_USAGE if _WRONG_USAGE in codes.values() else 0
            feed.feed()
    finally:
        supervisor.tell("STOPPING=1")
        _end(served)
    return code


def programs(config: CloudConfig, path: Path) -> dict[str, list[str]]:
    """What is run, by name: `cloud` and these words."""
    cloud = config.cloud
    collect = ["collect", "--broker", cloud.broker, "--identity", str(cloud.identity), "--store", cloud.store]
    collect += ["--blobs", config.blobs, *(["--metrics", cloud.metrics] if cloud.metrics else [])]
    words = {"collect": collect, "work": ["work", "--config", str(path.absolute())]}
    return words if web_lacks() else words | {_WEB: ["web", "--config", str(path.absolute())]}


def web_lacks() -> str:
    """What the pages need and is not installed, in words; "" where they can be served."""
    missing = [name for name in _WEB_NEEDS if importlib.util.find_spec(name) is None]
    return f"the pages need {', '.join(missing)}: pip install 'inspectd[hub,web]'" if missing else ""


def _end(served: Sequence[Served]) -> None:
    for one in served:
        one.ask_to_end()
    until_s = time.monotonic() + _STOP_S
    for one in served:
        one.end(until_s)


def _say(event: dict[str, object], *, as_json: bool) -> None:
    with contextlib.suppress(OSError, ValueError):  # nobody reads any more
        if as_json:
            sys.stdout.write(json.dumps(event) + "\n")
            sys.stdout.flush()
        else:
            sys.stderr.write("cloud serve: " + ", ".join(f"{name} {value}" for name, value in event.items()) + "\n")
