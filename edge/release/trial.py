"""A release is first run in a process of its own: a graph that breaks, hangs or swells ends that one, and no other."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event

from pydantic import BaseModel, ConfigDict, ValidationError

from edge.config import StationConfig
from models.bundle import Bundle
from models.errors import GateError, ModelError

_POLL_S = 0.2
_ENDS_S = 5.0
_ANSWER_BYTES = 64 * 1024
_WHY_SHOWN = 280


class Order(BaseModel):
    """What the other process is to do."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    parent: int
    config: StationConfig
    bundle: str
    sha256: str
    products: list[str]
    memory_bytes: int
    cpu_s: int


class Tried(BaseModel):
    """What came of it: why it was refused, empty where nothing speaks against it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    against: str = ""
    is_gate: bool = False
    rejects_masters: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """What a trial may take.

    Args:
        cpu_s: processor time, seconds; more is a hang.
        wall_s: seconds in all; the trial only gets what time the line leaves.
        memory_bytes: of its own.
        stopping: the station ends, nobody waits any more.
        unwanted: says whether something else is to be done first.
    """

    cpu_s: int = 180
    wall_s: float = 1800.0
    memory_bytes: int = 3 * 1024**3
    stopping: Event | None = None
    unwanted: Callable[[], bool] = lambda: False


class StoppedError(Exception):
    """The station ends, or something else comes first: the trial begins anew when it is its turn again."""


def try_apart(config: StationConfig, bundle: Bundle, products: list[str], limits: Limits) -> Tried:
    """Compile it, have it look at its own frames and at the products' master parts.

    Raises:
        ModelError: it breaks, hangs, takes too much, or answers otherwise than it should.
        GateError: it tells a master part wrong.
        StoppedError: the station ends, or something else comes first.
        OSError: no process can be started.
    """
    order = Order(
        parent=os.getpid(),
        config=config,
        bundle=str(bundle.path),
        sha256=bundle.model_id.sha256,
        products=products,
        memory_bytes=limits.memory_bytes,
        cpu_s=limits.cpu_s,
    )
    child = subprocess.Popen(
        [sys.executable, "-m", "edge.release.trying"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for the daemon
    )
    try:
        tried = _understood(answer_of(child, order.model_dump_json().encode(), limits), child)
    finally:
        child.kill()
        child.communicate(timeout=_ENDS_S)
    if tried.against:
        raise (GateError if tried.is_gate else ModelError)(f"self-test: {tried.against}")
    return tried


def answer_of(child: "subprocess.Popen[bytes]", order: bytes, limits: Limits) -> bytes:
    """All that a process says to an order, until it ends. Raises ModelError where it takes too long, StoppedError."""
    assert child.stdout is not None  # noqa: S101 - it was asked for
    until_s, said = time.monotonic() + limits.wall_s, b""
    _send(child, order, limits, until_s)
    while _may_wait(limits, until_s):
        if not select.select([child.stdout], [], [], _POLL_S)[0]:
            continue
        piece = os.read(child.stdout.fileno(), _ANSWER_BYTES)
        said += piece
        if not piece or len(said) > _ANSWER_BYTES:
            return said
    raise ModelError(f"self-test: no answer within {limits.wall_s:g} s, in a process of its own: it hangs")


def _send(child: "subprocess.Popen[bytes]", order: bytes, limits: Limits, until_s: float) -> None:
    """Raises ModelError where it ended before it listened, or never does; StoppedError."""
    assert child.stdin is not None  # noqa: S101 - it was asked for
    handle, left = child.stdin.fileno(), memoryview(order)
    os.set_blocking(handle, False)  # a long order does not fit into the pipe
    try:
        while left and _may_wait(limits, until_s):
            if select.select([], [handle], [], _POLL_S)[1]:
                left = left[os.write(handle, left) :]
    except OSError as error:
        raise ModelError(f"self-test: its process does not listen: {error}") from error
    finally:
        child.stdin.close()
        child.stdin = None  # `communicate` would close it again


def _may_wait(limits: Limits, until_s: float) -> bool:
    """Whether there is time left. Raises StoppedError."""
    if (limits.stopping is not None and limits.stopping.is_set()) or limits.unwanted():
        raise StoppedError
    return time.monotonic() < until_s


def _understood(said: bytes, child: "subprocess.Popen[bytes]") -> Tried:
    """Raises ModelError where that is no answer."""
    try:
        return Tried.model_validate(json.loads(said))
    except (ValueError, ValidationError):
        raise ModelError(f"self-test: {_ended(child)}") from None


def _ended(child: "subprocess.Popen[bytes]") -> str:
    try:
        code = child.wait(_ENDS_S)
    except subprocess.TimeoutExpired:
        return "its process answers what is no answer"
    if code == -signal.SIGXCPU:
        return "it hangs: its process used up all the processor time that a trial may take"
    named = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return f"its process was ended by {named}: the graph breaks what runs it"
