"""Which precision a detector runs in: each step down the ladder is judged by the gate, and the first that passes runs.

Post-training quantization; quantization that puts layers back into float; training that learns to live with INT8; and,
if none of them passes, the fastest float precision that does. Calibration frames, the frames that choose layers and the
frames that the gate judges by are three different sets.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np
import openvino as ov

from models.compile import compile_graph, cpu_capabilities
from models.detections import Detections
from models.evaluation.exam import Exam
from models.evaluation.operating import boxes_found, rejects, without_false
from models.evaluation.precision import Rankings, map50_drop, rank
from models.gate import BUDGET
from models.labelled_gate import LabelledResult, Measured, Turned, judge_labelled, turned
from models.progress import Progress
from models.quantize import DETECTOR_FLOAT, Inputs, quantize, quantize_with_accuracy
from models.spec import ModelSpec, Precision
from models.speed import median_ms

METRIC = "map50"
_SPEED_S = 2.0


class Step(StrEnum):
    """How a graph came by its precision."""

    FP32 = "fp32"
    PTQ = "ptq"
    ACCURACY_AWARE = "accuracy-aware"
    QAT = "qat"
    BF16 = "bf16"


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """One step, what it said of the gate's frames, and what the gate said of it (nothing, of FP32 itself)."""

    step: Step
    precision: Precision
    graph: ov.Model
    found: list[Detections]
    rankings: Rankings
    gate: LabelledResult | None
    seconds: float
    undecided: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """The trial that will run, every trial made, and their milliseconds per frame on this machine."""

    chosen: Trial
    trials: tuple[Trial, ...]
    speed_ms: Mapping[Step, float]

    @property
    def fp32(self) -> Trial:
        """What all others are compared with."""
        return self.trials[0]


@dataclass(frozen=True, slots=True, eq=False)
class Ladder:
    """What the steps need.

    Args:
        spec: of the model.
        frames: to learn ranges from.
        val: frames by which layers are put back into float.
        test: frames that the gate judges by.
        progress: told of every step.
        train_quantized: a graph from quantization-aware training, or None where there is no trainer.
        budget: how much the metric may drop.
        threads: CPU threads; 0 takes what this process may use.
    """

    spec: ModelSpec
    frames: Sequence[Inputs]
    val: Exam
    test: Exam
    progress: Progress
    train_quantized: Callable[[], ov.Model] | None = None
    budget: float = BUDGET
    threads: int = 0
    quantizers: Mapping[Step, Callable[["Ladder", ov.Model], ov.Model]] = field(default_factory=lambda: _QUANTIZERS)

    def climb(self, graph: ov.Model) -> Choice:
        """The first INT8 graph that the gate lets through; without one, the fastest float graph that it lets through.

        Raises:
            ModelError: the graph is refused, or the test frames hold no box.
        """
        trials = [self._trial(Step.FP32, Precision.FP32, graph, 0.0)]
        for step in (Step.PTQ, Step.ACCURACY_AWARE, Step.QAT):
            if step is Step.QAT and self.train_quantized is None:
                continue
            started_s = time.monotonic()
            self.progress.stage(f"quantize {step}", 1)
            made = self.quantizers[step](self, graph)
            self.progress.advance()
            trials.append(self._trial(step, Precision.INT8, made, time.monotonic() - started_s, trials[0]))
            if _allowed(trials[-1]):
                return self._choice([trials[-1]], trials)
        if "BF16" in cpu_capabilities():
            trials.append(self._trial(Step.BF16, Precision.BF16, graph, 0.0, trials[0]))
        return self._choice(
            [trials[0], *(trial for trial in trials if trial.step is Step.BF16 and _allowed(trial))], trials
        )

    def metric(self, exam: Exam, compiled: ov.CompiledModel) -> float:
        """The gate's metric of a compiled graph on an exam."""
        return exam.rank(exam.sit(compiled, self.spec)).map50()

    def _trial(
        self, step: Step, precision: Precision, graph: ov.Model, seconds: float, fp32: Trial | None = None
    ) -> Trial:
        self.progress.stage(f"judge {step}", len(self.test))
        undecided: list[int] = []
        compiled = compile_graph(graph, precision, threads=self.threads)
        found = self.test.sit(compiled, self.spec, self.progress.advance, undecided)
        rankings = self.test.rank(found)
        trial = Trial(step, precision, graph, found, rankings, None, seconds, tuple(undecided))
        return trial if fp32 is None else replace(trial, gate=self._judge(fp32, trial))

    def _judge(self, fp32: Trial, mine: Trial) -> LabelledResult:
        values = fp32.rankings.map50(), mine.rankings.map50(), map50_drop(fp32.rankings, mine.rankings)
        cases = self._turned(fp32, mine)
        return judge_labelled(Measured(METRIC, *values, *self._looked_at(fp32, mine), cases), self.budget)

    def _looked_at(self, fp32: Trial, mine: Trial) -> tuple[int, int]:
        """The dataset's own frames that both could look at, and their boxes: no others can prove anything."""
        seen = set(self.test.images_own) - set(fp32.undecided) - set(mine.undecided)
        return len(seen), sum(len(self.test.truths[index]) for index in seen)

    def _turned(self, fp32: Trial, mine: Trial) -> tuple[Turned, ...]:
        """What the two answer differently at the threshold: images, labelled boxes, and detections on nothing."""
        bad = np.array(self.test.defective, bool)
        first, second = (rejects(trial.found, trial.undecided) for trial in (fp32, mine))
        seen = (boxes_found(self.test.truths, trial.found) for trial in (fp32, mine))
        clean = (without_false(self.test.truths, trial.found) for trial in (fp32, mine))
        cases = (
            turned("defective images", first[bad], second[bad]),
            turned("good images", ~first[~bad], ~second[~bad]),
            turned("boxes", *seen),
            turned("images without a false detection", *clean),
        )
        return tuple(case for case in cases if case.cases)

    def _choice(self, usable: list[Trial], trials: list[Trial]) -> Choice:
        self.progress.stage("measure", len(trials))
        compiled = {
            str(trial.step): compile_graph(trial.graph, trial.precision, threads=self.threads) for trial in trials
        }
        medians = median_ms(compiled, _SPEED_S)
        speed = {trial.step: medians[str(trial.step)] for trial in trials}
        return Choice(min(usable, key=lambda trial: speed[trial.step]), tuple(trials), speed)


def _allowed(trial: Trial) -> bool:
    return trial.gate is not None and trial.gate.allows


def _ptq(ladder: Ladder, graph: ov.Model) -> ov.Model:
    return quantize(graph, ladder.frames, DETECTOR_FLOAT)


def _accuracy_aware(ladder: Ladder, graph: ov.Model) -> ov.Model:
    def measure(compiled: ov.CompiledModel, indices: Sequence[int]) -> tuple[float, list[float]]:
        exam = ladder.val.part(list(indices))
        found = exam.sit(compiled, ladder.spec)
        return exam.rank(found).map50(), _each(exam, found)

    return quantize_with_accuracy(graph, ladder.frames, measure, len(ladder.val), ladder.budget)


def _each(exam: Exam, found: Sequence[Detections]) -> list[float]:
    """Each image's own average precision, pooled over classes; 1 where nothing is labelled and nothing was found."""
    pairs = zip(exam.truths, found, strict=True)
    return [rank([truth], [mine]).pooled_map33() if len(truth) else float(not len(mine)) for truth, mine in pairs]


def _trained(ladder: Ladder, graph: ov.Model) -> ov.Model:
    del graph
    if ladder.train_quantized is None:
        raise ValueError("this step is left out where there is no trainer")
    return ladder.train_quantized()


_QUANTIZERS: Mapping[Step, Callable[[Ladder, ov.Model], ov.Model]] = {
    Step.PTQ: _ptq,
    Step.ACCURACY_AWARE: _accuracy_aware,
    Step.QAT: _trained,
}
