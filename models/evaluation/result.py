"""All that is measured of one model on one set of frames. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from models.detections import Detections
from models.evaluate import plain
from models.evaluation.coco import coco_precision
from models.evaluation.exam import Exam
from models.evaluation.operating import THRESHOLD, Operating, operate
from models.evaluation.precision import Rankings

_UNFIT = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """The figures.

    Args:
        exam: what was looked at.
        found: what the model said.
        rankings: for precision-recall curves and paired tests.
        map50: mean average precision at IoU 0.5 over the classes that occur; NaN, as the two below, without any box.
            Golden references among the frames count for overkill and false detections, not here.
        map50_95: COCO's, mean over IoU 0.5 to 0.95.
        pooled_map33: DeepPCB's pooled measure.
        ap50: by class name.
        operating: at the bundle's threshold.
        undecided: frames that their reference does not explain: nothing was found on them, the line rejects them.
    """

    exam: Exam
    found: tuple[Detections, ...]
    rankings: Rankings
    map50: float
    map50_95: float
    pooled_map33: float
    ap50: dict[str, float]
    operating: Operating
    undecided: tuple[int, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What these frames could not show."""
        absent = [name for name in self.exam.classes if name not in self.ap50]
        wanting = [f"no box of class {name!r} in the set: its precision is not measured" for name in absent]
        if self.operating.overkill is None:
            wanting.append("no good images in the set: overkill is not measured")
        if self.operating.escape is None:
            wanting.append("no defective images in the set: escape is not measured")
        escape = self.operating.escape
        if escape is not None and escape.value > _UNFIT:
            wanting.append(f"{escape.value:.0%} of the defective images pass at the threshold: not fit for a line")
        if self.undecided:
            first = self.exam.names[self.undecided[0]]
            wanting.append(f"{len(self.undecided)} images are UNDECIDED: their reference does not fit; first {first}")
        return tuple(wanting)

    def as_json(self) -> dict[str, object]:
        """Plain values for `--json`; rates are shares with their 95 % intervals."""
        at = self.operating
        names = self.exam.classes
        missed = {names[class_id]: plain(rate) for class_id, rate in at.missed_by_class.items()}
        truths = {names[index]: int(row.sum()) for index, row in enumerate(at.confusion[:-1])}
        per_class = {
            name: {"ap50": round(value, 5), "truths": truths[name], "missed": missed.get(name)}
            for name, value in self.ap50.items()
        }
        return {
            "images": len(self.exam),
            "good_images": self.exam.defective.count(False),
            "golden_images": sum(self.exam.golden),
            "boxes": self.exam.boxes,
            "map50": _known(self.map50),
            "map50_95": _known(self.map50_95),
            "pooled_map33": _known(self.pooled_map33),
            "per_class": per_class,
            "threshold": at.threshold,
            "escape": plain(at.escape),
            "overkill": plain(at.overkill),
            "missed": plain(at.missed) if self.exam.boxes else None,
            "false_detections": at.false,
            "undecided_images": len(self.undecided),
            "confusion": {"classes": [*names, "nothing"], "rows_labelled_columns_detected": at.confusion.tolist()},
            "notes": list(self.notes),
        }


def evaluate(
    exam: Exam, found: Sequence[Detections], undecided: Sequence[int] = (), threshold: float = THRESHOLD
) -> Evaluation:
    """Measure.

    Args:
        exam: frames with truth.
        found: what a model said of them, in the same order.
        undecided: frames that it could not look at.
        threshold: scores from here on count.
    """
    rankings, own = exam.rank(found), exam.images_own
    truths, said = [exam.truths[index] for index in own], [found[index] for index in own]
    ap50 = {exam.classes[class_id]: ranking.average_precision() for class_id, ranking in rankings.classes.items()}
    return Evaluation(
        exam,
        tuple(found),
        rankings,
        rankings.map50(),
        coco_precision(truths, said, exam.classes).map50_95 if exam.boxes else math.nan,
        rankings.pooled_map33(),
        ap50,
        operate(exam.truths, exam.defective, found, len(exam.classes), threshold, undecided),
        tuple(undecided),
    )


def shown(precision: float) -> str:
    """For people: four places, or that there was nothing to measure it by."""
    return "not measured" if math.isnan(precision) else f"{precision:.4f}"


def _known(precision: float) -> float | None:
    return None if math.isnan(precision) else round(precision, 5)
