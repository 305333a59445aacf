"""The workbench: makes a candidate model per precision from the same frames, and lets the gate choose among them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import openvino as ov

from models.anomaly.fit import (
    Candidate,
    FitSize,
    PatchChoice,
    Runner,
    choose_frames,
    choose_patches,
    memory_of,
    set_threshold,
)
from models.compile import compile_graph, cpu_capabilities
from models.gate import GateResult, GateScores, judge
from models.letterbox import Image
from models.progress import Progress
from models.quantize import quantize
from models.scoring import Scored, model_input, read_image
from models.spec import InputSpec, Precision
from models.speed import median_ms
from models.synthetic import with_defect

_DONORS = 8
_SPEED_S = 2.0
_SEEDS_APART = 100_003


@dataclass(frozen=True, slots=True)
class FrameSets:
    """Frames by use, never overlapping."""

    memory: tuple[Path, ...]
    quantization: tuple[Path, ...]
    threshold: tuple[Path, ...]
    gate: tuple[Path, ...]


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


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """The gate's answer on INT8, every trial made, and the precision that will run."""

    precision: Precision
    gate: GateResult
    trials: Mapping[Precision, Trial]
    speed_ms: Mapping[Precision, float]

    @property
    def chosen(self) -> Trial:
        """The trial whose graph will run."""
        return self.trials[self.precision]


@dataclass(frozen=True, slots=True)
class Workbench:
    """What every candidate shares: frames, input, size of the memory, target and threads."""

    sets: FrameSets
    spec: InputSpec
    size: FitSize
    target: tuple[float, float]
    seed: int
    threads: int
    progress: Progress

    def choose(self, backbone: ov.Model) -> Choice:
        """FP32 and INT8 side by side; where INT8 fails the gate, the fastest float precision that passes it."""
        frames = choose_frames(self.sets.memory, self.size, self.seed)
        self.progress.stage("features", len(frames))
        patches = choose_patches(self.runner.features(backbone, Precision.FP32, frames), self.size, self.seed)
        fp32 = self.trial(backbone, Precision.FP32, frames, patches)
        int8 = self.trial(self.quantized(backbone), Precision.INT8, frames, patches)
        gate = judge(fp32.scores, int8.scores)
        trials = {Precision.FP32: fp32, Precision.INT8: int8}
        usable = [Precision.INT8] if gate.allows_int8 else [Precision.FP32]
        if not gate.allows_int8 and "BF16" in cpu_capabilities():
            trials[Precision.BF16] = self.trial(backbone, Precision.BF16, frames, patches)
            usable += [Precision.BF16] * judge(fp32.scores, trials[Precision.BF16].scores).allows_int8
        speed_ms = self.speed(trials)
        return Choice(min(usable, key=speed_ms.__getitem__), gate, trials, speed_ms)

    @property
    def runner(self) -> Runner:
        """Runs graphs with this bench's input, threads and progress."""
        return Runner(self.spec, self.threads, self.progress)

    def trial(self, backbone: ov.Model, precision: Precision, frames: Sequence[Path], patches: PatchChoice) -> Trial:
        """Remember, set the threshold and score the gate's frames in one precision."""
        self.progress.stage(f"fit {precision}", len(frames) + len(self.sets.threshold) + 2 * len(self.sets.gate))
        runner = self.runner
        memory = memory_of(runner.features(backbone, precision, frames), patches)
        candidate = set_threshold(runner, backbone, precision, memory, self.sets.threshold, self.target)
        good = runner.scores(candidate.graph, precision, self.sets.gate)
        return Trial(candidate, good, runner.scores(candidate.graph, precision, self.defects()))

    def quantized(self, backbone: ov.Model) -> ov.Model:
        """The backbone in INT8, its ranges learned from frames of no other use."""
        self.progress.stage("quantize", len(self.sets.quantization))
        frames = [model_input(path, self.spec) for path in self.sets.quantization]
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

    def _shrunk(self, path: Path) -> Image:
        """The frame no larger than the model's input would show it, so that defects of a size are the same for all."""
        image = read_image(path)
        scale = max(self.spec.height, self.spec.width) / max(image.shape[:2])
        if scale >= 1:
            return image
        size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
        return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), np.uint8)
