"""What `cloud train | evaluate | quantize` do for each kind of model, and what they say of it.

A kind is added by a function in each of the three tables. What only one kind needs is imported inside its function.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from models.bundle import open_bundle
from models.dataset.learnable import Division
from models.errors import RequestError
from models.evaluation.job import EvaluationRequest, QuantizationRequest
from models.progress import RichProgress
from models.spec import Kind, Precision


@dataclass(frozen=True, slots=True)
class Said:
    """A command's answer: for `--json`, for people, and whether it is a no (exit code 1)."""

    content: Mapping[str, object]
    lines: Sequence[str]
    no: bool = False


@dataclass(frozen=True, slots=True)
class Wish:
    """What `cloud train` was asked for; fields as in `TrainingRequest`. A kind reads what it knows of."""

    data: Path
    out: Path
    cache: Path
    division: Division
    reference: bool | None
    minutes: float | None
    epochs: int | None
    size_px: int | None
    overkill: float | None = None


Trainer = Callable[[Wish], Said]
Evaluator = Callable[[EvaluationRequest], Said]
Quantizer = Callable[[QuantizationRequest], Said]
_Job = TypeVar("_Job")


def pick(jobs: Mapping[Kind, _Job], bundle: Path, what: str) -> _Job:
    """The job for this bundle's kind.

    Raises:
        ModelError: the bundle does not verify.
        RequestError: there is none for its kind.
    """
    kind = open_bundle(bundle).spec.kind
    if kind not in jobs:
        raise RequestError(f"{bundle} is of kind {kind}, and {what} knows {', '.join(sorted(jobs))}: choose another")
    return jobs[kind]


def promote(request: EvaluationRequest) -> Said:
    """Whether it may take the champion's place, by the rules and limits of a rollout."""
    from models.promotion.limits import PromotionLimits
    from models.promotion.prove import prove

    with RichProgress() as progress:
        proof = prove(
            request.bundle, request.champion, request.data, PromotionLimits(), request.report, progress=progress
        )
    lines = [f"{'met' if one.met else 'NOT MET'}: {one.rule}: {one.text}" for one in proof.reasons]
    return Said(proof.as_json(), [*lines, "may take over" if proof.passed else "may not take over"], not proof.passed)


def _train_detector(wish: Wish) -> Said:
    from models.evaluation.result import shown
    from models.training.job import TrainingRequest, run_job

    with RichProgress() as progress:
        result = run_job(
            TrainingRequest(
                wish.data, wish.out, wish.cache, wish.division, wish.reference, wish.minutes, wish.epochs, wish.size_px
            ),
            progress,
        )
    found, gate = result.detector.evaluation, result.bundle.manifest.gate
    lines = [
        f"bundle {result.bundle.path}: {result.bundle.precision.value}, gate {gate.outcome} ({gate.reason})",
        f"map50 {shown(found.map50)}, pooled_map33 {shown(found.pooled_map33)} on {len(found.exam)} held-out images",
        *found.notes,
        f"report: {result.bundle.path / 'report.html'}",
    ]
    return Said(result.as_json(), lines)


def _probe(wish: Wish) -> Said:
    from models.classifier.job import ProbeRequest, run_probe

    with RichProgress() as progress:
        made = run_probe(ProbeRequest(wish.data, wish.out, wish.division, wish.size_px, wish.overkill), progress)
    return Said(made.as_json(), made.lines)


def _finetune(wish: Wish) -> Said:
    from models.training.finetune.job import FinetuneRequest, run_finetune

    request = FinetuneRequest(wish.data, wish.out, wish.cache, wish.division, wish.minutes, wish.epochs, wish.size_px)
    with RichProgress() as progress:
        made = run_finetune(request, progress)
    return Said(made.as_json(), made.lines)


def _evaluate_detector(request: EvaluationRequest) -> Said:
    from models.evaluation.compare import Answer
    from models.evaluation.job import run_evaluation
    from models.evaluation.result import shown

    with RichProgress() as progress:
        result = run_evaluation(request, progress)
    found, at = result.evaluation, result.evaluation.operating
    lines = [
        (
            f"map50 {shown(found.map50)}, map50_95 {shown(found.map50_95)}, pooled_map33 {shown(found.pooled_map33)} "
            f"on {len(found.exam)} images with {found.exam.boxes} boxes"
        ),
        *(f"{name}: AP50 {value:.4f}" for name, value in found.ap50.items()),
        f"at the threshold: boxes missed {at.missed}, escape {at.escape}, overkill {at.overkill}",
        *result.notes,
    ]
    if result.comparison is not None:
        lines.append(f"against the champion: {result.comparison.answer}, map50 gain {result.comparison.map50_gain}")
    worse = result.comparison is not None and result.comparison.answer is Answer.WORSE
    return Said(result.as_json(), lines, worse)


def _evaluate_classifier(request: EvaluationRequest) -> Said:
    from models.classifier.evaluation import evaluate_classifier

    with RichProgress() as progress:
        result = evaluate_classifier(request, progress)
    return Said(result.as_json(), result.lines, result.worse)


def _quantize_detector(request: QuantizationRequest) -> Said:
    from models.evaluation.job import run_quantization

    with RichProgress() as progress:
        made, detector = run_quantization(request, progress)
    gate, choice = made.manifest.gate, detector.choice
    content: dict[str, object] = {
        "bundle": str(made.path),
        "sha256": made.model_id.sha256,
        "precision": made.precision.value,
        "gate": gate.model_dump(exclude_none=True),
        "speed_ms": {step.value: round(value, 3) for step, value in choice.speed_ms.items()},
        "figures": detector.evaluation.as_json(),
    }
    lines = [f"bundle {made.path}: {made.precision.value}, {gate.outcome}: {gate.reason}"]
    return Said(content, lines, made.precision is not Precision.INT8)


def _quantize_classifier(request: QuantizationRequest) -> Said:
    from models.classifier.evaluation import quantize_classifier

    with RichProgress() as progress:
        made = quantize_classifier(request, progress)
    return Said(made.as_json(), made.lines, made.bundle.precision is not Precision.INT8)


def _train_parts(wish: Wish) -> Said:
    from models.anomaly.job import PartRequest, run_parts

    with RichProgress() as progress:
        made = run_parts(PartRequest(wish.data, wish.out, wish.division, wish.size_px), progress)
    return Said(made.as_json(), made.lines)


def _evaluate_parts(request: EvaluationRequest) -> Said:
    from models.anomaly.evaluation import evaluate_parts

    with RichProgress() as progress:
        result = evaluate_parts(request, progress)
    return Said(result.as_json(), result.lines, result.worse)


def _quantize_parts(request: QuantizationRequest) -> Said:
    from models.anomaly.evaluation import quantize_parts

    with RichProgress() as progress:
        made = quantize_parts(request, progress)
    return Said(made.as_json(), made.lines, made.bundle.precision is not Precision.INT8)


TRAINERS: Mapping[tuple[str, str], Trainer] = {
    ("detector", ""): _train_detector,
    ("classifier", "probe"): _probe,
    ("classifier", "finetune"): _finetune,
    ("anomaly", ""): _train_parts,
}
EVALUATORS: Mapping[Kind, Evaluator] = {
    Kind.DETECTOR: _evaluate_detector,
    Kind.CLASSIFIER: _evaluate_classifier,
    Kind.ANOMALY: _evaluate_parts,
}
QUANTIZERS: Mapping[Kind, Quantizer] = {
    Kind.DETECTOR: _quantize_detector,
    Kind.CLASSIFIER: _quantize_classifier,
    Kind.ANOMALY: _quantize_parts,
}
