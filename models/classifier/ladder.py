"""Which precision a classifier runs in: INT8 if the gate lets it through, whole or in part, else the fastest float.

Ranges are learned from images of the training, the gate judges by held-out ones. Layers are not put back one by one,
and there is no quantization-aware step: where quantizing all but the head costs too much, the parts that are known to
be sensitive (`quantize.ANOMALY_FLOAT`) stay in float, and that is all. Rounding moves all logits a little the same way,
which AUROC does not see and the threshold does: each candidate's logits are first laid on FP32's, by a scale and shifts
that are fitted on images of the training.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from models.classifier.calibration import Floats, logits_of
from models.classifier.figures import ClassExam, said_labels
from models.classifying import Classified, classify_images
from models.compile import compile_graph, cpu_capabilities
from models.evaluate import auroc, auroc_drop
from models.gate import BUDGET, THRESHOLD
from models.labelled_gate import LabelledResult, Measured, Turned, judge_labelled, turned
from models.networks.classes import with_adjusted_logits
from models.progress import Progress
from models.quantize import ANOMALY_FLOAT, DETECTOR_FLOAT, quantize
from models.spec import ModelSpec, Precision
from models.speed import median_ms

METRIC = "auroc"
_SPEED_S = 2.0
_RANGES = 128
_SURE = 8.0


class ClassStep(StrEnum):
    """How a graph came by its precision."""

    FP32 = "fp32"
    PTQ = "ptq"
    PARTIAL = "ptq-partial"
    BF16 = "bf16"


@dataclass(frozen=True, slots=True, eq=False)
class ClassTrial:
    """One step, what it said of the gate's images, and what the gate said of it (nothing, of FP32 itself)."""

    step: ClassStep
    precision: Precision
    graph: ov.Model
    said: Classified
    gate: LabelledResult | None
    seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class ClassChoice:
    """The trial that will run, every trial made with FP32 first, and their milliseconds per frame on this machine."""

    chosen: ClassTrial
    trials: tuple[ClassTrial, ...]
    speed_ms: Mapping[ClassStep, float]


@dataclass(frozen=True, slots=True, eq=False)
class ClassLadder:
    """What the steps need: the model's spec, frames to learn ranges from, and the held-out images to judge by.

    `frames` are also what a candidate's logits are laid on FP32's by. `quantizer` makes an INT8 graph of an FP32 one,
    given frames and what stays in float.
    """

    spec: ModelSpec
    frames: Sequence[NDArray[np.uint8]]
    test: ClassExam
    progress: Progress
    budget: float = BUDGET
    quantizer: Callable[[ov.Model, Sequence[NDArray[np.uint8]], Sequence[str]], ov.Model] = quantize

    def climb(self, graph: ov.Model) -> ClassChoice:
        """The first INT8 graph that the gate lets through; without one, the fastest float graph that it lets through.

        Raises:
            ModelError: the graph is refused, or the images show no defect that could be missed.
        """
        trials = [self._trial(ClassStep.FP32, Precision.FP32, graph)]
        for step, floating in ((ClassStep.PTQ, DETECTOR_FLOAT), (ClassStep.PARTIAL, ANOMALY_FLOAT)):
            started_s = time.monotonic()
            self.progress.stage(f"quantize {step}", 1)
            made = self.quantizer(graph, self.frames[:_RANGES], floating)
            self.progress.advance()
            trial = self._trial(step, Precision.INT8, self._laid_on(made, Precision.INT8, graph), trials[0])
            trials.append(replace(trial, seconds=time.monotonic() - started_s))
            if _allowed(trials[-1]):
                return self._choice([trials[-1]], trials)
        if "BF16" in cpu_capabilities():
            made = self._laid_on(graph, Precision.BF16, graph)
            trials.append(self._trial(ClassStep.BF16, Precision.BF16, made, trials[0]))
        floats = [trials[0], *(trial for trial in trials if trial.step is ClassStep.BF16 and _allowed(trial))]
        return self._choice(floats, trials)

    def _laid_on(self, graph: ov.Model, precision: Precision, fp32: ov.Model) -> ov.Model:
        """The candidate with its logits laid on those of FP32 by least squares."""
        graphs = compile_graph(graph, precision), compile_graph(fp32, Precision.FP32)
        own, aim = (
            logits_of(classify_images(compiled, self.frames, self.spec).probabilities.astype(np.float64))
            for compiled in graphs
        )
        scale, shifts = laid_on(own, aim)
        return with_adjusted_logits(graph, scale, shifts.astype(np.float32))

    def _trial(
        self, step: ClassStep, precision: Precision, graph: ov.Model, fp32: ClassTrial | None = None
    ) -> ClassTrial:
        self.progress.stage(f"judge {step}", len(self.test))
        compiled = compile_graph(graph, precision)
        said = classify_images(compiled, self.test.images, self.spec, self.progress.advance)
        gate = None if fp32 is None else judge_classes(self.test, fp32.said, said, self.budget)
        return ClassTrial(step, precision, graph, said, gate, 0.0)

    def _choice(self, usable: list[ClassTrial], trials: list[ClassTrial]) -> ClassChoice:
        self.progress.stage("measure", len(trials))
        compiled = {str(trial.step): compile_graph(trial.graph, trial.precision) for trial in trials}
        medians = median_ms(compiled, _SPEED_S)
        speed = {trial.step: medians[str(trial.step)] for trial in trials}
        return ClassChoice(min(usable, key=lambda trial: speed[trial.step]), tuple(trials), speed)


def laid_on(own: Floats, aim: Floats) -> tuple[float, Floats]:
    """Scale and shifts (K,) under which logits `own` (N, K) come nearest to `aim`, where neither is beyond doubt."""
    sure = (np.abs(own) > _SURE) | (np.abs(aim) > _SURE)
    apart, wanted = np.ma.array(own, mask=sure), np.ma.array(aim, mask=sure)
    mean, goal = apart.mean(0).filled(0.0), wanted.mean(0).filled(0.0)
    spread = float(np.ma.sum((apart - mean) ** 2) or 0)
    scale = float(np.ma.sum((apart - mean) * (wanted - goal))) / spread if spread > 0 else 1.0
    scale = scale if scale > 0 else 1.0
    return scale, np.asarray(goal - scale * mean, np.float64)


def judge_classes(exam: ClassExam, fp32: Classified, candidate: Classified, budget: float = BUDGET) -> LabelledResult:
    """The labelled gate on whole images: what AUROC of any defect loses, and which images get another answer.

    Raises:
        GateError: there is no defective image, so that nothing could be lost.
        ModelError: fewer than two good or two defective images.
    """
    bad = exam.defective
    before, after = ((said.frame_scores[~bad], said.frame_scores[bad]) for said in (fp32, candidate))
    values = auroc(*before).value, auroc(*after).value, auroc_drop(before, after)
    cases = _turned(exam, fp32, candidate)
    return judge_labelled(Measured(METRIC, *values, len(exam), int(bad.sum()), cases, unit="defective images"), budget)


def _turned(exam: ClassExam, fp32: Classified, candidate: Classified) -> tuple[Turned, ...]:
    """Images that the two answer differently at the threshold: passed or rejected, and by which name."""
    bad = exam.defective
    first, second = (said.frame_scores >= THRESHOLD for said in (fp32, candidate))
    named, renamed = (said_labels(said) == exam.labels for said in (fp32, candidate))
    cases = (
        turned("defective images", first[bad], second[bad]),
        turned("good images", ~first[~bad], ~second[~bad]),
        turned("images named rightly", named, renamed),
    )
    return tuple(case for case in cases if case.cases)


def _allowed(trial: ClassTrial) -> bool:
    return trial.gate is not None and trial.gate.allows
