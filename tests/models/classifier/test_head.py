"""A classifier's head: the map adds up to the logit, the highest score decides as the probability does."""

import numpy as np
import openvino as ov
import openvino.opset13 as ops
import pytest

from models.compile import compile_graph
from models.networks.classes import LinearHead, class_outputs, contributions, pooled, with_adjusted_logits
from models.spec import Precision

SHAPES = ((1, 5, 8, 8), (1, 3, 4, 4))
RANDOM = np.random.default_rng(0)
COUNT = 3 * (5 + 3)


def head(threshold: float = 0.3) -> LinearHead:
    weights, centre = RANDOM.normal(size=(2, COUNT)), RANDOM.normal(size=COUNT)
    return LinearHead(weights.astype(np.float32), np.zeros(2, np.float32), centre.astype(np.float32), threshold)


def maps() -> list[ov.Node]:
    return [ops.parameter(list(shape), np.float32) for shape in SHAPES]


def pictures() -> list[np.ndarray]:
    return [RANDOM.normal(size=shape).astype(np.float32) for shape in SHAPES]


def test_what_the_positions_add_is_the_logit_of_this_image_over_a_usual_one() -> None:
    own, inputs = head(), maps()
    graph = ov.Model([ops.result(contributions(inputs, own)), ops.result(pooled(inputs))], inputs, "parts")
    shares, features = compile_graph(graph, Precision.FP32)(pictures()).values()
    assert shares.sum((2, 3)) == pytest.approx((features - own.centre) @ own.weights.T, abs=1e-4)


def test_the_highest_score_passes_the_threshold_exactly_where_the_probability_of_a_defect_does() -> None:
    inputs, at = maps(), 1 / (1 + np.exp(-0.3))
    compiled = compile_graph(ov.Model(class_outputs(inputs, head()), inputs, "head"), Precision.FP32)
    sides = set()
    for _ in range(60):
        found = compiled(pictures())
        rejected = bool(found["scores"].max() >= 0.5)
        assert rejected == bool(1 - found["probabilities"][0, 0] >= at)
        assert found["map"].max((2, 3)) == pytest.approx(found["scores"], abs=1e-6)
        assert found["probabilities"].sum() == pytest.approx(1)
        sides.add(rejected)
    assert sides == {True, False}


def test_one_value_that_is_not_finite_reaches_every_score() -> None:
    inputs, values = maps(), pictures()
    values[1][0, 2, 3, 3] = np.nan
    found = compile_graph(ov.Model(class_outputs(inputs, head()), inputs, "head"), Precision.FP32)(values)
    assert np.isnan(found["scores"]).all()


def test_adjusted_logits_move_probabilities_as_said() -> None:
    inputs, values = maps(), pictures()
    model = ov.Model(class_outputs(inputs, head()), inputs, "head")
    moved = with_adjusted_logits(model, 2.0, np.array([1.0, -1.0], np.float32))
    before, after = (compile_graph(one, Precision.FP32)(values)["probabilities"][0] for one in (model, moved))
    logits = [np.log(shares[1:] / shares[0]) for shares in (before, after)]
    assert logits[1] == pytest.approx(2 * logits[0] + [1, -1], abs=1e-3)
