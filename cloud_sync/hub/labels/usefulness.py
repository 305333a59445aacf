"""How much a sample is worth a person's look: pure.

Each reason is a bit, the better reason the higher one; so a sample with two reasons stands before one with the better
of them alone, and never before a better reason. Samples of one number are a heap: the newest lies on top.
"""

from collections.abc import Iterable
from typing import Any

# What people already doubted comes first, then what the model doubts, then what is new to it, then the random audit.
ORDER = ("overruled", "disagreement", "uncertain", "candidate", "novel", "audit", "imported")
BITS = {reason: 1 << place for place, reason in enumerate(reversed(ORDER))}
HIGHEST = (1 << len(ORDER)) - 1


def usefulness_of(reasons: Iterable[str]) -> int:
    """The number that its heap has; a reason that nobody knows counts nothing."""
    found = 0
    for reason in reasons:
        found |= BITS.get(reason, 0)
    return found


def class_proposed(proposal: Any) -> str:  # noqa: ANN401 - JSON that a station wrote
    """The class of the best detection in what a model said, as its record has it; "" where it found nothing."""
    found = (proposal or {}).get("detections") or []
    best = max(found, key=lambda each: each["score"], default=None)
    return "" if best is None else str(best["label"])[:128]
