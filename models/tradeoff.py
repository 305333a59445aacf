"""Escapes against overkill: what labelled defects say of the threshold in use, and of every other one. Pure.

Scores are a model's own, 0.5 being its threshold; a part is rejected from the threshold on. Intervals are those of
Clopper and Pearson, two-sided at 90 %, so that the upper end is what can be claimed with 95 %.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.detections import FloatArray
from models.errors import RequestError
from models.evaluate import Estimate, clopper_pearson, plain
from models.gate import THRESHOLD

ENOUGH_DEFECTS = 20
CONFIDENCE = 0.9
UNKNOWN = (
    "Escapes are NOT known: no labelled defect was given. Painted defects judge the arithmetic of INT8, not how well "
    "real defects are found. Give a folder of defective parts with --defects."
)
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Point:
    """A threshold, and the shares of defective parts that pass and of good ones that are rejected there."""

    threshold: float
    escape: float
    overkill: float


@dataclass(frozen=True, slots=True, eq=False)
class Defects:
    """M labelled defective parts.

    Args:
        names: (M,) of their files.
        kinds: (M,) class of each, empty where folders name none.
        scores: (M,) float32; NaN where a frame could not be judged and is UNDECIDED, which the line rejects.
        passed: (M,) whether each passed.
    """

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    scores: FloatArray
    passed: Flags

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True, slots=True, eq=False)
class TradeOff:
    """Labelled defects beside good parts that nothing was learned from.

    Args:
        defects: with at least one.
        good: (N,) scores of good parts; NaN as for defects.
        rejected: (N,) whether each good one was rejected.
        threshold: in use; where a recipe has rules of its own the point is theirs, and lies near the curve.
    """

    defects: Defects
    good: FloatArray
    rejected: Flags
    threshold: float = THRESHOLD

    @property
    def escape(self) -> Estimate:
        """Share of defective parts that pass."""
        return _rate(self.defects.passed)

    @property
    def overkill(self) -> Estimate:
        """Share of good parts that are rejected."""
        return _rate(self.rejected)

    @property
    def escape_by_kind(self) -> dict[str, Estimate]:
        """The same, by class; nothing where folders name none."""
        kinds = self.defects.kinds
        named = sorted(set(kinds) - {""})
        return {kind: _rate(self.defects.passed[[own == kind for own in kinds]]) for kind in named}

    @property
    def point(self) -> Point:
        """What is in use."""
        return Point(self.threshold, self.escape.value, self.overkill.value)

    @property
    def claim(self) -> str:
        """What may be said, in one or two sentences."""
        missed, count, at_most = int(self.defects.passed.sum()), len(self.defects), self.escape.high
        found = f"{missed} of {count} labelled defective parts pass"
        if count < ENOUGH_DEFECTS:
            return (
                f"Too few defects to claim an escape rate: {found}, so it may be up to {at_most:.0%} "
                f"({_sure():.0%} sure). Give {ENOUGH_DEFECTS} or more."
            )
        return f"{found}: an escape rate of {self.escape.value:.1%}, at most {at_most:.1%} ({_sure():.0%} sure)."

    def curve(self) -> list[Point]:
        """Every threshold that makes a difference, rising: from "all are rejected" to "none is"."""
        bad, good = _sorted(self.defects.scores), _sorted(self.good)
        thresholds = np.unique(np.concatenate([bad, good]))
        known = thresholds[np.isfinite(thresholds)]
        above = np.nextafter(np.float32(known[-1]), np.float32(np.inf)) if len(known) else np.inf
        steps = np.append(known, above)
        escapes = np.searchsorted(bad, steps) / len(bad)
        overkills = (len(good) - np.searchsorted(good, steps)) / len(good)
        return [Point(float(t), float(e), float(o)) for t, e, o in zip(steps, escapes, overkills, strict=True)]

    def at(self, threshold: float) -> Point:
        """What this threshold would bring, if scores alone decided."""
        bad, good = _sorted(self.defects.scores), _sorted(self.good)
        return Point(threshold, float((bad < threshold).mean()), float((good >= threshold).mean()))

    def others(self) -> list[Point]:
        """Other points worth a thought: half the escapes, none of these, half the overkill, none of it.

        A threshold that rejects all good parts, or passes all defects, is not among them.
        """
        curve, here = self.curve(), self.point
        wanted = [
            *(_last(curve, share * here.escape) for share in (0.5, 0.0) if here.escape),
            *(_first(curve, share * here.overkill) for share in (0.5, 0.0) if here.overkill),
        ]
        worth = (point for point in wanted if point is not None and max(point.escape, point.overkill) < 1)
        found = {(point.escape, point.overkill): point for point in worth}
        found.pop((here.escape, here.overkill), None)
        return list(found.values())

    def as_json(self) -> dict[str, object]:
        """Plain values; rates are shares with their 90 % intervals."""
        defects = self.defects
        rows = zip(defects.names, defects.kinds, defects.scores, defects.passed, strict=True)
        return {
            "defects": len(defects),
            "missed": int(defects.passed.sum()),
            "escape": plain(self.escape),
            "escape_by_kind": {kind: plain(rate) for kind, rate in self.escape_by_kind.items()},
            "good": len(self.good),
            "overkill": plain(self.overkill),
            "confidence": CONFIDENCE,
            "claim": self.claim,
            "threshold": self.threshold,
            "curve": [_plain(point) for point in self.curve()],
            "others": [_plain(point) for point in self.others()],
            "parts": [
                {"name": name, "kind": kind, "score": _score(score), "passed": bool(passed)}
                for name, kind, score, passed in rows
            ],
        }


def at_threshold(
    names: Sequence[str], kinds: Sequence[str], scores: FloatArray, good: FloatArray, threshold: float = THRESHOLD
) -> TradeOff:
    """Of a model whose score alone decides.

    Raises:
        RequestError: no defect, no good part, or numbers that differ.
    """
    if not len(scores) or not len(good) or not len(names) == len(kinds) == len(scores):
        raise RequestError(f"trade-off: needs defects and good parts, got {len(scores)} and {len(good)}")
    defects = Defects(tuple(names), tuple(kinds), scores, np.asarray(scores < threshold, np.bool_))
    return TradeOff(defects, good, np.asarray(good >= threshold, np.bool_), threshold)


def in_words(here: Point, other: Point) -> str:
    """What another point would bring, and cost."""
    escape = f"escape {here.escape:.1%} -> {other.escape:.1%}"
    overkill = f"overkill {here.overkill:.1%} -> {other.overkill:.1%}"
    first, second = (escape, overkill) if other.escape < here.escape else (overkill, escape)
    return f"{first} would cost {second}" if _worse(here, other) else f"{first} at {second}"


def _worse(here: Point, other: Point) -> bool:
    return other.escape > here.escape or other.overkill > here.overkill


def _rate(hits: Flags) -> Estimate:
    return clopper_pearson(int(np.count_nonzero(hits)), len(hits), CONFIDENCE)


def _sure() -> float:
    return (1 + CONFIDENCE) / 2


def _sorted(scores: FloatArray) -> NDArray[np.float64]:
    """Rising; what could not be judged lies above everything, because the line rejects it whatever the threshold."""
    return np.sort(np.where(np.isfinite(scores), scores, np.inf).astype(np.float64))


def _last(curve: Sequence[Point], escape: float) -> Point | None:
    """The highest threshold at which no more than this escapes."""
    return max((point for point in curve if point.escape <= escape), key=lambda one: one.threshold, default=None)


def _first(curve: Sequence[Point], overkill: float) -> Point | None:
    """The lowest threshold at which no more than this is rejected."""
    return min((point for point in curve if point.overkill <= overkill), key=lambda one: one.threshold, default=None)


def _plain(point: Point) -> dict[str, float]:
    return {
        "threshold": round(point.threshold, 5),
        "escape": round(point.escape, 5),
        "overkill": round(point.overkill, 5),
    }


def _score(score: np.float32) -> float | None:
    return round(float(score), 5) if np.isfinite(score) else None
