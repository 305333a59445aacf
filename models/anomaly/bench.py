"""The workbench: makes a candidate model per precision from the same frames, and lets the gate choose among them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
import openvino as ov

from models.anomaly.fit import Candidate, Runner, choose_frames, set_threshold
from models.anomaly.statistics import Seen, Vectors, main_directions, statistics_of
from models.anomaly.suspects import stand_out, suspects
from models.compile import compile_graph, cpu_capabilities
from models.evaluate import auroc, auroc_drop
from models.gate import THRESHOLD, GateResult, GateScores, Outcome, judge
from models.labelled_gate import LabelledResult, Measured, judge_labelled, turned
from models.letterbox import Image
from models.pose import Pose
from models.progress import Progress
from models.quantize import quantize
from models.scoring import Scored, model_input, read_image, rejected
from models.spec import InputSpec, Precision
from models.speed import median_ms
from models.synthetic import with_defect
from models.tradeoff import ENOUGH_DEFECTS

_DONORS = 8
_SPEED_S = 2.0
_SEEDS_APART = 100_003
_SCORE = "auroc"
_NOISE = 1.05
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
        few: labelled ones, too few to judge by: they are scored, and may only speak against a precision.
    """

    learn: tuple[Path, ...]
    quantization: tuple[Path, ...]
    threshold: tuple[Path, ...]
    gate: tuple[Path, ...]
    defective: tuple[Path, ...] = ()
    few: tuple[Path, ...] = ()

    def with_defects(self, paths: tuple[Path, ...]) -> "FrameSets":
        """These and a station's labelled defects; the gate is judged by them where there are twenty and more."""
        return replace(self, defective=paths) if len(paths) >= ENOUGH_DEFECTS else replace(self, few=paths)


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """A candidate, and what it said of the gate's good and defective frames.

    `labelled` is what it said of labelled defects, whether the gate judged by them or not; None without any.
    """

    candidate: Candidate
    good: Scored
    defective: Scored
    labelled: Scored | None = None

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

    `gates` holds the same gate's answer on every precision but FP32, which the others are compared with. `left_out`
    were not learned from because they look like no other; `doubtful` are such among the threshold's.
    """

    precision: Precision
    gate: AnyGate
    trials: Mapping[Precision, Trial]
    speed_ms: Mapping[Precision, float]
    left_out: tuple[Path, ...] = ()
    doubtful: tuple[Path, ...] = ()
    gates: Mapping[Precision, AnyGate] = field(default_factory=dict)

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
        """FP32, INT8 and, where the CPU has it, BF16 side by side: the fastest that the gate lets through."""
        frames, left_out, seen = self._learned(backbone)
        projection = main_directions(seen)
        fp32 = self.trial(backbone, Precision.FP32, seen, projection)
        trials, gates = {Precision.FP32: fp32}, {}
        for precision, graph in self._others(backbone):
            trials[precision] = self.trial(graph, precision, self._features(graph, precision, frames), projection)
            gates[precision] = self._judge(fp32, trials[precision])
        speed_ms = self.speed(trials)
        usable = {Precision.FP32, *(precision for precision, gate in gates.items() if gate.allows)}
        chosen = fastest({precision: speed_ms[precision] for precision in usable})
        doubtful = tuple(self.sets.threshold[index] for index in stand_out(fp32.candidate.held_out))
        return Choice(chosen, gates[Precision.INT8], trials, speed_ms, left_out, doubtful, gates)

    def _others(self, backbone: ov.Model) -> Iterator[tuple[Precision, ov.Model]]:
        yield Precision.INT8, self.quantized(backbone)
        if self.has_bf16():
            yield Precision.BF16, backbone

    def has_bf16(self) -> bool:
        """Whether this CPU computes BF16 natively."""
        return "BF16" in cpu_capabilities()

    @property
    def runner(self) -> Runner:
        """Runs graphs with this bench's input, threads and progress."""
        return Runner(self.spec, self.threads, self.progress, self.pose)

    def trial(self, backbone: ov.Model, precision: Precision, seen: Seen, projection: Vectors) -> Trial:
        """Fit, set the threshold and score the gate's frames in one precision."""
        bad_count = (len(self.sets.defective) or len(self.sets.gate)) + len(self.sets.few)
        self.progress.stage(f"fit {precision}", len(self.sets.threshold) + len(self.sets.gate) + bad_count)
        runner, good = self.runner, statistics_of(seen, projection)
        candidate = set_threshold(runner, backbone, precision, good, self.sets.threshold, self.target)
        scored = runner.scores(candidate.graph, precision, self.sets.gate)
        bad = self.sets.defective or self.defects()
        judged = runner.scores(candidate.graph, precision, bad, on_misfit=rejected)
        few = runner.scores(candidate.graph, precision, self.sets.few, on_misfit=rejected) if self.sets.few else None
        return Trial(candidate, scored, judged, judged if self.sets.defective else few)

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
        """By labels where there are enough; a few of them may only speak against."""
        if self.sets.defective:
            return judge_by_labels(fp32, other)
        return heard(judge(fp32.scores, other.scores), fp32, other)

    def _shrunk(self, path: Path) -> Image:
        """The frame no larger than the model's input would show it, so that defects of a size are the same for all."""
        image = read_image(path)
        scale = max(self.spec.height, self.spec.width) / max(image.shape[:2])
        if scale >= 1:
            return image
        size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
        return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), np.uint8)


def fastest(speed_ms: Mapping[Precision, float]) -> Precision:
    """Which precision to run, of those that may: the fastest, and INT8 where another is faster by noise only."""
    best = min(speed_ms, key=speed_ms.__getitem__)
    if Precision.INT8 in speed_ms and speed_ms[Precision.INT8] <= _NOISE * speed_ms[best]:
        return Precision.INT8
    return best


def heard(gate: GateResult, fp32: Trial, other: Trial) -> GateResult:
    """The answer of a gate that saw painted defects, after a few labelled ones were heard."""
    if fp32.labelled is None or other.labelled is None:
        return gate
    found = turned("labelled defects", fp32.labelled.scores > THRESHOLD, other.labelled.scores > THRESHOLD)
    reason = f"{gate.reason}; {found}"
    return replace(gate, outcome=Outcome.FAILED if found.against else gate.outcome, reason=reason)


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
