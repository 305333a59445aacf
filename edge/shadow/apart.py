"""A challenger in a process of its own, as the station sees it: every wait bounded, no fault but its own exception.

Invariants:
- Whatever the process does, dies of or answers, this side raises ApartError or StarvedError, and nothing else.
- One that spends its processor time without an answer hangs; one that was given none is starved, and is no fault.
"""

import json
import mmap
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from edge.domain.frame import Image
from edge.shadow.child import HURRY
from edge.shadow.messages import Order, Said, pack_look, unpack_found
from models.detections import Detections
from models.errors import AlignmentError, ModelError

_SLICE_S = 0.05
_READ_BYTES = 1 << 20
_ANSWER_BYTES = 64 << 20
_ENDS_S = 2.0
IDLE_LOADS_WITHIN_S = 20.0  # then it hurries: a busy line puts a challenger off, and not for ever
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


class ApartError(ModelError):
    """The challenger's process ended, hangs, or answers what is no answer; it is of no use any more."""


class UnloadableError(ApartError):
    """The challenger cannot be loaded: it said so itself, and would again."""


class StarvedError(Exception):
    """The machine had no time left for the challenger; its answer, if it comes, is thrown away."""


class EngineApart:
    """A bundle loaded in a process of lowest priority; `close` it.

    Args:
        order: what it runs; `shared` is filled in here.
        looks: it is to look at frames; else it only compiles, and ends.
        hurry: it loads in more than idle time, and parts on the line may wait longer meanwhile.

    Raises:
        ApartError: no process can be started.
    """

    def __init__(self, order: Order, *, looks: bool = True, hurry: bool = False) -> None:
        self._shared = -1
        self._size_bytes = 0
        self._number = 0
        self._received = b""
        self._cpu_before_s = 0.0
        try:
            self._shared = os.memfd_create("inspectd-shadow") if looks else -1
            self._child = subprocess.Popen(
                [sys.executable, "-m", "edge.shadow.child", *([HURRY] if hurry else [])],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                pass_fds=() if self._shared < 0 else (self._shared,),
                start_new_session=True,  # Ctrl-C is for the daemon
            )
        except OSError as error:
            self._forget_shared()
            raise ApartError(f"no process for a challenger: {error}") from error
        try:
            self._say(replace(order, shared=self._shared).pack())
        except ApartError:
            self.close()
            raise

    def ready(self, cpu_limit_s: float, wait_s: float) -> bool:
        """Whether it is loaded; waits at most `wait_s` seconds.

        Raises:
            UnloadableError: it cannot be.
            ApartError: its process ended, or took more than `cpu_limit_s` seconds of processor time for it.
        """
        said = self._hear(time.monotonic() + wait_s)
        if said is None:
            self._check_spent(cpu_limit_s)
            return False
        if "fault" in said:
            raise UnloadableError(f"the challenger cannot be loaded: {said.get('why')}")
        return True

    def look(
        self, image: Image, limits_s: tuple[float, float], stopping: Callable[[], bool]
    ) -> tuple[Detections, float]:
        """What it finds on a frame (height, width, 3) uint8, and the milliseconds of processor time it took.

        Args:
            image: of which one copy is made, into memory that both share.
            limits_s: processor time after which it hangs; time after which it is starved.
            stopping: nobody waits any more.

        Raises:
            AlignmentError, ModelError: it has no answer to this frame.
            ApartError: it is of no use any more.
            StarvedError: it had no time.
        """
        cpu_limit_s, wall_limit_s = limits_s
        self._number += 1
        self._share(image)
        self._cpu_before_s = self._cpu_s()
        self._say(pack_look(self._number, image.shape))
        until_s = time.monotonic() + wall_limit_s
        while not stopping():
            said = self._hear(min(until_s, time.monotonic() + _SLICE_S))
            if said is not None and said.get("number") == self._number:
                return self._understood(said)
            self._check_spent(cpu_limit_s)
            if time.monotonic() >= until_s:
                raise StarvedError(f"no time for the challenger within {wall_limit_s:g} s")
        raise StarvedError("the station stops")

    def close(self) -> None:
        """End the process, whatever it is at."""
        with suppress(OSError):
            self._child.kill()
        with suppress(subprocess.TimeoutExpired):
            self._child.wait(_ENDS_S)
        for pipe in (self._child.stdin, self._child.stdout):
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()
        self._forget_shared()

    def _forget_shared(self) -> None:
        if self._shared >= 0:
            os.close(self._shared)
        self._shared = -1

    def _share(self, image: Image) -> None:
        try:
            if image.nbytes > self._size_bytes:
                os.ftruncate(self._shared, image.nbytes)
                self._size_bytes = image.nbytes
            with mmap.mmap(self._shared, image.nbytes) as memory:
                _copy(image, memory)
        except (OSError, ValueError) as error:
            raise ApartError(f"no memory to share a frame: {error}") from error

    def _understood(self, said: Said) -> tuple[Detections, float]:
        fault = said.get("fault")
        if fault == "reference":
            raise AlignmentError(str(said.get("why")))
        if fault:
            raise ModelError(str(said.get("why")))
        try:
            return unpack_found(said), float(said["cpu_ms"])
        except (ValueError, LookupError, TypeError) as error:
            raise ApartError(f"the challenger's process answers what is no answer: {error}") from error

    def _say(self, line: bytes) -> None:
        """The lines are short and one at a time: a pipe takes them at once."""
        assert self._child.stdin is not None  # noqa: S101 - it was asked for
        os.set_blocking(self._child.stdin.fileno(), False)
        try:
            sent = os.write(self._child.stdin.fileno(), line)
        except OSError as error:
            raise ApartError(f"{self._ended()}: {error.strerror}") from error
        if sent < len(line):
            raise ApartError("the challenger's process does not listen")

    def _hear(self, until_s: float) -> Said | None:
        """Its next line; None where none came in time."""
        assert self._child.stdout is not None  # noqa: S101 - it was asked for
        stdout = self._child.stdout.fileno()
        while b"\n" not in self._received:
            if not _readable(stdout, max(0.0, until_s - time.monotonic())):
                return None
            data = os.read(stdout, _READ_BYTES)
            self._received += data
            if not data or len(self._received) > _ANSWER_BYTES:
                raise ApartError(self._ended() if not data else "the challenger's process does not stop talking")
        line, self._received = self._received.split(b"\n", 1)
        try:
            said = json.loads(line)
        except ValueError as error:
            raise ApartError(f"the challenger's process answers what is no answer: {error}") from error
        if not isinstance(said, dict):
            raise ApartError("the challenger's process answers what is no answer")
        return said

    def _ended(self) -> str:
        try:
            code: int | None = self._child.wait(_ENDS_S)
        except subprocess.TimeoutExpired:
            code = None
        return f"the challenger's process ended, exit code {code}"

    def _check_spent(self, cpu_limit_s: float) -> None:
        spent_s = self._cpu_s() - self._cpu_before_s
        if spent_s > cpu_limit_s:
            raise ApartError(f"the challenger has no answer after {spent_s:.1f} s of processor time: it hangs")

    def _cpu_s(self) -> float:
        """Processor time of the process so far, seconds; 0 where it ended."""
        try:
            said = Path(f"/proc/{self._child.pid}/stat").read_text()
        except OSError:
            return 0.0
        fields = said.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND


def _readable(descriptor: int, wait_s: float) -> bool:
    """Whether there is something to read, or the end; also of descriptors beyond those that `select` takes."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(wait_s * 1000))


def _copy(image: Image, memory: mmap.mmap) -> None:
    """The frame into shared memory; in a function of its own, so that no view of the memory outlives it."""
    np.copyto(np.frombuffer(memory, np.uint8).reshape(image.shape), image)
