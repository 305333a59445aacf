"""strace as the hand that kills a process at its n-th write or fsync, or counts how many there are."""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

CALLS = ("pwrite64", "fdatasync", "fsync")


def _traces() -> bool:
    strace = shutil.which("strace")
    return bool(strace) and subprocess.run([strace, "-qq", "-o", "/dev/null", "true"], check=False).returncode == 0


needs_strace = pytest.mark.skipif(not _traces(), reason="strace is not here, or may not trace")


def counted(trace: Path) -> list[str]:
    """What to put before a command so that its calls are written to a file."""
    return ["strace", "-f", "-qq", "-o", str(trace), "-e", f"trace={','.join(CALLS)}"]


def killed_at(call: str, number: int) -> list[str]:
    """What to put before a command so that a thread's n-th call of a kind is its process' end, before it is done.

    strace counts each thread for itself; all our writing is done by one. With --seccomp-bpf, strace 6.1 kills nothing.
    """
    injected = ["-e", f"trace={call}", "-e", f"inject={call}:signal=SIGKILL:when={number}"]
    return ["strace", "-f", "-qq", "-o", "/dev/null", *injected]


def calls_in(trace: Path) -> dict[str, int]:
    """How many calls of each kind the busiest thread made, by a trace that was written."""
    counts: dict[str, dict[str, int]] = {call: {} for call in CALLS}
    for line in trace.read_text().splitlines():
        thread, _, rest = line.partition(" ")
        call = rest.strip().partition("(")[0]
        if call in counts:
            counts[call][thread] = counts[call].get(thread, 0) + 1
    return {call: max(threads.values(), default=0) for call, threads in counts.items()}


@contextmanager
def traced(prefix: Sequence[str], command: Sequence[str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A command under strace; it and strace are gone in the end, whatever happened."""
    with log.open("ab") as said:
        process = subprocess.Popen([*prefix, *command], stdout=said, stderr=said, start_new_session=True)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # strace that is told to end leaves what it traced running
        process.wait(10)
