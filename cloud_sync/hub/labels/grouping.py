"""What belongs together among a store's images: near-twins, equal pictures, one part, one group of an import."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.near_twins import thumbnail_groups

_PARTS_MOST = 8  # a part id that more inspections bear is no part's: a counter that began anew, or a constant


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What an image looks like, and whose it is.

    Args:
        sample: its id.
        inspection: the identity of its inspection; "" of an imported one.
        part: station and part id; "" of an imported one.
        belongs: the group that its data set says; "" where it says none.
        picture: the sha256 of its pixels.
        thumbnail: as `models.near_twins.thumbnail` gives.
    """

    sample: str
    inspection: str
    part: str
    belongs: str
    picture: str
    thumbnail: NDArray[np.float32]


def group_images(looks: Sequence[Look]) -> dict[str, str]:
    """A group by sample: the smallest id in it."""
    ordered = sorted(looks, key=lambda look: look.sample)
    parts = Counter(look.part for look in ordered)
    marks = [
        [f"twin {twin}", f"picture {look.picture}", *_marks(look, parts[look.part])]
        for look, twin in zip(ordered, thumbnail_groups([look.thumbnail for look in ordered]), strict=True)
    ]
    return dict(zip((look.sample for look in ordered), _joined(ordered, marks), strict=True))


def _marks(look: Look, inspections: int) -> list[str]:
    found = [f"inspection {look.inspection}"] if look.inspection else []
    found += [f"part {look.part}"] if look.part and inspections <= _PARTS_MOST else []
    return [*found, *([f"belongs {look.belongs}"] if look.belongs else [])]


def _joined(ordered: Sequence[Look], marks: Iterable[Sequence[str]]) -> list[str]:
    """Whoever shares a mark shares a group, also through others."""
    above: dict[str, str] = {}
    first: dict[str, str] = {}
    for look, own in zip(ordered, marks, strict=True):
        for mark in own:
            one, other = _root(above, look.sample), _root(above, first.setdefault(mark, look.sample))
            if one != other:
                above[max(one, other)] = min(one, other)
    return [_root(above, look.sample) for look in ordered]


def _root(above: dict[str, str], sample: str) -> str:
    while sample in above:
        sample = above[sample]
    return sample
