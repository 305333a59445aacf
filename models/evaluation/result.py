"""All that is measured of one model on one set of frames. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from models.detections import Detections
from models.evaluate import Estimate
from models.evaluation.coco import coco_precision
from models.evaluation.exam import Exam
from models.evaluation.operating import THRESHOLD, Operating, operate
from models.evaluation.precision import Rankings, rank


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """The figures.

    Args:
        exam: what was looked at.
        found: what the model said.
        rankings: for precision-recall curves and paired tests.
        map50: mean average precision at IoU 0.5 over the classes that occur.
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
        if self.undecided:
            first = self.exam.names[self.undecided[0]]
            wanting.append(f"{len(self.undecided)} images are UNDECIDED: their reference does not fit; first {first}")
        return tuple(wanting)

    def as_json(self) -> dict[str, object]:
        """Plain values for `--json`; rates are shares with their 95 % intervals."""
        at = self.operating
        names = self.exam.classes
        missed = {names[class_id]: _plain(rate) for class_id, rate in at.missed_by_class.items()}
        truths = {names[index]: int(row.sum()) for index, row in enumerate(at.confusion[:-1])}
        per_class = {
            name: {"ap50": round(value, 5), "truths": truths[name], "missed": missed.get(name)}
            for name, value in self.ap50.items()
        }
        return {
            "images": len(self.exam),
            "good_images": self.exam.defective.count(False),
            "boxes": self.exam.boxes,
            "map50": round(self.map50, 5),
            "map50_95": round(self.map50_95, 5),
            "pooled_map33": round(self.pooled_map33, 5),
            "per_class": per_class,
            "threshold": at.threshold,
            "escape": _plain(at.escape),
            "overkill": _plain(at.overkill),
            "missed": _plain(at.missed),
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

    Raises:
        ModelError: no labelled box in the whole set.
    """
    rankings = rank(exam.truths, found)
    ap50 = {exam.classes[class_id]: ranking.average_precision() for class_id, ranking in rankings.classes.items()}
    return Evaluation(
        exam,
        tuple(found),
        rankings,
        rankings.map50(),
        coco_precision(exam.truths, found, exam.classes).map50_95,
        rankings.pooled_map33(),
        ap50,
        operate(exam.truths, exam.defective, found, len(exam.classes), threshold, undecided),
        tuple(undecided),
    )


def _plain(rate: Estimate | None) -> dict[str, float] | None:
    if rate is None:
        return None
    return {"value": round(rate.value, 5), "low": round(rate.low, 5), "high": round(rate.high, 5)}
