"""Anomaly graphs of others: 0.5 at the declared threshold, and a score that the map shows."""

from pathlib import Path

import cv2
import numpy as np
import openvino as ov
import pytest
from foreign_kit import PALE, RED, Wants, grey, heat, model, network, with_square, write_model, write_samples
from openvino import opset13 as ops

from models.compile import compile_graph
from models.errors import GateError, ModelError, RequestError
from models.foreign.anomaly import anomaly_graph
from models.foreign.graph import read_graph
from models.foreign.head import AnomalyHead, read_head
from models.foreign.trial import Tried, try_head
from models.scoring import Scored, score_images
from models.spec import Precision


def head(threshold: float, values: str, outputs: str = 'map = "anomaly_map"') -> str:
    decode = f'[decode]\nthreshold = {threshold}\nvalues = "{values}"\n'
    return f'kind = "anomaly"\n{Wants().toml()}[outputs]\n{outputs}\n{decode}'


SCORE = 'map = "anomaly_map"\nscore = "pred_score"'


def scored(folder: Path, graph: ov.Model, text: str) -> Scored:
    (folder / "head.toml").write_text(text)
    declared = read_head(folder / "head.toml")
    assert isinstance(declared, AnomalyHead)
    foreign = read_graph(write_model(folder, graph), declared.input)
    compiled = compile_graph(anomaly_graph(foreign, declared), Precision.FP32, threads=1)
    pictures = [with_square(grey(), 8, 16, PALE), with_square(with_square(grey(), 8, 16, RED), 40, 40, PALE), grey()]
    return score_images(compiled, pictures, foreign.spec)


def trial(folder: Path, graph: ov.Model, text: str) -> Tried:
    (folder / "head.toml").write_text(text)
    declared = read_head(folder / "head.toml")
    foreign = read_graph(write_model(folder, graph), declared.input)
    return try_head(foreign, declared, sorted(write_samples(folder / "samples").iterdir()), lambda: None)


@pytest.mark.parametrize(
    ("graph", "text", "expected"),
    [
        pytest.param(heat(10), head(4, "distance"), [0.5, 10 / 14, 0], id="distance: d / (d + t)"),
        pytest.param(heat(0.9), head(0.36, "probability"), [0.5, 0.9 * 0.64 / (0.9 * 0.64 + 0.1 * 0.36), 0], id="odds"),
        pytest.param(
            heat(10, -6), head(-2, "logit"), [0.5, 1 / (1 + np.exp(-6)), 1 / (1 + np.exp(4))], id="logit, shifted"
        ),
    ],
)
def test_the_threshold_becomes_a_half_on_each_scale_and_the_score_is_the_maps_highest(
    tmp_path: Path, graph: ov.Model, text: str, expected: list[float]
) -> None:
    found = scored(tmp_path, graph, text)
    np.testing.assert_allclose(found.scores, expected, atol=2e-4)
    np.testing.assert_allclose(found.maps.max((1, 2)), found.scores, atol=1e-6)
    assert found.maps.shape == (3, 8, 8)
    assert np.unravel_index(found.maps[1].argmax(), (8, 8)) == (2, 1)


def test_a_score_of_its_own_counts_and_the_map_is_stretched_to_show_it(tmp_path: Path) -> None:
    """The graph's score is twice its map's highest value: what the station reads must not contradict it."""
    graph = heat(10, score=lambda highest: ops.multiply(highest, np.float32(2)))
    found = scored(tmp_path, graph, head(8, "distance", SCORE))
    np.testing.assert_allclose(found.scores, [0.5, 20 / 28, 0], atol=2e-4)
    np.testing.assert_allclose(found.maps.max((1, 2)), found.scores, atol=1e-6)
    assert found.maps[1][5, 5] == pytest.approx(0.4 * 20 / 28, abs=1e-3)


def test_a_flat_map_shows_its_score_everywhere_and_never_hides_it(tmp_path: Path) -> None:
    graph = heat(0, 3, score=lambda highest: highest)
    found = scored(tmp_path, graph, head(1, "distance", SCORE))
    np.testing.assert_allclose(found.maps, 0.75, atol=1e-6)


@pytest.mark.parametrize("values", ["distance", "probability", "logit"])
@pytest.mark.parametrize("outputs", ['map = "anomaly_map"', SCORE])
def test_a_value_that_is_not_finite_shows(tmp_path: Path, values: str, outputs: str) -> None:
    """A maximum may skip NaN and a sigmoid may swallow it: then a broken graph would say that all is well."""
    seen = network(step=8)
    plane = ops.reshape(ops.reduce_max(seen.likely, np.array([1])), np.array([1, 1, 8, 8]), special_zero=False)
    broken = ops.add(plane, ops.sqrt(ops.subtract(np.float32(0.3), plane)))
    graph = model(seen, {"anomaly_map": broken, "pred_score": ops.constant(np.ones((1, 1), np.float32))})
    (tmp_path / "head.toml").write_text(head(0.5, values, outputs))
    declared = read_head(tmp_path / "head.toml")
    assert isinstance(declared, AnomalyHead)
    foreign = read_graph(write_model(tmp_path, graph), declared.input)
    request = compile_graph(anomaly_graph(foreign, declared), Precision.FP32, threads=1).create_infer_request()
    request.infer({0: with_square(grey(), 8, 16, RED)[None]})
    assert np.isnan(request.get_tensor("score").data).all()


def test_the_samples_speak_for_a_right_head(tmp_path: Path) -> None:
    tried = trial(tmp_path, heat(10), head(4, "distance"))
    assert tried.warnings == ()
    assert [one.frame_score >= 0.5 for one in tried.found] == [True, True, False]


@pytest.mark.parametrize(
    ("graph", "text", "error", "complaint"),
    [
        pytest.param(
            heat(),
            head(4, "distance").replace("anomaly_map", "mask"),
            RequestError,
            "outputs.map = 'mask'",
            id="no output",
        ),
        pytest.param(heat(), head(0, "distance"), RequestError, "threshold is above 0", id="threshold 0"),
        pytest.param(heat(), head(2, "probability"), RequestError, "between 0 and 1", id="threshold 2"),
        pytest.param(
            heat(score=lambda highest: highest),
            head(4, "distance", 'map = "pred_score"'),
            RequestError,
            "outputs.map has shape",
            id="the score as the map",
        ),
        pytest.param(
            heat(),
            head(4, "distance", 'map = "anomaly_map"\nscore = "anomaly_map"'),
            RequestError,
            "one value",
            id="map as score",
        ),
        pytest.param(
            heat(10, -6), head(4, "distance"), GateError, "runs from -6 .*decode.values", id="below a distance"
        ),
        pytest.param(heat(10), head(0.5, "probability"), GateError, "to 10, expected 0 to 1", id="above a probability"),
        pytest.param(heat(0, 1), head(4, "distance"), GateError, "the same everywhere", id="a map that shows nothing"),
    ],
)
def test_a_head_that_does_not_fit_is_refused(
    tmp_path: Path, graph: ov.Model, text: str, error: type[Exception], complaint: str
) -> None:
    with pytest.raises(error, match=complaint):
        trial(tmp_path, graph, text)


@pytest.mark.parametrize(
    ("threshold", "warning"),
    [pytest.param(40, "no sample scores 0.5", id="high"), pytest.param(0.001, "every sample scores 0.5", id="low")],
)
def test_a_threshold_that_no_sample_or_every_sample_reaches_is_said(
    tmp_path: Path, threshold: float, warning: str
) -> None:
    assert any(warning in one for one in trial(tmp_path, heat(10, 1), head(threshold, "distance")).warnings)


def test_samples_that_are_no_pictures_are_an_error_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / "a.png").write_bytes(b"no picture")
    cv2.imwrite(str(tmp_path / "samples" / "b.png"), grey())
    (tmp_path / "head.toml").write_text(head(4, "distance"))
    declared = read_head(tmp_path / "head.toml")
    foreign = read_graph(write_model(tmp_path, heat()), declared.input)
    with pytest.raises(ModelError, match=r"a\.png"):
        try_head(foreign, declared, sorted((tmp_path / "samples").iterdir()), lambda: None)
