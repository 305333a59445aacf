"""The clock: whether something keeps it right, and whether what it says can be."""

import ctypes
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from edge.doctor.around import Around
from edge.doctor.finding import Finding, fault, ok
from edge.doctor.reading import open_unchanged

MADE_AT = datetime(2026, 11, 26, tzinfo=UTC)  # this version; no clock can be right that is before
_UNSYNC = 0x40
_ERROR_S = 1.0
_BACK = timedelta(minutes=1)


class _Timex(ctypes.Structure):
    """The head of `struct timex` (adjtimex(2)); mode 0 reads and changes nothing."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        *((name, ctypes.c_long) for name in ("offset", "freq", "maxerror", "esterror")),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_long * 32),
    )


@dataclass(frozen=True, slots=True)
class KernelClock:
    """How the kernel says that its clock is kept: by somebody or not, and how far off it may be, seconds."""

    is_kept: bool
    error_s: float


def read_kernel_clock() -> KernelClock:
    """Ask the kernel. Raises OSError."""
    timex, library = _Timex(), ctypes.CDLL(None, use_errno=True)
    if library.adjtimex(ctypes.byref(timex)) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return KernelClock(not timex.status & _UNSYNC, timex.maxerror / 1e6)


def kept(_around: Around) -> Iterator[Finding]:
    """Whether something keeps it right."""
    yield judged(read_kernel_clock())


def judged(clock: KernelClock) -> Finding:
    """What the kernel's word means."""
    if not clock.is_kept:
        return fault("clock.not-kept", "clock", "nothing keeps it right, by the kernel's word")
    if clock.error_s > _ERROR_S:
        return fault("clock.far-off", "clock", f"kept, and may still be {clock.error_s:.1f} s off")
    return ok("clock", "clock", f"kept right, to {clock.error_s * 1000:.0f} ms")


def plausible(around: Around) -> Iterator[Finding]:
    """Whether the time can be, and is not before what was recorded."""
    local = f"{around.now:%Y-%m-%d %H:%M} UTC; local time is {'/'.join(time.tzname)}"
    if around.now < MADE_AT:
        yield fault("clock.before-build", "time", f"{local}: before this version was made ({MADE_AT:%Y-%m-%d})")
        return
    newest = _newest(around)
    if newest is not None and newest - around.now > _BACK:
        yield fault("clock.went-back", "time", f"{local}: the newest inspection is of {newest:%Y-%m-%d %H:%M} UTC")
    else:
        yield ok("clock", "time", local)


def _newest(around: Around) -> datetime | None:
    """When the last inspection was triggered; None where none is on record, or it cannot be read here."""
    path = around.data_dir / "station.db"
    try:
        with closing(open_unchanged(path, in_use=around.daemon is not None)) as connection:
            row = connection.execute("SELECT triggered_at FROM inspections ORDER BY seq DESC LIMIT 1").fetchone()
    except sqlite3.Error:
        return None  # the records' own check says so
    return None if row is None else datetime.fromisoformat(row[0])
