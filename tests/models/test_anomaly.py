from dataclasses import replace

import numpy as np
import openvino as ov
import pytest
from numpy.typing import NDArray

from models.compile import compile_graph
from models.errors import ModelError
from models.networks.anomaly import PatchMemory, anomaly_graph, distance, feature_graph, with_threshold
from models.networks.weights import Weights
from models.spec import InputSpec, Precision

SPEC = InputSpec("image", 64, 64)
SHAPE = (1, 304, 4, 4)


def frame(seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (1, 64, 64, 3), np.uint8)


@pytest.fixture(scope="module")
def backbone(weights: Weights) -> ov.Model:
    return feature_graph(weights, SPEC)


@pytest.fixture(scope="module")
def memory(backbone: ov.Model) -> PatchMemory:
    compiled = compile_graph(backbone, Precision.FP32)
    seen = np.concatenate([compiled(frame(seed))[0] for seed in range(6)])
    mean = seen.mean(axis=0, keepdims=True)
    projection = np.linalg.qr(np.random.default_rng(0).normal(size=(304, 20)))[0].T.astype(np.float32)
    patches = (seen - mean).transpose(0, 2, 3, 1).reshape(-1, 304) @ projection.T
    return PatchMemory(mean, projection, patches[::3])


def run(model: ov.Model, image: NDArray[np.uint8]) -> tuple[float, NDArray[np.float32]]:
    result = compile_graph(model, Precision.FP32)(image)
    return float(result["score"][0]), np.asarray(result["map"])


def test_the_graph_computes_the_mean_distance_to_three_thirds_of_the_memory(
    backbone: ov.Model, memory: PatchMemory
) -> None:
    score, heat = run(anomaly_graph(backbone, memory, 7.0), frame(99))
    apart = compile_graph(backbone, Precision.FP32)(frame(99))[0] - memory.mean
    flat = apart[0].reshape(304, -1).T @ memory.projection.T
    thirds = [np.linalg.norm(flat[:, None] - part, axis=2).min(axis=1) for part in np.array_split(memory.patches, 3)]
    expected = _mean_3x3(np.mean(thirds, axis=0).reshape(4, 4))
    np.testing.assert_allclose(heat[0], expected / (expected + 7.0), atol=1e-4)
    assert score == pytest.approx(heat.max())


def _mean_3x3(grid: NDArray[np.float64]) -> NDArray[np.float64]:
    """Over the neighbours that exist."""
    rows, columns = grid.shape
    return np.array(
        [[grid[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2].mean() for x in range(columns)] for y in range(rows)]
    )


def test_half_lies_at_the_threshold_and_nowhere_else(backbone: ov.Model, memory: PatchMemory) -> None:
    graph = anomaly_graph(backbone, memory, 3.0)
    score, _ = run(graph, frame(99))
    own = float(distance(np.array([score]), 3.0)[0])
    assert run(with_threshold(graph, own), frame(99))[0] == pytest.approx(0.5, abs=1e-4)
    assert run(with_threshold(graph, own * 1.01), frame(99))[0] < 0.5
    assert run(with_threshold(graph, own * 0.99), frame(99))[0] > 0.5
    assert run(graph, frame(99))[0] == score


def test_a_frame_of_the_memory_is_near_to_it(backbone: ov.Model, memory: PatchMemory) -> None:
    graph = anomaly_graph(backbone, memory, 5.0)
    known, unknown = (run(graph, frame(seed))[1] for seed in (0, 99))
    assert known.mean() < unknown.mean()


@pytest.mark.parametrize("part", ["mean", "projection"])
def test_nan_in_the_head_reaches_score_and_map(backbone: ov.Model, memory: PatchMemory, part: str) -> None:
    """Scores that hide NaN would let a broken model pass parts."""
    damaged = getattr(memory, part).copy()
    damaged.flat[0] = np.nan
    score, heat = run(anomaly_graph(backbone, replace(memory, **{part: damaged})), frame(1))
    assert np.isnan(score)
    assert np.isnan(heat).any()


@pytest.mark.parametrize("threshold", [0.0, -1.0, float("nan"), float("inf")], ids=str)
def test_a_threshold_that_is_no_distance_is_refused(backbone: ov.Model, memory: PatchMemory, threshold: float) -> None:
    with pytest.raises(ModelError, match="threshold"):
        anomaly_graph(backbone, memory, threshold)


def test_a_memory_of_another_graph_is_refused(backbone: ov.Model, memory: PatchMemory) -> None:
    with pytest.raises(ModelError, match="does not fit"):
        anomaly_graph(backbone, replace(memory, mean=np.zeros((1, 304, 8, 8), np.float32)))
    with pytest.raises(ModelError, match="thresholds"):
        with_threshold(backbone, 1.0)
