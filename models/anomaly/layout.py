"""How good parts lie beside each other, whether to lay them on a reference before learning, and on which.

One frame that is like the others is chosen, or the product's own picture is taken; frames are laid on it and their
mean is the reference. A mean shows what all parts share: of solar cells, single ones are alike by .74, each and
the mean by .96, so where a part lies is told by the product and not by one part's own stains.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from models.errors import AlignmentError, RequestError
from models.letterbox import Image
from models.pose import Pose
from models.registration import RIGID, Fit, Matrix, Registration
from models.scoring import read_image
from models.spec import Alignment, InputSpec

_FARTHEST = 0.12
_CANDIDATES, _PROBES, _AVERAGED, _SURVEYED = 4, 12, 40, 80
_ROUNDS = 2
_AS_GOOD = 0.01
_LEAST_ALIKE = 0.5
_LIKENESS_ROOM, _LOWEST, _HIGHEST = 0.5, 0.3, 0.6
_SHIFT_ROOM, _SHIFT_LEAST = 1.25, 0.01
_FEW, _MOST = 0.05, 0.95
_MATTERS, _GAIN = 0.01, 0.02
_FEWEST = 5
ADVICE = ": calibrate with --align"
Item = TypeVar("Item")


class Worth(StrEnum):
    """Whether laying frames on a reference is worth it."""

    NEEDED = "needed"
    NOT_NEEDED = "not needed"
    OF_NO_USE = "of no use"


@dataclass(frozen=True, slots=True)
class Judgement:
    """An answer and its reason, in words for a person.

    Args:
        worth: the answer.
        why: a sentence.
        limits: what frames must keep to once they are laid on the reference.
    """

    worth: Worth
    why: str
    limits: Alignment


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """How frames lie on a reference.

    Args:
        reference: (H, W, 3) uint8 BGR.
        judgement: whether to use it.
        fits: of the frames that were measured, in their order.
        misfits: frames that do not keep to the limits, and why; looked for among all frames where laying is of use.
    """

    reference: Image
    judgement: Judgement
    fits: tuple[Fit, ...]
    misfits: tuple[tuple[Path, str], ...]

    def pose(self, spec: InputSpec) -> Pose:
        """Lays frames on the reference.

        Raises:
            RequestError: the frames cannot be laid on each other.
        """
        if self.judgement.worth is Worth.OF_NO_USE:
            raise RequestError(f"align: {self.judgement.why}")
        return Pose(self.reference, self.judgement.limits, spec)

    def as_json(self) -> dict[str, object]:
        """Plain values for `--json`; distances in pixels of the reference."""
        limits, far = self.judgement.limits, [fit.farthest_px for fit in self.fits]
        return {
            "worth": self.judgement.worth.value,
            "why": self.judgement.why,
            "measured": len(self.fits),
            "farthest_px": {"median": round(float(np.median(far)), 2), "most": round(max(far), 2)},
            "correlation": {
                "as_they_come": round(float(np.median([fit.before for fit in self.fits])), 4),
                "laid": round(float(np.median([fit.correlation for fit in self.fits])), 4),
            },
            "max_shift_px": round(limits.max_shift_px, 2),
            "min_correlation": round(limits.min_correlation, 4),
            "misaligned": [path.name for path, _ in self.misfits],
        }


def survey(frames: Sequence[Path], golden: Image | None = None, advance: Callable[[], None] | None = None) -> Layout:
    """Measure how good parts lie; the same answer for the same frames.

    Args:
        frames: of good parts; where there are many, 80 of them are measured.
        golden: the product's own picture, (H, W, 3) uint8 BGR; None: a frame that is like the others.
        advance: called once per frame that is looked at in the end.

    Raises:
        RequestError: there are fewer than five frames.
        ModelError: a frame cannot be read.
    """
    if len(frames) < _FEWEST:
        raise RequestError(f"align: {len(frames)} frames, expected {_FEWEST} or more: give more good parts")
    pictures = [read_image(path) for path in _spread(frames, _SURVEYED)]
    first = _most_like(pictures) if golden is None else golden
    reference = _mean_on(first, _spread(pictures, _AVERAGED))
    registration = _widely(reference)
    fits = tuple(registration.fit(picture) for picture in pictures)
    judgement = judge_layout(fits, max(reference.shape[:2]))
    useful = judgement.worth is not Worth.OF_NO_USE
    misfits = _misfits(frames, Pose(reference, judgement.limits, _ANY), advance) if useful else ()
    return Layout(reference, judgement, fits, misfits)


def judge_layout(fits: Sequence[Fit], side_px: int) -> Judgement:
    """Whether parts that lie so should be laid on each other. Pure.

    Args:
        fits: of good parts on one reference, found within an eighth of its side.
        side_px: the reference's longer side.
    """
    alike, before = (np.array([getattr(fit, name) for fit in fits]) for name in ("correlation", "before"))
    limits = _limits(fits, alike, side_px)
    far = np.array([fit.farthest_px for fit in fits])
    if (low := float(np.quantile(alike, _FEW))) < _LEAST_ALIKE:
        why = (
            f"parts cannot be laid on each other: one in twenty is like their mean by {low:.2f} or less, expected "
            f"{_LEAST_ALIKE:g}: they look too different, lie more than {_FARTHEST:.0%} of the picture apart, or turn"
        )
        return Judgement(Worth.OF_NO_USE, why, limits)
    most, gain = float(np.quantile(far, _MOST)), float(np.quantile(alike - before, _MOST))
    if most <= _MATTERS * side_px or gain <= _GAIN:
        why = f"parts lie alike, within {most:.1f} px: they need not be laid on each other"
        return Judgement(Worth.NOT_NEEDED, why, limits)
    why = (
        f"parts lie up to {most:.0f} px apart and are alike by {np.median(before):.2f} as they come, by "
        f"{np.median(alike):.2f} laid on each other{ADVICE}"
    )
    return Judgement(Worth.NEEDED, why, limits)


def _limits(fits: Sequence[Fit], alike: NDArray[np.float64], side_px: int) -> Alignment:
    """What nearly all of these frames keep to, with room; never so alike that a defect would be a misfit."""
    least = float(np.quantile(alike, 0.01))
    correlation = float(np.clip(least - _LIKENESS_ROOM * (1 - least), _LOWEST, _HIGHEST))
    far = max((fit.farthest_px for fit in fits if fit.correlation >= correlation), default=0.0)
    return Alignment(min(_SHIFT_ROOM * far + _SHIFT_LEAST * side_px, _FARTHEST * side_px), correlation)


def _widely(reference: Image) -> Registration:
    return Registration(reference, _FARTHEST * max(reference.shape[:2]), RIGID)


def _most_like(pictures: Sequence[Image]) -> Image:
    """The picture that most others can be laid on; of such that are as good, the one they lie about."""
    probes = _spread(pictures, _PROBES)
    tried = []
    for candidate in _spread(pictures, _CANDIDATES):
        registration = _widely(candidate)
        fits = [registration.fit(probe) for probe in probes]
        middle = np.hypot(*np.median([fit.shift_px for fit in fits], axis=0))
        tried.append((float(np.median([fit.correlation for fit in fits])), float(middle), candidate))
    best = max(alike for alike, _, _ in tried)
    return min((one for one in tried if one[0] >= best - _AS_GOOD), key=lambda one: one[1])[2]


def _mean_on(first: Image, pictures: Sequence[Image]) -> Image:
    """The mean of pictures laid on the first, and again on that mean, as most of them lie; the unlike are left out."""
    reference = first
    for _ in range(_ROUNDS):
        registration, size = _widely(reference), (reference.shape[1], reference.shape[0])
        fits = [registration.fit(picture) for picture in pictures]
        usual = float(np.median([fit.correlation for fit in fits]))
        total = np.zeros(reference.shape, np.float32)
        used = [pair for pair in zip(pictures, fits, strict=True) if pair[1].correlation >= usual * (1 - _FEW)]
        most = np.vstack([np.median([fit.matrix for _, fit in used], axis=0), [0, 0, 1]])
        for picture, fit in used:
            total += _laid(picture, fit.matrix @ np.linalg.inv(most), size)
        reference = np.asarray(np.round(total / len(used)), np.uint8)
    return reference


def _laid(picture: Image, matrix: Matrix, size: tuple[int, int]) -> Image:
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    sized = cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.warpAffine(sized, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _misfits(frames: Sequence[Path], pose: Pose, advance: Callable[[], None] | None) -> tuple[tuple[Path, str], ...]:
    found = []
    for path in frames:
        try:
            pose.place(read_image(path))
        except AlignmentError as misfit:
            found.append((path, str(misfit)))
        if advance:
            advance()
    return tuple(found)


_ANY = InputSpec("image", 1, 1)


def _spread(items: Sequence[Item], most: int) -> list[Item]:
    """So many of them at most, evenly."""
    count = min(most, len(items))
    return [items[index * len(items) // count] for index in range(count)]
