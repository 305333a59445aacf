"""Keeps what lies on the station's disk within its budgets, a bounded turn at a time."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import structlog

from cloud_sync.wire.outbox import Stream
from edge.domain.errors import StorageError
from edge.record.backup_hold import held_bytes
from edge.record.counts import counts_under, read_counts
from edge.record.database import open_reader
from edge.record.eviction import (
    IMAGES,
    Eviction,
    Kind,
    Limits,
    Usage,
    is_far_over,
    is_filling,
    is_held_up,
    is_short_of_disk,
    may_give_back,
    next_to_go,
)
from edge.record.history_search import HistorySearch
from edge.record.letting_go import NEWEST_KEPT, WITH_OWN_NUMBERS, find_unsent, forget_history, forget_settled
from edge.record.recorder import Recorder
from edge.record.shelf import Shelf

log = structlog.get_logger()
_INSPECTIONS_A_TURN = 32
_PAGES_A_TURN = 32
_EVERY_S = 0.5
_EVERY_WHILE_BUSY_S = 0.05
_TURNS_AT_ONCE = 16
_UNSENT_IN_TURN = (
    (Stream.INSPECTIONS, True),
    (Stream.INSPECTIONS, False),
    (Stream.OUTCOMES, False),
    (Stream.IMAGES, False),
)


class Retention:
    """Looks how much is taken and lets go of what is worth least; for the images' thread.

    A verdict that is being written waits for one turn at most: a few milliseconds.

    Args:
        shelf: the images.
        recorder: the records.
        limits: what all of it may take.
        on_alarm: called with an alarm's name and its reason, empty where it is over.
        sends: whether the station has a cloud at all; without one, records that go are missed by nobody.
    """

    def __init__(
        self,
        shelf: Shelf,
        recorder: Recorder,
        limits: Limits,
        on_alarm: Callable[[str, str], None],
        *,
        sends: bool = True,
    ) -> None:
        self.usage = Usage()
        self.has_room = True
        self._shelf = shelf
        self._recorder = recorder
        self._limits = limits
        self._on_alarm = on_alarm
        self._sends = sends
        self._history = HistorySearch()
        self._unsent_seqs = [0] * len(_UNSENT_IN_TURN)
        self._gives_back = True
        self._fails = False
        self._next_s = 0.0

    def look(self, now_s: float) -> None:
        """Take a turn where it is time for one, or the images have outgrown their budget; to be called often."""
        if now_s >= self._next_s or self._shelf.used_bytes > self._limits.images_bytes:
            self._next_s = now_s + (_EVERY_WHILE_BUSY_S if self.tidy() else _EVERY_S)

    def tidy(self) -> bool:
        """Let go of what one turn takes; True where the next turn should follow soon."""
        try:
            with closing(open_reader(self._recorder.path)) as reader:
                busy = self._let_go(reader)
                self._say_alarms(reader)
        except (StorageError, sqlite3.Error, OSError) as error:
            if not self._fails:
                log.error("cannot look after the disk", why=str(error))
            self._fails = True
            return False
        self._fails = False
        return busy

    def _let_go(self, reader: sqlite3.Connection) -> bool:
        gone: set[Kind] = set()
        for _ in range(_TURNS_AT_ONCE):
            self.usage = self._measure(reader)
            eviction = next_to_go(self.usage, self._limits, gone)
            if eviction is None:
                break
            if not self._evict(reader, eviction):
                gone.add(eviction.kind)
            elif eviction.kind not in IMAGES or self.usage.images_bytes <= self._limits.images_bytes:
                return True  # what a file system frees, it may say a little later
        full = is_short_of_disk(self.usage, self._limits) and gone >= IMAGES
        self.has_room = not full and not is_held_up(self.usage, self._limits)
        return may_give_back(self.usage, self._limits) and self._give_back()

    def _measure(self, reader: sqlite3.Connection) -> Usage:
        page_bytes, pages, unused = (
            int(reader.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("page_size", "page_count", "freelist_count")
        )
        disk = os.statvfs(self._recorder.path.parent)
        usage = Usage(
            images_bytes=self._shelf.used_bytes,
            records_bytes=(pages - unused) * page_bytes,
            reusable_bytes=unused * page_bytes,
            free_bytes=disk.f_bavail * disk.f_frsize,
        )
        if not is_short_of_disk(usage, self._limits):
            return usage
        return replace(usage, held_bytes=held_bytes(self._recorder.path.parent))

    def _evict(self, reader: sqlite3.Connection, eviction: Eviction) -> bool:
        match eviction.kind:
            case Kind.HISTORY:
                return self._forget_history(reader)
            case Kind.UNSENT:
                return self._give_up_unsent(reader)
            case _:
                return self._shelf.evict(reader, eviction)

    def _forget_history(self, reader: sqlite3.Connection) -> bool:
        """Forget the oldest of what the cloud has; False where there is none."""
        for _ in range(_TURNS_AT_ONCE):
            found = self._history.find(reader, _INSPECTIONS_A_TURN)
            if found.seqs:
                self._recorder.write_and_wait(partial(forget_history, seqs=found.seqs))
                return True
            if found.at_end:
                return self._forget_settled(reader)
        return not is_far_over(self.usage, self._limits)

    def _forget_settled(self, reader: sqlite3.Connection) -> bool:
        """Forget the oldest tombstones, or words of people, that the cloud has; False where there is none."""
        counts = read_counts(reader)
        for stream in WITH_OWN_NUMBERS:
            waiting = counts.get(f"outbox:{stream.value}", 0) + counts.get(f"dead:{stream.value}", 0)
            if counts.get(f"records:{stream.value}", 0) > waiting:
                forget = partial(forget_settled, stream=stream, limit=_INSPECTIONS_A_TURN)
                self._recorder.write_and_wait(forget)
                return True
        return False

    def _give_up_unsent(self, reader: sqlite3.Connection) -> bool:
        """Give up the oldest of what the cloud never saw: samples, then good parts first; False where there is none."""
        why = f"the records' budget of {self._limits.records_bytes} bytes is full"
        counts = read_counts(reader)
        if counts.get("outbox:samples", 0) + counts.get("dead:samples", 0):
            self._recorder.give_up_samples(_INSPECTIONS_A_TURN, why, datetime.now(UTC))
            return True
        for turn, (stream, only_good) in enumerate(_UNSENT_IN_TURN):
            found = find_unsent(reader, stream, self._unsent_seqs[turn], _INSPECTIONS_A_TURN, only_good=only_good)
            self._unsent_seqs[turn] = found.looked_to_seq
            if found.seqs:
                self._recorder.give_up(found.seqs, why, datetime.now(UTC))
            if found.seqs or not found.at_end:
                return True
        return False

    def _give_back(self) -> bool:
        """Give unused pages back to the file system; False where a database of an older version cannot."""
        if self._gives_back:
            before = self.usage.reusable_bytes
            self._recorder.write_and_wait(_vacuum)
            with closing(open_reader(self._recorder.path)) as reader:
                self.usage = self._measure(reader)
            self._gives_back = self.usage.reusable_bytes < before
        return self._gives_back

    def _say_alarms(self, reader: sqlite3.Connection) -> None:
        counts = read_counts(reader)
        lost, told = counts.get("lost:inspections", 0), not counts.get("outbox:losses", 0)
        waiting = counts.get("outbox:inspections", 0)
        full = is_filling(self.usage, self._limits) and waiting > NEWEST_KEPT
        self._alarm(
            "verdicts_lost",
            "" if told else f"{lost} verdicts were given up unsent: the records' budget is full, and the cloud away",
        )
        self._alarm(
            "records_filling",
            f"{waiting} verdicts wait for the cloud and nearly fill the records' budget: then the oldest are given up"
            if full
            else "",
        )
        dead = sum(counts_under(counts, "dead").values())
        self._alarm("dead_letters", f"{dead} records cannot be sent: `edge spool status` says why" if dead else "")
        short = is_short_of_disk(self.usage, self._limits)
        self._on_alarm(
            "disk_low",
            f"{self.usage.free_bytes} bytes are free, {self._limits.free_bytes} should be, and nothing is left that "
            "may go: images are dropped until something else on this disk is deleted, or a backup ends"
            if short and not self.has_room
            else "",
        )

    def _alarm(self, name: str, why: str) -> None:
        if self._sends:
            self._on_alarm(name, why)


def _vacuum(connection: sqlite3.Connection) -> None:
    connection.execute(f"PRAGMA incremental_vacuum({_PAGES_A_TURN})").fetchall()
