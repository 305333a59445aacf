"""Each check in a process of its own, within a time of its own: one that crashes or hangs is a finding like others.

- A check is a fork: it costs milliseconds, may crash in a vendor's library, and is killed at the end of its time.
- What it found before that stays found.
- None outlives who asked, however that ended: a check may hold a camera or be at the disk.
- Nothing is waited for that the kernel will not end, such as a process that hangs in a dead network disk. That is why
  these are no `multiprocessing.Process`: Python would wait for those before it ends.
- What is measured is measured alone; everything else runs side by side.
"""

import ctypes
import os
import select
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait

from edge.doctor.around import Around
from edge.doctor.check import Check
from edge.doctor.finding import Finding, fault

_AT_ONCE = 4
_REAP_S = 0.5
_NICE = 10
_PR_SET_PDEATHSIG = 1


@dataclass(slots=True)
class _Running:
    check: Check
    process: int
    answers: "Connection[Finding | None, Finding | None]"
    until_s: float
    found: list[Finding] = field(default_factory=list)


def examine(around: Around, checks: Sequence[Check] | None = None) -> list[Finding]:
    """Look at everything that can be wrong; findings in the order of the checks.

    Args:
        around: the station and its machine.
        checks: all that the doctor knows if left out.
    """
    if checks is None:
        from edge.doctor.rooms import checks_of

        checks = checks_of(around)
    done: dict[int, list[Finding]] = {}
    for one, check in enumerate(checks):
        if check.alone:
            done |= _run(around, {one: check})
    done |= _run(around, {one: check for one, check in enumerate(checks) if not check.alone})
    return [finding for one in range(len(checks)) for finding in done[one]]


def _run(around: Around, checks: dict[int, Check]) -> dict[int, list[Finding]]:
    running = dict[int, _Running]()
    try:
        return _run_all(around, checks, running)
    finally:  # Ctrl-C leaves none behind
        for each in running.values():
            os.kill(each.process, signal.SIGKILL)


def _run_all(around: Around, checks: dict[int, Check], running: dict[int, _Running]) -> dict[int, list[Finding]]:
    waiting, done = list(checks), dict[int, list[Finding]]()
    while waiting or running:
        while waiting and len(running) < _AT_ONCE:
            one = waiting.pop(0)
            running[one] = _start(checks[one], around)
        next_end_s = min(each.until_s for each in running.values()) - time.monotonic()
        ready = wait([each.answers for each in running.values()], max(0.0, next_end_s))
        for one, each in list(running.items()):
            if each.answers in ready and _heard_last(each):
                done[one] = _ended(running.pop(one))
            elif time.monotonic() >= each.until_s:
                done[one] = _given_up(running.pop(one))
    return done


def _start(check: Check, around: Around) -> _Running:
    answers, says = Pipe(duplex=False)
    asking = os.getpid()
    process = os.fork()
    if not process:
        _end_with(asking)
        _look(check, around, says)
    says.close()
    return _Running(check, process, answers, time.monotonic() + check.limit_s)


def _end_with(asking: int) -> None:
    """The kernel kills us when the process that asks ends, by SIGKILL too."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != asking:  # it ended before that
        os._exit(0)


def _look(check: Check, around: Around, says: "Connection[Finding | None, Finding | None]") -> None:
    """Say each thing as it is found, and end; what libraries print is nobody's."""
    try:
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nothing, stream)
        if around.daemon is not None:
            os.nice(_NICE)  # the line goes first
        for finding in _looked(check, around):
            says.send(finding)
        says.send(None)
    finally:
        os._exit(0)  # neither what the parent would do at its end, nor a thread that hangs in a driver


def _looked(check: Check, around: Around) -> Iterator[Finding]:
    try:
        yield from check.look(around)
    except ImportError as error:
        yield fault("doctor.no-package", check.name, f"what this check needs cannot be imported: {error}")
    except Exception as error:  # noqa: BLE001 - a check of ours that breaks must not hide what the others find
        yield fault("doctor.crashed", check.name, f"this check broke: {type(error).__name__}: {error}")


def _heard_last(running: _Running) -> bool:
    """Take what a check says next; whether it says no more."""
    try:
        said = running.answers.recv()
    except EOFError:
        how = _reaped(running.process)
        running.found.append(fault("doctor.died", running.check.name, f"what was asked ended this check ({how})"))
        return True
    if said is not None:
        running.found.append(said)
    return said is None


def _given_up(running: _Running) -> list[Finding]:
    check = running.check
    os.kill(running.process, signal.SIGKILL)
    running.found.append(fault("doctor.no-answer", check.name, f"no answer within {check.limit_s:g} s"))
    return _ended(running)


def _ended(running: _Running) -> list[Finding]:
    running.answers.close()
    _reaped(running.process)
    return running.found


def _reaped(process: int) -> str:
    """Wait a little for a process's end; says how it ended."""
    try:
        handle = os.pidfd_open(process)
        select.select([handle], [], [], _REAP_S)
        os.close(handle)
        ended, status = os.waitpid(process, os.WNOHANG)
    except (ProcessLookupError, ChildProcessError):
        return "it was waited for already"
    code = os.waitstatus_to_exitcode(status)
    return "it has not ended yet" if not ended else f"signal {-code}" if code < 0 else f"exit code {code}"
