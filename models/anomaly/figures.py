"""All that is measured of one anomaly model on one set of images. Pure but for the masks, which are read one by one."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from models.dataset.image_level import defect_of
from models.dataset.records import Dataset, LabelledImage
from models.decoding import read_picture
from models.detections import FloatArray
from models.evaluate import Estimate, auroc, clopper_pearson, plain, shown
from models.evaluation.scored import Answers
from models.gate import THRESHOLD
from models.letterbox import Placement, placement
from models.scoring import Scored
from models.spec import InputSpec

_LEAST = 2
_LEVELS = 4096
_UNFIT = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class PartExam:
    """N images with what a person says of each: the name of its defect, empty for a good one."""

    images: tuple[LabelledImage, ...]
    kinds: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files."""
        return tuple(image.path for image in self.images)

    @property
    def defective(self) -> NDArray[np.bool_]:
        """(N,) whether anything is wrong with each."""
        return np.array([bool(kind) for kind in self.kinds], np.bool_)

    def part(self, *, defective: bool) -> "PartExam":
        """Only the defective, or only the good ones, in their order."""
        kept = [index for index, kind in enumerate(self.kinds) if bool(kind) is defective]
        return PartExam(tuple(self.images[i] for i in kept), tuple(self.kinds[i] for i in kept))


def part_exam(dataset: Dataset) -> PartExam:
    """The exam that a dataset is: good images first, then the defective ones."""
    order = sorted(dataset.images, key=lambda image: bool(defect_of(image, dataset)))
    return PartExam(tuple(order), tuple(defect_of(image, dataset) for image in order))


@dataclass(frozen=True, slots=True, eq=False)
class PartFigures:
    """The figures; each is None where these images cannot show it.

    Args:
        exam: what was looked at.
        scored: what the model said.
        auroc: a defective image scoring above a good one.
        auroc_by_kind: of the images of one kind of defect, against the good ones.
        pixel_auroc: a defective pixel above another, over all pixels of images with a mask and of good ones.
        escape: share of defective images that pass at the threshold.
        overkill: share of good images that are rejected.
    """

    exam: PartExam
    scored: Scored
    auroc: Estimate | None
    auroc_by_kind: dict[str, float]
    pixel_auroc: float | None
    escape: Estimate | None
    overkill: Estimate | None

    @property
    def answers(self) -> Answers:
        """What the model said; the line rejects above the threshold."""
        scores = self.scored.scores
        return Answers(self.exam.paths, self.exam.defective, scores, np.asarray(scores > THRESHOLD, np.bool_))

    @property
    def lines(self) -> Sequence[str]:
        """What the command says without `--json`."""
        pixels = "not measured" if self.pixel_auroc is None else f"{self.pixel_auroc:.4f}"
        return (
            f"AUROC {shown(self.auroc)}, of pixels {pixels}, on {len(self.exam)} images",
            *(f"{kind}: AUROC {value:.4f}" for kind, value in self.auroc_by_kind.items()),
            f"at the threshold: escape {shown(self.escape)}, overkill {shown(self.overkill)}",
            *self.notes,
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What these images could not show."""
        wanting = []
        if self.escape is None:
            wanting.append("no defective images in the set: escape is not measured")
        if self.overkill is None:
            wanting.append("no good images in the set: overkill is not measured")
        if self.escape is not None and self.escape.value > _UNFIT:
            wanting.append(f"{self.escape.value:.0%} of the defective images pass at the threshold: not fit for a line")
        return tuple(wanting)

    def as_json(self) -> dict[str, object]:
        """Plain values for `--json`; rates are shares with their 95 % intervals."""
        bad = self.exam.defective
        return {
            "images": len(self.exam),
            "good_images": int((~bad).sum()),
            "auroc": plain(self.auroc),
            "auroc_by_kind": {name: round(value, 5) for name, value in self.auroc_by_kind.items()},
            "pixel_auroc": None if self.pixel_auroc is None else round(self.pixel_auroc, 5),
            "threshold": THRESHOLD,
            "escape": plain(self.escape),
            "overkill": plain(self.overkill),
            "notes": list(self.notes),
        }


def measure(exam: PartExam, scored: Scored, spec: InputSpec) -> PartFigures:
    """All figures of what a model with this input said of an exam's images, in the same order."""
    bad, rejected = exam.defective, scored.scores > THRESHOLD
    good_scores = scored.scores[~bad]
    both = min(int(bad.sum()), len(good_scores)) >= _LEAST
    kinds = {kind: np.array([own == kind for own in exam.kinds]) for kind in sorted(set(exam.kinds) - {""})}
    enough = {kind: mine for kind, mine in kinds.items() if both and mine.sum() >= _LEAST}
    return PartFigures(
        exam,
        scored,
        auroc(good_scores, scored.scores[bad]) if both else None,
        {kind: auroc(good_scores, scored.scores[mine]).value for kind, mine in enough.items()},
        pixel_auroc(exam, scored, spec),
        clopper_pearson(int((~rejected[bad]).sum()), int(bad.sum())) if bad.any() else None,
        clopper_pearson(int(rejected[~bad].sum()), len(good_scores)) if not bad.all() else None,
    )


def pixel_auroc(exam: PartExam, scored: Scored, spec: InputSpec) -> float | None:
    """How often a pixel inside a mask lies above one outside any, ties counting half; None without a marked pixel.

    Each map is enlarged to its image, as regions on the line are. Values are counted in 4,096 levels, so that the
    pixels of thousands of images need no sorting; what that rounds is far below what counts.
    """
    inside, outside = np.zeros(_LEVELS, np.int64), np.zeros(_LEVELS, np.int64)
    for index, (image, kind) in enumerate(zip(exam.images, exam.kinds, strict=True)):
        marked = _marked(image, kind)
        if marked is None:
            continue
        levels = np.clip(on_image(scored, index, image, spec) * _LEVELS, 0, _LEVELS - 1).astype(np.int64)
        inside += np.bincount(levels[marked], minlength=_LEVELS)
        outside += np.bincount(levels[~marked], minlength=_LEVELS)
    if not inside.sum() or not outside.sum():
        return None
    below = np.cumsum(outside) - outside / 2
    return float((inside * below).sum() / (float(inside.sum()) * float(outside.sum())))


def _marked(image: LabelledImage, kind: str) -> NDArray[np.bool_] | None:
    """(height, width) which pixels are marked as defective; None where nobody has marked a defective image."""
    if not kind:
        return np.zeros((image.height, image.width), np.bool_)
    if image.mask is None:
        return None
    mask = read_picture(image.mask, cv2.IMREAD_GRAYSCALE)
    return None if mask is None or not mask.any() else np.asarray(mask > 0, np.bool_)


def on_image(scored: Scored, index: int, image: LabelledImage, spec: InputSpec) -> FloatArray:
    """One of the maps on its image's own pixels, (height, width)."""
    place = (scored.places[index] if scored.places else None) or placement(image.width, image.height, spec)
    whole = cv2.resize(scored.maps[index], (spec.width, spec.height), interpolation=cv2.INTER_LINEAR)
    own = whole[place.top : place.top + place.height, place.left : place.left + place.width]
    return _unlaid(own, place)


def _unlaid(own: FloatArray, place: Placement) -> FloatArray:
    size = place.frame_width, place.frame_height
    if place.to_frame is None:
        return np.asarray(cv2.resize(own, size, interpolation=cv2.INTER_LINEAR), np.float32)
    return np.asarray(cv2.warpAffine(own, np.array(place.to_frame), size, borderMode=cv2.BORDER_REPLICATE), np.float32)
