"""Fit one candidate model: its own memory from its own features, its own threshold from held-out good parts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openvino as ov

from edge.calibrate.progress import Progress
from edge.calibrate.threshold import ThresholdProof, choose
from models.compile import compile_graph
from models.letterbox import Image
from models.networks.anomaly import PatchMemory, anomaly_graph, distance, with_threshold
from models.networks.memory import Vectors, coreset, main_directions
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


FULL = FitSize(patches=1000, pool=60_000, frames=1000)
FAST = FitSize(patches=500, pool=20_000, frames=120)


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A finished graph in one precision, its threshold's proof (in distance) and the held-out distances behind it."""

    precision: Precision
    graph: ov.Model
    proof: ThresholdProof
    held_out: Vectors
    threads: int

    def score(self, images: Sequence[Image | Path], spec: InputSpec, progress: Progress) -> Scored:
        """Scores of other images by this candidate, 0.5 being its threshold."""
        compiled = compile_graph(self.graph, self.precision, threads=self.threads, streams=_STREAMS)
        return score_images(compiled, images, spec, progress.advance)


def remember(
    backbone: ov.Model,
    precision: Precision,
    frames: Sequence[Path],
    spec: InputSpec,
    size: FitSize,
    seed: int,
    threads: int,
    progress: Progress,
) -> PatchMemory:
    """The memory of good patches that this graph, in this precision, sees on these frames."""
    random = np.random.default_rng(seed)
    chosen = [frames[index] for index in np.sort(random.permutation(len(frames))[: size.frames])]
    seen = _features(compile_graph(backbone, precision, threads=threads, streams=_STREAMS), chosen, spec, progress)
    mean = seen.mean(axis=0, keepdims=True, dtype=np.float64).astype(np.float32)
    patches = (seen - mean).transpose(0, 2, 3, 1).reshape(-1, seen.shape[1])
    pool = patches[np.sort(random.permutation(len(patches))[: size.pool])]
    projection = main_directions(pool, _DIMENSIONS)
    narrow = pool @ projection.T
    return PatchMemory(mean, projection, narrow[coreset(narrow, size.patches, seed)])


def set_threshold(
    backbone: ov.Model,
    precision: Precision,
    memory: PatchMemory,
    frames: Sequence[Path],
    spec: InputSpec,
    target: tuple[float, float],
    threads: int,
    progress: Progress,
) -> Candidate:
    """A whole graph whose 0.5 lies at the order statistic of these held-out frames.

    The threshold is lifted by a ten-thousandth, so that the part that set it passes on any machine's rounding.

    Args:
        backbone: feature graph in the candidate's precision.
        precision: of the candidate.
        memory: from other frames, by this backbone.
        frames: held-out good parts.
        spec: the input.
        target: overkill rate and confidence.
        threads: CPU threads, 0 for all.
        progress: advanced once per frame.
    """
    graph = anomaly_graph(backbone, memory, _PROVISIONAL)
    compiled = compile_graph(graph, precision, threads=threads, streams=_STREAMS)
    scored = score_images(compiled, frames, spec, progress.advance)
    distances = distance(scored.scores, _PROVISIONAL)
    proof = choose(distances, *target)
    finished = with_threshold(graph, proof.value * _LIFT)
    return Candidate(precision, finished, proof, distances.astype(np.float32), threads)


def _features(compiled: ov.CompiledModel, frames: Sequence[Path], spec: InputSpec, progress: Progress) -> Vectors:
    """(N, channels, h, w) float32."""
    seen: Vectors = np.zeros((len(frames), *tuple(compiled.output(0).shape)[1:]), np.float32)

    def take(index: int, request: ov.InferRequest) -> None:
        seen[index] = request.get_output_tensor(0).data[0]
        progress.advance()

    run_images(compiled, frames, spec, take)
    return seen
