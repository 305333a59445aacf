"""Fit one candidate model: a memory from its own features, a threshold of its own from held-out good parts.

Which patches are remembered is decided once, on FP32 features; every other precision remembers the same patches, by its
own features. Two precisions then differ by their arithmetic alone, not by the luck of another selection.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from models.anomaly.threshold import ThresholdProof, choose
from models.compile import compile_graph
from models.letterbox import Image
from models.networks.anomaly import PatchMemory, anomaly_graph, distance, with_threshold
from models.networks.memory import Vectors, coreset, main_directions
from models.progress import Progress
from models.scoring import Scored, run_images, score_images
from models.spec import InputSpec, Precision

_STREAMS = 2
_PROVISIONAL = 10.0
_LIFT = 1.0001
_DIMENSIONS = 128


@dataclass(frozen=True, slots=True)
class FitSize:
    """How much to remember: patches kept, patches to choose them from, frames to take those from."""

    patches: int
    pool: int
    frames: int


FULL = FitSize(patches=1000, pool=60_000, frames=600)
FAST = FitSize(patches=500, pool=20_000, frames=120)


@dataclass(frozen=True, slots=True)
class Runner:
    """Runs graphs over frames: what every step shares."""

    spec: InputSpec
    threads: int
    progress: Progress

    def features(self, backbone: ov.Model, precision: Precision, frames: Sequence[Path]) -> Vectors:
        """(N, channels, h, w) float32 of a feature graph."""
        compiled = compile_graph(backbone, precision, threads=self.threads, streams=_STREAMS)
        seen: Vectors = np.zeros((len(frames), *tuple(compiled.output(0).shape)[1:]), np.float32)

        def take(index: int, request: ov.InferRequest) -> None:
            seen[index] = request.get_output_tensor(0).data[0]
            self.progress.advance()

        run_images(compiled, frames, self.spec, take)
        return seen

    def scores(self, graph: ov.Model, precision: Precision, images: Sequence[Image | Path]) -> Scored:
        """Scores and maps of an anomaly graph."""
        compiled = compile_graph(graph, precision, threads=self.threads, streams=_STREAMS)
        return score_images(compiled, images, self.spec, self.progress.advance)


@dataclass(frozen=True, slots=True, eq=False)
class PatchChoice:
    """Which patches to remember, as indices over (frame, row, column), and the directions to tell them apart by."""

    patches: NDArray[np.int64]
    projection: Vectors


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A finished graph in one precision, its threshold's proof (in distance) and the held-out distances behind it."""

    precision: Precision
    graph: ov.Model
    proof: ThresholdProof
    held_out: Vectors


def choose_frames(frames: Sequence[Path], size: FitSize, seed: int) -> list[Path]:
    """The frames to remember, in their order: all, or as many as the size allows."""
    picked = np.random.default_rng(seed).permutation(len(frames))[: size.frames]
    return [frames[index] for index in np.sort(picked)]


def choose_patches(features: Vectors, size: FitSize, seed: int) -> PatchChoice:
    """The patches that stand for all, in random order: a k-centre selection from a random pool."""
    count = features.shape[0] * features.shape[2] * features.shape[3]
    pool = np.sort(np.random.default_rng(seed).permutation(count)[: size.pool])
    vectors = _apart(features)[pool]
    projection = main_directions(vectors, _DIMENSIONS)
    chosen = coreset(vectors @ projection.T, size.patches, seed)
    return PatchChoice(pool[np.random.default_rng(seed).permutation(chosen)], projection)


def memory_of(features: Vectors, choice: PatchChoice) -> PatchMemory:
    """The chosen patches as these features show them."""
    mean = features.mean(axis=0, keepdims=True, dtype=np.float64).astype(np.float32)
    return PatchMemory(mean, choice.projection, _apart(features)[choice.patches] @ choice.projection.T)


def set_threshold(
    runner: Runner,
    backbone: ov.Model,
    precision: Precision,
    memory: PatchMemory,
    frames: Sequence[Path],
    target: tuple[float, float],
) -> Candidate:
    """A whole graph whose 0.5 lies at the order statistic of these held-out frames.

    The threshold is lifted by a ten-thousandth, so that the part that set it passes on any machine's rounding.

    Args:
        runner: runs the graph.
        backbone: feature graph in the candidate's precision.
        precision: of the candidate.
        memory: from other frames, by this backbone.
        frames: held-out good parts.
        target: overkill rate and confidence.
    """
    graph = anomaly_graph(backbone, memory, _PROVISIONAL)
    distances = distance(runner.scores(graph, precision, frames).scores, _PROVISIONAL)
    proof = choose(distances, *target)
    return Candidate(precision, with_threshold(graph, proof.value * _LIFT), proof, distances.astype(np.float32))


def _apart(features: Vectors) -> Vectors:
    """Patches (N * h * w, channels) with their position's mean taken off."""
    apart = features - features.mean(axis=0, keepdims=True, dtype=np.float64).astype(np.float32)
    return np.ascontiguousarray(apart.transpose(0, 2, 3, 1)).reshape(-1, features.shape[1])
