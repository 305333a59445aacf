"""How a station stands, in one word, decided from its last words. Pure."""

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum

from cloud_sync.hub.store.overview import StationLine
from cloud_sync.wire.messages import HealthMessage

SILENT_MS = 180_000  # it says how it is once a minute; three that did not come are no accident
UNDECIDED_MOST = 0.05
_LEAST_PARTS = 20


class Word(StrEnum):
    """What is said of a station, the worst first."""

    NOT_READY = "not_ready"
    SILENT = "silent"
    OFFLINE = "offline"
    ALARM = "alarm"
    NEVER = "never"
    READY = "ready"


class Show(StrEnum):
    """Which stations are shown."""

    ALL = "all"
    ATTENTION = "attention"
    OFFLINE = "offline"
    NOT_READY = "not_ready"
    DRIFT = "drift"
    BACKLOG = "backlog"
    QUARANTINE = "quarantine"


class Order(StrEnum):
    """By what they are ordered; of what is bad the most comes first."""

    STATE = "state"
    STATION = "station"
    YIELD = "yield"
    UNDECIDED = "undecided"
    WAITING = "waiting"
    SEEN = "seen"
    PARTS = "parts"


def word_of(line: StationLine, now_ms: int) -> Word:
    """The worst that is true of it; a word of before it was away, or before our clock was set back, says nothing."""
    if line.state is None:
        return Word.NEVER
    if line.state != "online":
        return Word.OFFLINE
    if now_ms - line.last_seen_at_ms > SILENT_MS:
        return Word.SILENT
    if line.health is None or line.health_at_ms is None:
        return Word.NEVER
    if abs(now_ms - line.health_at_ms) > SILENT_MS:
        return Word.SILENT
    return _of_health(line, line.health)


def is_shown(line: StationLine, word: Word, show: Show, text: str) -> bool:
    """Whether it is one of those that are asked for; `text` is part of its id, of a product or of a model."""
    if not _FITS[show](line, word):
        return False
    named = (line.station, *(name for one in line.in_use for name in one)) if text else ()
    return not text or any(text.lower() in name.lower() for name in named)


def undecided_much(line: StationLine) -> bool:
    """Whether so many parts of the last hours were left undecided that somebody should look."""
    last = line.last(2)
    return last.parts >= _LEAST_PARTS and (last.undecided_share or 0) > UNDECIDED_MOST


def ordered(lines: Iterable[StationLine], order: Order, words: Mapping[str, Word]) -> list[StationLine]:
    """By what is asked, and by name where that is the same; who has no figure comes last.

    Args:
        lines: the stations.
        order: by what.
        words: how each stands.
    """

    def key(line: StationLine) -> tuple[float, str]:
        day = line.last(len(line.hours))
        share = {Order.YIELD: day.pass_share, Order.UNDECIDED: day.undecided_share}.get(order)
        match order:
            case Order.YIELD:
                value = 2.0 if share is None else share
            case Order.UNDECIDED:
                value = 1.0 if share is None else -share
            case Order.STATE:
                word = words[line.station]
                value = _BADNESS[word] + (0.0 if is_shown(line, word, Show.ATTENTION, "") else 0.5)
            case Order.WAITING:
                value = -float(line.waiting or 0)
            case Order.SEEN:
                value = float(line.last_seen_at_ms)
            case Order.PARTS:
                value = -float(day.parts)
            case Order.STATION:
                value = 0.0
        return value, line.station

    return sorted(lines, key=key)


def _of_health(line: StationLine, health: HealthMessage) -> Word:
    if not health.ready:
        return Word.NOT_READY
    return Word.ALARM if health.faults or health.alarms or line.drift else Word.READY


_BADNESS = {word: float(number) for number, word in enumerate(Word)}
_FITS: Mapping[Show, Callable[[StationLine, Word], object]] = {
    Show.ALL: lambda _line, _word: True,
    Show.ATTENTION: lambda line, word: word is not Word.READY or line.quarantined or undecided_much(line),
    Show.OFFLINE: lambda _line, word: word in {Word.OFFLINE, Word.SILENT, Word.NEVER},
    Show.NOT_READY: lambda _line, word: word is Word.NOT_READY,
    Show.DRIFT: lambda line, _word: line.drift,
    Show.BACKLOG: lambda line, _word: line.waiting,
    Show.QUARANTINE: lambda line, _word: line.lost or line.quarantined or line.dead_letters,
}
