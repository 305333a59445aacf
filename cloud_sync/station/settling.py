"""Acknowledgements made ready for the disk: few commits, and none so large that a verdict's commit waits long. Pure."""

from collections.abc import Iterable, Iterator, Sequence

from cloud_sync.wire.envelopes import Ack
from cloud_sync.wire.outbox import SeqRange, Stream

_LONGEST_CUT = 100_000  # a range of more numbers names no rows one by one: it goes whole


def merged(acks: Sequence[Ack]) -> dict[tuple[Stream, str], list[SeqRange]]:
    """What they settle, by stream and epoch."""
    found: dict[tuple[Stream, str], list[SeqRange]] = {}
    for ack in acks:
        found.setdefault((ack.stream, ack.epoch), []).extend(ack.ranges)
    return found


def cut(ranges: Iterable[SeqRange], most: int) -> Iterator[list[SeqRange]]:
    """The same numbers, in pieces that hold at most `most` of them."""
    piece: list[SeqRange] = []
    room = most
    for part in (part for item in ranges for part in _parts(item, most)):
        size = part.last - part.first + 1
        if piece and size > room:
            yield piece
            piece, room = [], most
        piece.append(part)
        room -= size
    if piece:
        yield piece


def _parts(item: SeqRange, most: int) -> list[SeqRange]:
    if item.last - item.first >= _LONGEST_CUT:
        return [item]
    starts = range(item.first, item.last + 1, most)
    return [SeqRange(first, min(item.last, first + most - 1)) for first in starts]
