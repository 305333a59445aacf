"""How a backlog goes to the cloud: rate over time, memory and processor time of every process, disk."""

import os
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Moment:
    """What was seen at a time: records in the cloud, memory in MB and processor seconds by process."""

    at_s: float
    arrived: int
    resident_mb: Mapping[str, float]
    cpu_s: Mapping[str, float]


@dataclass(slots=True)
class Drain:
    """A drain from its start to its end."""

    moments: list[Moment] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.moments[-1].at_s - self.moments[0].at_s

    @property
    def per_s(self) -> float:
        """Records a second over all."""
        return (self.moments[-1].arrived - self.moments[0].arrived) / self.seconds

    def rates(self, pieces: int) -> list[float]:
        """Records a second in each of so many equal shares of the records."""
        first, total = self.moments[0].arrived, self.moments[-1].arrived - self.moments[0].arrived
        marks = [self._when(first + total * piece / pieces) for piece in range(pieces + 1)]
        return [total / pieces / (later - earlier) for earlier, later in pairwise(marks)]

    def most_mb(self) -> dict[str, float]:
        """The most memory that each process had."""
        return {name: max(moment.resident_mb[name] for moment in self.moments) for name in self.moments[0].resident_mb}

    def cores(self) -> dict[str, float]:
        """Processor seconds a second, by process."""
        first, last = self.moments[0].cpu_s, self.moments[-1].cpu_s
        return {name: (last[name] - first[name]) / self.seconds for name in first}

    def _when(self, arrived: float) -> float:
        before = self.moments[0]
        for moment in self.moments[1:]:
            if moment.arrived >= arrived:
                share = (arrived - before.arrived) / max(1, moment.arrived - before.arrived)
                return before.at_s + share * (moment.at_s - before.at_s)
            before = moment
        return before.at_s


def watch(arrived: Callable[[], int], goal: int, pids: Mapping[str, int], within_s: float, every_s: float) -> Drain:
    """Look now and then until so many records have arrived; fails the test when they have not in time."""
    drain, pause = Drain(), threading.Event()
    while True:
        count = arrived()
        memory = {name: resident_mb(pid) for name, pid in pids.items()}
        drain.moments.append(Moment(time.monotonic(), count, memory, {name: cpu_s(pid) for name, pid in pids.items()}))
        if len(drain.moments) > 1:
            shown = ", ".join(f"{name} {mb:.0f} MB" for name, mb in memory.items())
            sys.stderr.write(f"\r{drain.seconds:.0f} s: {count} of {goal}, {drain.per_s:.0f}/s, {shown}   ")
            assert drain.seconds < within_s, f"{count} of {goal} records after {within_s} s"
        if count >= goal:
            return drain
        pause.wait(every_s)


def arrived_in(store: Path) -> int:
    """How many records a collector's SQLite store holds; quick, however many."""
    with closing(sqlite3.connect(f"{store.absolute().as_uri()}?mode=ro", uri=True, timeout=30)) as connection:
        return int(connection.execute("SELECT coalesce(max(rowid), 0) FROM records").fetchone()[0])


def resident_mb(pid: int) -> float:
    """A process's memory, MB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def peak_mb(pid: int) -> float:
    """The most memory that a process ever had, MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6


def cpu_s(pid: int) -> float:
    """The processor seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def size_mb(folder: Path) -> float:
    """What a folder holds on disk, MB."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
