"""Which frame is used for what: four parts that never share a frame, nor a near-twin of one. Pure."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.errors import RequestError

FRAMES_MIN = 40
GROUPS_MIN = 20
_QUANTIZATION_SHARE, _QUANTIZATION_MAX = 0.07, 100
_RANGES_SHARE = 0.25
_GATE_SHARE, _GATE_MAX = 0.2, 300
_THRESHOLD_SHARE, _THRESHOLD_SHARE_MAX = 0.35, 0.45
_TWINS_ALLOWANCE = 1.2
Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Indices of frames by use; `twins` are left out because their part holds a near-twin of theirs already."""

    learn: Indices
    quantization: Indices
    threshold: Indices
    gate: Indices
    twins: Indices

    def sizes(self) -> dict[str, int]:
        """How many frames each part holds."""
        return {name: len(getattr(self, name)) for name in ("learn", "quantization", "threshold", "gate", "twins")}


def split(groups: Indices, wanted_for_threshold: int, seed: int) -> Split:
    """Deal whole groups of near-twins to the four uses, the same for the same seed.

    Threshold gets 35 % of the frames, up to 45 % where its proof needs that; gate 20 %, quantization 7 %, learning the
    rest. Threshold and gate keep one frame of each group, because a proof counts independent parts.

    Args:
        groups: (N,) group number per frame.
        wanted_for_threshold: how many held-out parts prove the target rate.
        seed: of the dealing.

    Raises:
        RequestError: fewer than 40 frames or 20 groups.
    """
    count, numbers = len(groups), np.unique(groups)
    _check_enough(groups)
    names = _deal(groups, np.random.default_rng(seed).permutation(numbers), _quotas(count, wanted_for_threshold))
    threshold, twins_a = _one_of_each(groups, names["threshold"])
    gate, twins_b = _one_of_each(groups, names["gate"])
    return Split(names["learn"], names["quantization"], threshold, gate, np.sort(np.concatenate([twins_a, twins_b])))


def split_ranges(groups: Indices, seed: int) -> tuple[Indices, Indices]:
    """Frames to learn the ranges of INT8 from, and all others; no frame has a near-twin on the other side.

    Args:
        groups: (N,) group number per frame.
        seed: of the dealing.

    Raises:
        RequestError: fewer than 40 frames or 20 groups.
    """
    _check_enough(groups)
    ranges = min(_QUANTIZATION_MAX, round(_RANGES_SHARE * len(groups)))
    order = np.random.default_rng(seed).permutation(np.unique(groups))
    dealt = _deal(groups, order, {"ranges": ranges, "rest": len(groups) - ranges})
    return dealt["ranges"], dealt["rest"]


def frames_for(parts: int) -> int:
    """The fewest frames, no two of one part, of which so many are held out for the threshold."""
    return max(FRAMES_MIN, math.ceil(parts / _THRESHOLD_SHARE_MAX))


def _check_enough(groups: Indices) -> None:
    count, parts = len(groups), len(np.unique(groups))
    if count < FRAMES_MIN or parts < GROUPS_MIN:
        raise RequestError(
            f"calibrate: {count} usable frames of {parts} distinct parts; needs {FRAMES_MIN} frames of "
            f"{GROUPS_MIN} parts or more: grab more good parts"
        )


def _quotas(count: int, wanted_for_threshold: int) -> dict[str, int]:
    threshold = max(
        _THRESHOLD_SHARE * count, min(_TWINS_ALLOWANCE * wanted_for_threshold, _THRESHOLD_SHARE_MAX * count)
    )
    held_out = {
        "quantization": min(_QUANTIZATION_MAX, round(count * _QUANTIZATION_SHARE)),
        "gate": min(_GATE_MAX, round(count * _GATE_SHARE)),
        "threshold": round(threshold),
    }
    return {**held_out, "learn": count - sum(held_out.values())}


def _deal(groups: Indices, order: Indices, quotas: dict[str, int]) -> dict[str, Indices]:
    """Each group goes, in this order, to the use that lacks the largest share of its quota."""
    dealt: dict[str, list[int]] = {name: [] for name in quotas}
    for number in order:
        poorest = max(quotas, key=lambda name: 1 - len(dealt[name]) / quotas[name])
        dealt[poorest] += np.flatnonzero(groups == number).tolist()
    return {name: np.array(sorted(indices), np.int64) for name, indices in dealt.items()}


def _one_of_each(groups: Indices, indices: Indices) -> tuple[Indices, Indices]:
    _, first = np.unique(groups[indices], return_index=True)
    return np.sort(indices[first]), np.delete(indices, first)
