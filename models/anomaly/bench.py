"""The workbench: makes a candidate model per precision from the same frames, and lets the gate choose among them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import openvino as ov

from models.anomaly.fit import Candidate, Runner, choose_frames, set_threshold
from models.anomaly.statistics import Seen, Vectors, main_directions, statistics_of
from models.anomaly.suspects import stand_out, suspects
from models.compile import compile_graph, cpu_capabilities
from models.evaluate import auroc, auroc_drop
from models.gate import THRESHOLD, GateResult, GateScores, judge
from models.labelled_gate import LabelledResult, Measured, judge_labelled, turned
from models.letterbox import Image
from models.pose import Pose
from models.progress import Progress
from models.quantize import quantize
from models.scoring import Scored, model_input, read_image, rejected
from models.spec import InputSpec, Precision
from models.speed import median_ms
from models.synthetic import with_defect

_DONORS = 8
_SPEED_S = 2.0
_SEEDS_APART = 100_003
_SCORE = "auroc"
AnyGate = GateResult | LabelledResult


@dataclass(frozen=True, slots=True)
class FrameSets:
    """Frames by use.

    Args:
        learn: good ones, for the statistics.
        quantization: good ones, for the ranges of INT8; may be among those that are learned.
        threshold: good ones of no other use.
        gate: good ones of no other use.
        defective: labelled ones to judge by; without any, synthetic defects are painted on the gate's frames.
    """

    learn: tuple[Path, ...]
    quantization: tuple[Path, ...]
    threshold: tuple[Path, ...]
    gate: tuple[Path, ...]
    defective: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """A candidate, and what it said of the gate's good and defective frames."""

    candidate: Candidate
    good: Scored
    defective: Scored

    @property
    def scores(self) -> GateScores:
        """What the gate compares."""
        return GateScores(self.good.scores, self.defective.scores)

    @property
    def auroc(self) -> float:
        """Of the gate's defective against its good frames."""
        return auroc(self.good.scores, self.defective.scores).value


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """The gate's answer on INT8, every trial made, the precision that will run, and frames to look at.

    `left_out` were not learned from because they look like no other; `doubtful` are such among the threshold's.
    """

    precision: Precision
    gate: AnyGate
    trials: Mapping[Precision, Trial]
    speed_ms: Mapping[Precision, float]
    left_out: tuple[Path, ...] = ()
    doubtful: tuple[Path, ...] = ()

    @property
    def labelled(self) -> bool:
        """Whether it was judged by labelled defects, not by painted ones."""
        return isinstance(self.gate, LabelledResult)

    @property
    def chosen(self) -> Trial:
        """The trial whose graph will run."""
        return self.trials[self.precision]


@dataclass(frozen=True, slots=True)
class Workbench:
    """What every candidate shares: frames, input, how many are learned from at most, target and threads.

    With a pose, every frame is laid on its reference first. Good ones must lie on it; a defective one that does not
    counts as rejected, since a station calls it UNDECIDED.
    """

    sets: FrameSets
    spec: InputSpec
    most: int
    target: tuple[float, float]
    seed: int
    threads: int
    progress: Progress
    pose: Pose | None = None

    def choose(self, backbone: ov.Model) -> Choice:
        """FP32 and INT8 side by side; where INT8 fails the gate, the fastest float precision that passes it."""
        frames, left_out, seen = self._learned(backbone)
        projection = main_directions(seen)
        fp32 = self.trial(backbone, Precision.FP32, seen, projection)
        whole = self.quantized(backbone)
        int8 = self.trial(whole, Precision.INT8, self._features(whole, Precision.INT8, frames), projection)
        gate = self._judge(fp32, int8)
        trials = {Precision.FP32: fp32, Precision.INT8: int8}
        usable = [Precision.INT8] if gate.allows else [Precision.FP32]
        if not gate.allows and "BF16" in cpu_capabilities():
            again = self._features(backbone, Precision.BF16, frames)
            trials[Precision.BF16] = self.trial(backbone, Precision.BF16, again, projection)
            usable += [Precision.BF16] * self._judge(fp32, trials[Precision.BF16]).allows
        speed_ms = self.speed(trials)
        doubtful = tuple(self.sets.threshold[index] for index in stand_out(fp32.candidate.held_out))
        return Choice(min(usable, key=speed_ms.__getitem__), gate, trials, speed_ms, left_out, doubtful)

    @property
    def runner(self) -> Runner:
        """Runs graphs with this bench's input, threads and progress."""
        return Runner(self.spec, self.threads, self.progress, self.pose)

    def trial(self, backbone: ov.Model, precision: Precision, seen: Seen, projection: Vectors) -> Trial:
        """Fit, set the threshold and score the gate's frames in one precision."""
        bad_count = len(self.sets.defective) or len(self.sets.gate)
        self.progress.stage(f"fit {precision}", len(self.sets.threshold) + len(self.sets.gate) + bad_count)
        runner, good = self.runner, statistics_of(seen, projection)
        candidate = set_threshold(runner, backbone, precision, good, self.sets.threshold, self.target)
        scored = runner.scores(candidate.graph, precision, self.sets.gate)
        bad = self.sets.defective or self.defects()
        return Trial(candidate, scored, runner.scores(candidate.graph, precision, bad, on_misfit=rejected))

    def quantized(self, backbone: ov.Model) -> ov.Model:
        """The backbone in INT8, its ranges learned from frames that judge nothing."""
        self.progress.stage("quantize", len(self.sets.quantization))
        frames = [model_input(path, self.spec, self.pose) for path in self.sets.quantization]
        graph = quantize(backbone, frames)
        self.progress.advance(len(frames))
        return graph

    def defects(self, count: int | None = None) -> list[Image]:
        """The gate's frames, all or the first few, with one synthetic defect on each, at the model's scale."""
        donors = [self._shrunk(path) for path in self.sets.gate[:_DONORS]]
        return [
            with_defect(self._shrunk(path), donors, self.seed * _SEEDS_APART + index)
            for index, path in enumerate(self.sets.gate[:count])
        ]

    def speed(self, trials: Mapping[Precision, Trial]) -> dict[Precision, float]:
        """Median milliseconds per frame of each precision on this machine, as one stream would run it."""
        self.progress.stage("measure", len(trials))
        compiled = {
            str(precision): compile_graph(trial.candidate.graph, precision, threads=self.threads)
            for precision, trial in trials.items()
        }
        medians = median_ms(compiled, _SPEED_S)
        return {precision: medians[str(precision)] for precision in trials}

    def _learned(self, backbone: ov.Model) -> tuple[list[Path], tuple[Path, ...], Seen]:
        """The frames to learn from, those of them that look like no other and are left out, and the features."""
        frames = choose_frames(self.sets.learn, self.most, self.seed)
        seen = self._features(backbone, Precision.FP32, frames)
        odd = suspects(seen, self.seed)
        kept = np.delete(np.arange(len(frames)), odd)
        return [frames[index] for index in kept], tuple(frames[index] for index in odd), seen.part(kept)

    def _features(self, backbone: ov.Model, precision: Precision, frames: Sequence[Path]) -> Seen:
        self.progress.stage(f"features {precision}", len(frames))
        return self.runner.features(backbone, precision, frames)

    def _judge(self, fp32: Trial, other: Trial) -> AnyGate:
        """By labels where there are some."""
        return judge_by_labels(fp32, other) if self.sets.defective else judge(fp32.scores, other.scores)

    def _shrunk(self, path: Path) -> Image:
        """The frame no larger than the model's input would show it, so that defects of a size are the same for all."""
        image = read_image(path)
        scale = max(self.spec.height, self.spec.width) / max(image.shape[:2])
        if scale >= 1:
            return image
        size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
        return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), np.uint8)


def judge_by_labels(fp32: Trial, other: Trial) -> LabelledResult:
    """What AUROC of defective against good images loses, and which get another answer at their model's threshold."""
    before, after = ((one.good.scores, one.defective.scores) for one in (fp32, other))
    values = fp32.auroc, other.auroc, auroc_drop(before, after)
    cases = (
        turned("defective images", before[1] > THRESHOLD, after[1] > THRESHOLD),
        turned("good images", before[0] <= THRESHOLD, after[0] <= THRESHOLD),
    )
    count, bad = len(before[0]) + len(before[1]), len(before[1])
    return judge_labelled(Measured(_SCORE, *values, count, bad, cases, unit="defective images"))
