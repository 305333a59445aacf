"""All that is measured of one classifier on one set of images. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.classifier.calibration import (
    Bin,
    Calibration,
    Labels,
    expected_error,
    logits_of,
    probabilities,
    reliability,
)
from models.classifying import Classified
from models.dataset.image_level import GOOD, labels_of
from models.dataset.records import Dataset
from models.evaluate import Estimate, auroc, clopper_pearson, plain, shown
from models.evaluation.scored import Answers
from models.gate import THRESHOLD

_LEAST = 2
_UNFIT = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class ClassExam:
    """N images with what a person says of each: labels (N,), 0 good, k the class k - 1."""

    classes: tuple[str, ...]
    names: tuple[str, ...]
    images: tuple[Path, ...]
    labels: Labels

    def __len__(self) -> int:
        return len(self.images)

    @property
    def defective(self) -> NDArray[np.bool_]:
        """(N,) whether anything is wrong with each."""
        return np.asarray(self.labels != GOOD, np.bool_)


def class_exam(dataset: Dataset) -> ClassExam:
    """The exam that a dataset with whole-image labels is."""
    names, paths = zip(*((image.name, image.path) for image in dataset.images), strict=True)
    return ClassExam(dataset.classes, names, paths, labels_of(dataset))


@dataclass(frozen=True, slots=True, eq=False)
class ClassFigures:
    """The figures.

    Args:
        exam: what was looked at.
        said: what the model said.
        calibration: what is folded into the model, so that the reliability before it can be shown.
        auroc: a defective image scoring above a good one; None without two of each.
        auroc_by_class: images of a class against all others, by name, where both occur.
        accuracy: images that get their own label at the threshold, with its interval.
        balanced_accuracy: the mean over labels of the share that get it.
        confusion: (K + 1, K + 1) rows labelled, columns said; good first.
        escape: share of defective images passed; None without such.
        overkill: share of good images rejected; None without such.
        bins: reliability of the probability of a defect.
        bins_before: the same without calibration.
    """

    exam: ClassExam
    said: Classified
    calibration: Calibration
    auroc: Estimate | None
    auroc_by_class: dict[str, float]
    accuracy: Estimate
    balanced_accuracy: float
    confusion: NDArray[np.int64]
    escape: Estimate | None
    overkill: Estimate | None
    bins: tuple[Bin, ...]
    bins_before: tuple[Bin, ...]

    @property
    def answers(self) -> Answers:
        """What the model said; the line rejects from the threshold on."""
        scores = self.said.frame_scores
        misnamed = np.asarray(said_labels(self.said) != self.exam.labels, np.bool_)
        return Answers(self.exam.images, self.exam.defective, scores, scores >= THRESHOLD, misnamed)

    @property
    def lines(self) -> Sequence[str]:
        """What the command says without `--json`."""
        return (
            f"AUROC {shown(self.auroc)}, accuracy {self.accuracy} on {len(self.exam)} images",
            f"at the threshold: escape {shown(self.escape)}, overkill {shown(self.overkill)}; ECE {self.ece:.4f}",
            *self.notes,
        )

    @property
    def ece(self) -> float:
        """Expected calibration error of the probability of a defect."""
        return expected_error(self.bins)

    @property
    def ece_before(self) -> float:
        """The same without calibration."""
        return expected_error(self.bins_before)

    @property
    def notes(self) -> tuple[str, ...]:
        """What these images could not show."""
        wanting = []
        if self.overkill is None:
            wanting.append("no good images in the set: overkill is not measured")
        if self.escape is None:
            wanting.append("no defective images in the set: escape is not measured")
        seen = set(self.exam.labels.tolist())
        wanting += [
            f"no image of class {name!r} in the set" for k, name in enumerate(self.exam.classes, 1) if k not in seen
        ]
        if self.escape is not None and self.escape.value > _UNFIT:
            wanting.append(f"{self.escape.value:.0%} of the defective images pass at the threshold: not fit for a line")
        return tuple(wanting)

    def as_json(self) -> dict[str, object]:
        """Plain values for `--json`; rates are shares with their 95 % intervals."""
        return {
            "images": len(self.exam),
            "good_images": int((~self.exam.defective).sum()),
            "auroc": plain(self.auroc),
            "auroc_by_class": {name: round(value, 5) for name, value in self.auroc_by_class.items()},
            "accuracy": plain(self.accuracy),
            "balanced_accuracy": round(self.balanced_accuracy, 5),
            "threshold": THRESHOLD,
            "escape": plain(self.escape),
            "overkill": plain(self.overkill),
            "ece": round(self.ece, 5),
            "ece_before_calibration": round(self.ece_before, 5),
            "reliability": [[one.count, round(one.probability, 4), one.defective] for one in self.bins],
            "confusion": {
                "classes": ["good", *self.exam.classes],
                "rows_labelled_columns_said": self.confusion.tolist(),
            },
            "notes": list(self.notes),
        }


def measure(exam: ClassExam, said: Classified, calibration: Calibration) -> ClassFigures:
    """All figures of what a model said of an exam's images, in the same order."""
    bad, rejected = exam.defective, said.frame_scores >= THRESHOLD
    table = confusion(exam.labels, said_labels(said), len(exam.classes))
    shares = np.diag(table)[table.sum(1) > 0] / table.sum(1)[table.sum(1) > 0]
    before = probabilities(calibration.undo(logits_of(said.probabilities.astype(np.float64))))
    return ClassFigures(
        exam,
        said,
        calibration,
        auroc(said.frame_scores[~bad], said.frame_scores[bad]) if _enough(bad) else None,
        _by_class(exam, said),
        clopper_pearson(int(np.trace(table)), len(exam)),
        float(shares.mean()),
        table,
        clopper_pearson(int((~rejected[bad]).sum()), int(bad.sum())) if bad.any() else None,
        clopper_pearson(int(rejected[~bad].sum()), int((~bad).sum())) if not bad.all() else None,
        reliability(1 - said.probabilities[:, GOOD].astype(np.float64), bad),
        reliability(1 - before[:, GOOD], bad),
    )


def said_labels(said: Classified) -> Labels:
    """(N,): the likeliest class where the score reaches the threshold, else good."""
    return np.where(said.frame_scores >= THRESHOLD, 1 + said.scores.argmax(1), GOOD)


def confusion(labels: Labels, said: Labels, classes: int) -> NDArray[np.int64]:
    """(K + 1, K + 1) counts: rows labelled, columns said."""
    table = np.zeros((classes + 1, classes + 1), np.int64)
    np.add.at(table, (labels, said), 1)
    return table


def _by_class(exam: ClassExam, said: Classified) -> dict[str, float]:
    own = {name: exam.labels == index for index, name in enumerate(exam.classes, 1)}
    return {
        name: auroc(said.scores[~mine, index], said.scores[mine, index]).value
        for index, (name, mine) in enumerate(own.items())
        if _enough(mine)
    }


def _enough(mask: NDArray[np.bool_]) -> bool:
    return min(int(mask.sum()), int((~mask).sum())) >= _LEAST
