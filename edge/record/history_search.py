"""Where in a long backlog the records are that the cloud has: found in passes, each turn a bounded step of one."""

import sqlite3
from dataclasses import replace

from edge.record.counts import read_counts
from edge.record.letting_go import Found, find_history


class HistorySearch:
    """Goes through the inspections from the oldest to the newest that may go, and again once more was acknowledged.

    Invariant: what the cloud has is found, wherever in the backlog it lies, before `find` says that it is at the end.
    """

    def __init__(self) -> None:
        self._after_seq = 0
        self._known = 0
        self._at_end = False

    def find(self, reader: sqlite3.Connection, limit: int) -> Found:
        """The next inspections of which the cloud has everything; they must be deleted before it is called again."""
        acknowledged = _acknowledged(reader)
        if self._after_seq == 0 or (self._at_end and acknowledged > self._known):
            self._after_seq, self._known = 0, acknowledged
        found = find_history(reader, self._after_seq, limit)
        self._after_seq, self._at_end = found.looked_to_seq, found.at_end
        self._known -= len(found.seqs)
        return replace(found, at_end=found.at_end and acknowledged - len(found.seqs) <= self._known)


def _acknowledged(reader: sqlite3.Connection) -> int:
    counts = read_counts(reader)
    waiting = counts.get("outbox:inspections", 0) + counts.get("dead:inspections", 0)
    return counts.get("records:inspections", 0) - waiting
