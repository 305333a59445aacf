from dataclasses import replace

import numpy as np
import openvino as ov
import pytest
from numpy.typing import NDArray

from models.anomaly.statistics import Seen, distances, main_directions, statistics_of
from models.compile import compile_graph
from models.errors import ModelError
from models.networks.anomaly import PartStatistics, anomaly_graph, distance, feature_graph, score_of, with_threshold
from models.networks.weights import Weights
from models.spec import InputSpec, Precision

SPEC = InputSpec("image", 64, 96)


def frame(seed: int) -> NDArray[np.uint8]:
    """Noise under a brightness of its own."""
    random = np.random.default_rng(seed)
    return (random.integers(0, 200, (1, 64, 96, 3)) + seed % 7).astype(np.uint8)


def look(backbone: ov.Model, *frames: NDArray[np.uint8]) -> Seen:
    compiled = compile_graph(backbone, Precision.FP32)
    said = [compiled(one) for one in frames]
    return Seen(*(np.concatenate([np.array(one[name]) for one in said]) for name in ("features", "light")))


@pytest.fixture(scope="module")
def backbone(weights: Weights) -> ov.Model:
    return feature_graph(weights, SPEC)


@pytest.fixture(scope="module")
def good(backbone: ov.Model) -> PartStatistics:
    seen = look(backbone, *(frame(seed) for seed in range(8)))
    return statistics_of(seen, main_directions(seen, 20))


def run(model: ov.Model, image: NDArray[np.uint8]) -> tuple[float, NDArray[np.float32]]:
    result = compile_graph(model, Precision.FP32)(image)
    return float(result["score"][0]), np.asarray(result["map"])


def test_the_graph_computes_the_distance_that_fitting_does(backbone: ov.Model, good: PartStatistics) -> None:
    score, heat = run(anomaly_graph(backbone, good, 7.0), frame(99))
    expected = distances(look(backbone, frame(99)), good)
    np.testing.assert_allclose(heat, score_of(expected, 7.0), rtol=4e-3)
    assert score == pytest.approx(heat.max())
    assert heat.shape == (1, 4, 6)


def test_half_lies_at_the_threshold_and_nowhere_else(backbone: ov.Model, good: PartStatistics) -> None:
    graph = anomaly_graph(backbone, good, 3.0)
    score, _ = run(graph, frame(99))
    own = float(distance(np.array([score]), 3.0)[0])
    assert run(with_threshold(graph, own), frame(99))[0] == pytest.approx(0.5, abs=1e-4)
    assert run(with_threshold(graph, own * 1.01), frame(99))[0] < 0.5
    assert run(with_threshold(graph, own * 0.99), frame(99))[0] > 0.5
    assert run(graph, frame(99))[0] == score


def test_a_frame_that_was_learned_from_is_near(backbone: ov.Model, good: PartStatistics) -> None:
    graph = anomaly_graph(backbone, good, 5.0)
    known, unknown = (run(graph, frame(seed))[1] for seed in (0, 99))
    assert known.mean() < unknown.mean()


def test_lighting_that_changes_a_little_changes_little_and_darkness_is_far(
    backbone: ov.Model, good: PartStatistics
) -> None:
    """Brightness is taken out of the features, but not out of sight: a burnt part may differ in nothing else."""
    graph, plain = anomaly_graph(backbone, good, 5.0), frame(0)
    usual, brighter, dark = (run(graph, image)[0] for image in (plain, plain + np.uint8(4), plain // np.uint8(8)))
    assert abs(brighter - usual) < 0.7 * usual
    assert dark > 3 * usual


@pytest.mark.parametrize("part", ["mean", "projection", "light", "whitening"])
def test_nan_in_the_head_reaches_score_and_map(backbone: ov.Model, good: PartStatistics, part: str) -> None:
    """Scores that hide NaN would let a broken model pass parts."""
    damaged = getattr(good, part).copy()
    damaged.flat[0] = np.nan
    score, heat = run(anomaly_graph(backbone, replace(good, **{part: damaged})), frame(1))
    assert np.isnan(score)
    assert np.isnan(heat).any()


@pytest.mark.parametrize("threshold", [0.0, -1.0, float("nan"), float("inf")], ids=str)
def test_a_threshold_that_is_no_distance_is_refused(backbone: ov.Model, good: PartStatistics, threshold: float) -> None:
    with pytest.raises(ModelError, match="threshold"):
        anomaly_graph(backbone, good, threshold)


def test_statistics_of_another_graph_are_refused(backbone: ov.Model, good: PartStatistics) -> None:
    with pytest.raises(ModelError, match="do not fit"):
        anomaly_graph(backbone, replace(good, mean=np.zeros((1, 304, 8, 8), np.float32)))
    with pytest.raises(ModelError, match="thresholds"):
        with_threshold(backbone, 1.0)


def test_an_input_whose_positions_make_no_blocks_is_refused(weights: Weights) -> None:
    with pytest.raises(ModelError, match="multiples of 32"):
        feature_graph(weights, InputSpec("image", 48, 64))
