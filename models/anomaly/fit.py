"""Fit one candidate model: statistics of its own features, a threshold of its own from held-out good parts.

Along which directions patches are compared is decided once, on FP32 features; along them every other precision has
statistics of its own. Two precisions then differ by their arithmetic alone, not by the luck of another choice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openvino as ov

from models.anomaly.statistics import Seen, Vectors
from models.anomaly.threshold import ThresholdProof, choose
from models.compile import compile_graph
from models.letterbox import Image
from models.networks.anomaly import BLOCK, STRIDE, PartStatistics, anomaly_graph, distance, score_of, with_threshold
from models.pose import Pose
from models.progress import Progress
from models.scoring import OnMisfit, Scored, run_images, score_images
from models.spec import Fit, InputSpec, Precision

_STREAMS = 2
_PROVISIONAL = 2.0
_LIFT = 1.0001
_STEP_PX = STRIDE * BLOCK
FULL_FRAMES = 600
FAST_FRAMES = 120
SIDE_PX = 256
_NARROWEST = 0.5


@dataclass(frozen=True, slots=True)
class Runner:
    """Runs graphs over frames: what every step shares; with a pose, over frames laid on its reference."""

    spec: InputSpec
    threads: int
    progress: Progress
    pose: Pose | None = None

    def features(self, backbone: ov.Model, precision: Precision, frames: Sequence[Path]) -> Seen:
        """What a feature graph says of frames. Raises AlignmentError: one does not lie on the pose's reference."""
        compiled = compile_graph(backbone, precision, threads=self.threads, streams=_STREAMS)
        features: Vectors = np.zeros((len(frames), *tuple(compiled.output("features").shape)[1:]), np.float32)
        light: Vectors = np.zeros((len(frames), 2), np.float32)

        def take(index: int, request: ov.InferRequest) -> None:
            features[index] = request.get_tensor("features").data[0]
            light[index] = request.get_tensor("light").data[0]
            self.progress.advance()

        run_images(compiled, frames, self.spec, take, pose=self.pose)
        return Seen(features, light)

    def scores(
        self,
        graph: ov.Model,
        precision: Precision,
        images: Sequence[Image | Path],
        on_misfit: OnMisfit | None = None,
    ) -> Scored:
        """Scores and maps of an anomaly graph; raises AlignmentError as `score_images` does."""
        compiled = compile_graph(graph, precision, threads=self.threads, streams=_STREAMS)
        advance = self.progress.advance
        return score_images(compiled, images, self.spec, advance, pose=self.pose, on_misfit=on_misfit)


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A finished graph in one precision, its threshold's proof (in distance) and the held-out distances behind it."""

    precision: Precision
    graph: ov.Model
    proof: ThresholdProof
    held_out: Vectors

    @property
    def scores(self) -> Vectors:
        """The held-out parts' scores (N,) as the finished graph gives them, 0.5 being the threshold."""
        return score_of(self.held_out, self.proof.value * _LIFT)


def input_for(sizes: Sequence[tuple[int, int]], side_px: int = SIDE_PX) -> InputSpec:
    """The input for frames of these sizes (width, height): of their usual shape, as many pixels as a square's.

    Frames are stretched onto it, so that what is compared place by place lies at the same place of the part, whatever
    a frame's own shape. Sides are multiples of 32, and but for rounding none is less than half the other.
    """
    ratio = float(np.clip(np.median([width / height for width, height in sizes]), _NARROWEST, 1 / _NARROWEST))
    width, height = (max(1, round(side_px * scale / _STEP_PX)) for scale in (ratio**0.5, ratio**-0.5))
    return InputSpec("image", height * _STEP_PX, width * _STEP_PX, fit=Fit.STRETCH)


def choose_frames(frames: Sequence[Path], most: int, seed: int) -> list[Path]:
    """The frames to learn from, in their order: all, or so many by chance."""
    picked = np.random.default_rng(seed).permutation(len(frames))[:most]
    return [frames[index] for index in np.sort(picked)]


def set_threshold(
    runner: Runner,
    backbone: ov.Model,
    precision: Precision,
    good: PartStatistics,
    frames: Sequence[Path],
    target: tuple[float, float],
) -> Candidate:
    """A whole graph whose 0.5 lies at the order statistic of these held-out frames.

    The threshold is lifted by a ten-thousandth, so that the part that set it passes on any machine's rounding.

    Args:
        runner: runs the graph.
        backbone: feature graph in the candidate's precision.
        precision: of the candidate.
        good: from other frames, by this backbone.
        frames: held-out good parts.
        target: overkill rate and confidence.
    """
    graph = anomaly_graph(backbone, good, _PROVISIONAL)
    distances = distance(runner.scores(graph, precision, frames).scores, _PROVISIONAL)
    proof = choose(distances, *target)
    return Candidate(precision, with_threshold(graph, proof.value * _LIFT), proof, distances.astype(np.float32))
