"""Checks that hang, crash or end their process are findings, and hide no other."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from brokers import eventually
from doctor_kit import expect

from edge.doctor.around import Around
from edge.doctor.check import Check
from edge.doctor.examining import examine
from edge.doctor.finding import Finding, ok


def hangs(_around: Around) -> Iterator[Finding]:
    yield ok("disk", "first", "seen before it hung")
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Event().wait()


def crashes(_around: Around) -> Iterator[Finding]:
    yield ok("disk", "second", "seen before it broke")
    raise RuntimeError("boom")


def dies(_around: Around) -> Iterator[Finding]:
    yield ok("disk", "third", "seen before it died")
    os.kill(os.getpid(), signal.SIGKILL)


def works(_around: Around) -> Iterator[Finding]:
    os.write(1, b"what a library prints")
    yield ok("disk", "last", "seen")


def test_what_hangs_crashes_or_dies_is_said_and_hides_nothing(tmp_path: Path) -> None:
    checks = [
        Check("a hanging disk", hangs, 0.4),
        Check("a broken check", crashes),
        Check("a vendor's library", dies),
        *(Check(f"check {number}", works, alone=number == 3) for number in range(8)),
    ]
    found = examine(Around(tmp_path), checks)
    assert [finding.name for finding in found if finding.id.startswith("disk")] == [
        "first",
        "second",
        "third",
        *["last"] * 8,
    ]
    expect(found, "doctor.no-answer", "a hanging disk", "no answer within 0.4 s")
    expect(found, "doctor.crashed", "RuntimeError: boom")
    expect(found, "doctor.died", "a vendor's library", f"signal {signal.SIGKILL.value}")


def test_no_check_leaves_a_process_behind(tmp_path: Path) -> None:
    def says_who(_around: Around) -> Iterator[Finding]:
        yield ok("disk", "pid", str(os.getpid()))
        threading.Event().wait()

    found = examine(Around(tmp_path), [Check("one that hangs", says_who, 0.4)])
    assert not Path("/proc", found[0].found).exists()


HANGS = """import os, sys, threading
from pathlib import Path
from edge.doctor import Around, examine
from edge.doctor.check import Check
def hangs(around):
    Path(sys.argv[1]).write_text(str(os.getpid()))
    threading.Event().wait()
    yield
examine(Around(Path(sys.argv[1])), [Check("one that hangs", hangs, 60.0)])"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_whatever_ends_who_asks_ends_what_looks_too(tmp_path: Path, how: signal.Signals) -> None:
    said = tmp_path / "pid"
    with subprocess.Popen([sys.executable, "-c", HANGS, str(said)], stderr=subprocess.DEVNULL) as doctor:
        eventually(lambda: said.exists() and said.read_text())
        doctor.send_signal(how)
        doctor.wait(15)
    eventually(lambda: not Path("/proc", said.read_text()).exists() or "\nState:\tZ" in _status(said.read_text()))


def _status(process: str) -> str:
    try:
        return Path("/proc", process, "status").read_text()
    except OSError:
        return "\nState:\tZ"
