"""A real control group with a CPU quota, for processes that tests start in it; version 1, where root may make one."""

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

CONTROLLER = Path("/sys/fs/cgroup/cpu")
_PERIOD_US = 100_000
_MOST_SHARES = 262_144


@contextmanager
def quota_group(cpus: float | None, *, nested: bool = False, first: bool = False) -> Iterator[Path]:
    """A group that grants `cpus`, or all; `nested` puts a group without a quota of its own inside and gives that one.

    `first` lets it go before all that runs outside of it, so that a busy machine measures like an idle one, nearly.

    Skips the test where no such group can be made.
    """
    if not os.access(CONTROLLER / "cpu.cfs_quota_us", os.W_OK):
        pytest.skip(f"needs a cgroup v1 cpu controller at {CONTROLLER} that this user may write to")
    made = [CONTROLLER / f"inspectd-test-{os.getpid()}"]
    made += [made[0] / "inner"] if nested else []
    try:
        for folder in made:
            folder.mkdir()
        (made[0] / "cpu.cfs_period_us").write_text(str(_PERIOD_US))
        (made[0] / "cpu.cfs_quota_us").write_text(str(-1 if cpus is None else round(cpus * _PERIOD_US)))
        if first:
            (made[0] / "cpu.shares").write_text(str(_MOST_SHARES))
        yield made[-1]
    finally:
        for folder in reversed(made):
            if folder.exists():
                folder.rmdir()


def inside(group: Path, command: list[str]) -> list[str]:
    """The command, moved into the group before it starts."""
    return ["/bin/sh", "-c", f"echo $$ > {shlex.quote(str(group / 'cgroup.procs'))} && exec {shlex.join(command)}"]


def throttled(group: Path) -> dict[str, int]:
    """cpu.stat of the group: periods, throttled ones, nanoseconds throttled."""
    lines = (group / "cpu.stat").read_text().splitlines()
    return {name: int(value) for name, value in (line.split()[:2] for line in lines)}
