"""What goes when the disk is short: pure deciding, in the order of what it is worth.

Invariants:
- Nothing goes while a budget holds, and of what is there the least worth goes first.
- What the cloud has never seen of verdicts goes last, and only where the records' own budget is full: never to make
  room for images, nor because somebody else filled the disk. The floor of free disk is the verdicts' reserve.
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import IntEnum

_EVICT_TO = 0.95  # of a budget, so that not every new image costs a turn
_FILLING = 0.8
_MUCH_TOO_LARGE = 1.02
_RESERVE_BYTES = 16 << 20  # of unused pages, which the next verdicts take even where the disk is full


class Kind(IntEnum):
    """What can go, the first first. Uploads are images that wait to be sent, by their value to the cloud."""

    GOOD_IMAGES = 1
    AUDIT_UPLOADS = 2
    HISTORY = 3
    OTHER_IMAGES = 4
    REJECT_UPLOADS = 5
    UNDECIDED_UPLOADS = 6
    SAMPLE_UPLOADS = 7
    OVERRULED_UPLOADS = 8
    UNSENT = 9


RECORDS = frozenset({Kind.HISTORY, Kind.UNSENT})
IMAGES = frozenset(Kind) - RECORDS


@dataclass(frozen=True, slots=True)
class Limits:
    """What a station may take of its disk, in bytes.

    Args:
        images_bytes: for image files.
        records_bytes: for the database.
        free_bytes: what must stay free on the file system, whoever fills it.
    """

    images_bytes: int
    records_bytes: int = 1 << 62
    free_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Usage:
    """What a station takes of its disk, in bytes.

    Args:
        images_bytes: image files.
        records_bytes: pages of the database that hold something.
        reusable_bytes: pages of the database that hold nothing: the next records take them.
        free_bytes: free on the file system.
        held_bytes: of what went already, held by a backup until it ends.
    """

    images_bytes: int = 0
    records_bytes: int = 0
    reusable_bytes: int = 0
    free_bytes: int = 0
    held_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Eviction:
    """What goes next, and how many bytes of it are too many."""

    kind: Kind
    wanted_bytes: int


def next_to_go(usage: Usage, limits: Limits, gone: Collection[Kind]) -> Eviction | None:
    """What goes next; None where every budget holds, or nothing is left that may go.

    Args:
        usage: what is taken now.
        limits: what may be.
        gone: kinds of which nothing is left.
    """
    found = [
        Eviction(kind, wanted_bytes)
        for kinds, wanted_bytes in _wanted(usage, limits)
        if wanted_bytes > 0 and (kind := _least_worth(kinds, gone)) is not None
    ]
    return min(found, key=lambda eviction: (eviction.kind, -eviction.wanted_bytes), default=None)


def is_short_of_disk(usage: Usage, limits: Limits) -> bool:
    """Whether less is free than must be, pages that the next records take counted as free."""
    return usage.free_bytes + usage.reusable_bytes < limits.free_bytes


def is_held_up(usage: Usage, limits: Limits) -> bool:
    """Whether half of what must be free is gone, and a backup holds what would make room: more going would not help."""
    return usage.held_bytes > 0 and usage.free_bytes + usage.reusable_bytes < limits.free_bytes / 2


def may_give_back(usage: Usage, limits: Limits) -> bool:
    """Whether unused pages of the database are worth being given back to the file system."""
    if usage.records_bytes + usage.reusable_bytes > _MUCH_TOO_LARGE * limits.records_bytes:
        return usage.reusable_bytes > 0
    return usage.free_bytes < limits.free_bytes and usage.reusable_bytes > _RESERVE_BYTES


def is_far_over(usage: Usage, limits: Limits) -> bool:
    """Whether records exceed their budget by so much that something must go at once."""
    return usage.records_bytes > _MUCH_TOO_LARGE * limits.records_bytes


def is_filling(usage: Usage, limits: Limits) -> bool:
    """Whether records take so much of their budget that somebody should look before it is full."""
    return usage.records_bytes > _FILLING * limits.records_bytes


def _wanted(usage: Usage, limits: Limits) -> list[tuple[Collection[Kind], int]]:
    images_bytes = usage.images_bytes - int(limits.images_bytes * _EVICT_TO)
    free_bytes = usage.free_bytes + usage.reusable_bytes + usage.held_bytes
    return [
        (IMAGES, images_bytes if usage.images_bytes > limits.images_bytes else 0),
        (RECORDS, usage.records_bytes - limits.records_bytes),
        (frozenset(Kind) - {Kind.UNSENT}, limits.free_bytes - free_bytes),
    ]


def _least_worth(kinds: Collection[Kind], gone: Collection[Kind]) -> Kind | None:
    return min((kind for kind in kinds if kind not in gone), default=None)
