"""Files in blocks: which are there, which are missing, and whether the whole is what its name says. Pure.

- A span is [first, end) in bytes; a file's blocks begin at multiples of 32 KiB, only the last one is shorter.
- A file is named by its sha256, so that whoever holds all of it can tell whether it is whole.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.messages import BLOCK_BYTES


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Bytes of a file from `first` up to, not including, `end`."""

    first: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.first < self.end:
            raise LinkError(f"a span holds one byte at least, got {self.first} to {self.end}")


def merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    """The fewest spans that hold exactly these bytes, ascending; overlaps, repeats and order do not matter."""
    whole: list[Span] = []
    for span in sorted(spans):
        if whole and span.first <= whole[-1].end:
            whole[-1] = Span(whole[-1].first, max(whole[-1].end, span.end))
        else:
            whole.append(span)
    return tuple(whole)


def block_at(offset: int, size_bytes: int) -> Span:
    """The block that begins at `offset` in a file of this size. Raises LinkError where none does."""
    if offset % BLOCK_BYTES or not 0 <= offset < size_bytes:
        raise LinkError(f"blocks begin at multiples of {BLOCK_BYTES} below {size_bytes}, got {offset}")
    return Span(offset, min(offset + BLOCK_BYTES, size_bytes))


def checked_block(offset: int, length_bytes: int, size_bytes: int) -> Span:
    """The block at `offset`, if that is how long it is. Raises LinkError."""
    span = block_at(offset, size_bytes)
    if span.end - span.first != length_bytes:
        raise LinkError(
            f"expected {span.end - span.first} bytes at {offset} of a file of {size_bytes}, got {length_bytes}"
        )
    return span


def first_missing(held: Iterable[Span], size_bytes: int) -> Span | None:
    """The first block that is not wholly held; None where the file is complete."""
    end = 0
    for span in merged(held):
        if span.first > end:
            break
        end = span.end
    start = end - end % BLOCK_BYTES  # a block that is held in part is sent again
    return block_at(start, size_bytes) if end < size_bytes else None


def covers(held: Iterable[Span], wanted: Span) -> bool:
    """Whether all of `wanted` is held."""
    return any(span.first <= wanted.first and wanted.end <= span.end for span in merged(held))


def spans_of(offsets: Iterable[int], size_bytes: int) -> tuple[Span, ...]:
    """What the blocks at these offsets hold together. Raises LinkError where one is none."""
    return merged(block_at(offset, size_bytes) for offset in offsets)


def is_whole(content: Iterable[bytes | memoryview], size_bytes: int, sha256: str) -> bool:
    """Whether these pieces, in their order, are a file's whole content."""
    digest, total = hashlib.sha256(), 0
    for piece in content:
        digest.update(piece)
        total += len(piece)
    return total == size_bytes and digest.hexdigest() == sha256
