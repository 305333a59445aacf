"""Dead letters into the database, each once, and no more in an hour than one station may fill."""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from cloud_sync.hub.store.entries import DeadLetter, storable
from cloud_sync.hub.store.tables import dead_letter_hours, dead_letters
from cloud_sync.wire.records import content_hash

LETTERS_PER_HOUR = 4000
LETTER_BYTES_PER_HOUR = 8 * 1024 * 1024

_PAYLOAD_KEPT_BYTES = 64 * 1024
_ROW_BYTES = 200  # what a row costs beside its payload
_TEXT_KEPT = 300
_DIGESTS_PER_QUERY = 500  # a query has few thousand parameters at most: one that has more would fail for ever
_HOUR_MS = 3_600_000
_ADD = sa.text(
    "INSERT INTO dead_letters (sha256, station, topic, reason, payload, received_at_ms)"
    " VALUES (:sha256, :station, :topic, :reason, :payload, :at_ms) ON CONFLICT DO NOTHING"
)
_COUNT = sa.text(
    "INSERT INTO dead_letter_hours (station, hour, kept, kept_bytes, dropped)"
    " VALUES (:station, :hour, :kept, :kept_bytes, :dropped)"
    " ON CONFLICT (station, hour) DO UPDATE SET kept = dead_letter_hours.kept + excluded.kept,"
    " kept_bytes = dead_letter_hours.kept_bytes + excluded.kept_bytes,"
    " dropped = dead_letter_hours.dropped + excluded.dropped"
)


@dataclass(slots=True)
class _Hour:
    """What one station has sent in this hour, and what of it this transaction adds."""

    kept: int
    kept_bytes: int
    more: int = 0
    more_bytes: int = 0
    dropped: int = 0

    def takes(self, size_bytes: int) -> bool:
        """Count one more; False if it is one too many."""
        has_room = self.kept + self.more < LETTERS_PER_HOUR
        if not has_room or self.kept_bytes + self.more_bytes + size_bytes > LETTER_BYTES_PER_HOUR:
            self.dropped += 1
            return False
        self.more += 1
        self.more_bytes += size_bytes
        return True


def keep_letters(connection: sa.Connection, letters: Sequence[DeadLetter], at_ms: int) -> list[DeadLetter]:
    """Keep those that are not there yet and have room in this hour; says which were dropped."""
    if not letters:
        return []
    named = {_digest(letter): letter for letter in letters}
    known = _known(connection, sorted(named))
    hours: dict[str, _Hour] = {}
    dropped: list[DeadLetter] = []
    rows: list[dict[str, object]] = []
    for digest in sorted(named.keys() - known):
        letter = named[digest]
        row = _row(letter, digest, at_ms)
        hour = _hour_of(connection, hours, letter.station or "", at_ms)
        if hour.takes(len(letter.payload) + _ROW_BYTES):
            rows.append(row)
        else:
            dropped.append(letter)
    if rows:
        connection.execute(_ADD, rows)
    _count(connection, hours, at_ms)
    return dropped


def _known(connection: sa.Connection, digests: Sequence[str]) -> set[str]:
    """Which of these are there."""
    known: set[str] = set()
    column = dead_letters.c.sha256
    for start in range(0, len(digests), _DIGESTS_PER_QUERY):
        some = digests[start : start + _DIGESTS_PER_QUERY]
        known.update(connection.scalars(sa.select(column).where(column.in_(some))))
    return known


def _hour_of(connection: sa.Connection, hours: dict[str, _Hour], station: str, at_ms: int) -> _Hour:
    if station not in hours:
        table = dead_letter_hours.c
        query = sa.select(table.kept, table.kept_bytes).where(table.station == station, table.hour == at_ms // _HOUR_MS)
        found = connection.execute(query).one_or_none()
        hours[station] = _Hour(*found) if found else _Hour(0, 0)
    return hours[station]


def _count(connection: sa.Connection, hours: dict[str, _Hour], at_ms: int) -> None:
    rows = [
        {
            "station": station,
            "hour": at_ms // _HOUR_MS,
            "kept": hours[station].more,
            "kept_bytes": hours[station].more_bytes,
            "dropped": hours[station].dropped,
        }
        for station in sorted(hours)
    ]
    if rows:
        connection.execute(_COUNT, rows)


def _digest(letter: DeadLetter) -> str:
    return content_hash(letter.topic.encode() + b"\n" + letter.payload)


def _row(letter: DeadLetter, digest: str, at_ms: int) -> dict[str, object]:
    return {
        "sha256": digest,
        "station": letter.station,
        "topic": _text(letter.topic),
        "reason": _text(letter.reason),
        "payload": letter.payload[:_PAYLOAD_KEPT_BYTES],
        "at_ms": at_ms,
    }


def _text(value: str) -> str:
    return storable(value[:_TEXT_KEPT])
