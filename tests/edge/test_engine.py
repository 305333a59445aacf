import time
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from edge_kit import image
from station_kit import GREY, INPUT, bad_frame, good_frame, make_bundle

from edge.domain.errors import ConfigError
from edge.infer.answers import read_map
from edge.infer.engine import ModelTimeoutError
from edge.infer.openvino import OpenVinoEngine
from edge.infer.plan import Plan, make_plan
from edge.infer.regions import REGION_FLOOR, regions
from models.bundle import Bundle
from models.cpus import granted_cpus
from models.detections import FloatArray
from models.errors import ModelError
from models.letterbox import placement

PLAN = Plan(1, 1, 2)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_bundle(tmp_path_factory.mktemp("bundles"))


@pytest.fixture(scope="module")
def engine(bundle: Bundle) -> OpenVinoEngine:
    return OpenVinoEngine(bundle, PLAN)


def test_a_good_frame_shows_nothing_and_a_bad_one_its_blot(engine: OpenVinoEngine) -> None:
    good, bad = (np.ascontiguousarray(one) for one in (good_frame(), bad_frame()))
    assert len(engine.submit(good, 5).result(5)) == 0
    found = engine.submit(bad, 5).result(5)
    assert found.scores[0] >= 0.5
    left, top, right, bottom = found.boxes_xyxy[0]
    assert left <= 30
    assert right >= 50
    assert top <= 20
    assert bottom >= 40


@pytest.mark.parametrize("size", [pytest.param((140, 60), id="wide"), pytest.param((60, 140), id="tall")])
def test_the_hottest_cell_lies_on_the_frame_where_the_defect_is(engine: OpenVinoEngine, size: tuple[int, int]) -> None:
    found = engine.submit(np.ascontiguousarray(bad_frame(size)), 5).result(5)
    assert found.map is not None
    assert found.map_to_frame is not None
    row, column = np.unravel_index(found.map.argmax(), found.map.shape)
    x, y = np.array(found.map_to_frame) @ (column + 0.5, row + 0.5, 1)
    assert 30 <= x < 50
    assert 20 <= y < 40


@pytest.mark.parametrize(
    "size",
    [pytest.param((64, 64), id="as the model"), pytest.param((33, 200), id="tall"), pytest.param((301, 17), id="wide")],
)
def test_any_frame_size_is_taken_and_what_is_padded_is_not_seen_as_the_frame_before(
    engine: OpenVinoEngine, size: tuple[int, int]
) -> None:
    assert engine.submit(image(255, (64, 64)), 5).result(5).scores.max() > 0.5
    assert len(engine.submit(image(GREY, size), 5).result(5)) == 0


def test_answers_belong_to_their_frames_however_many_run(bundle: Bundle) -> None:
    engine = OpenVinoEngine(bundle, Plan(2, 2, 4))
    levels = [GREY, 255, 0, GREY] * 10
    tickets = []
    for start in range(0, len(levels), 4):
        tickets = [engine.submit(image(level), 5) for level in levels[start : start + 4]]
        assert [len(ticket.result(5)) > 0 for ticket in tickets] == [level != GREY for level in levels[:4]]


def test_a_busy_engine_refuses_in_time_and_goes_on_once_it_is_free(engine: OpenVinoEngine) -> None:
    tickets = [engine.submit(image(), 5) for _ in range(PLAN.requests)]
    started_s = time.monotonic()
    with pytest.raises(ModelTimeoutError, match="no request became free"):
        engine.submit(image(), 0.05)
    assert time.monotonic() - started_s < 1
    for ticket in tickets:
        ticket.result(5)
    engine.submit(image(), 5).result(5)


def test_a_request_that_did_not_answer_in_time_comes_back_and_its_answer_is_nobodys(tmp_path: Path) -> None:
    engine = OpenVinoEngine(make_bundle(tmp_path), Plan(1, 1, 1))
    timeouts = 0
    for _ in range(200):
        try:
            assert len(engine.submit(image(255), 5).result(0)) > 0
        except ModelTimeoutError:
            timeouts += 1
    assert len(engine.submit(image(GREY), 5).result(5)) == 0
    assert engine._idle.qsize() == 1  # noqa: SLF001 - no request is lost
    engine.close()
    assert timeouts > 0


def test_a_value_that_is_not_finite_is_a_fault_and_the_next_frame_is_looked_at(tmp_path: Path) -> None:
    engine = OpenVinoEngine(make_bundle(tmp_path, nan_above=180), PLAN)
    for _ in range(2 * PLAN.requests):
        with pytest.raises(ModelError, match="not finite"):
            engine.submit(image(250), 5).result(5)
        assert len(engine.submit(image(GREY), 5).result(5)) == 0
    engine.selftest()


def test_a_score_that_the_map_does_not_show_is_a_fault(engine: OpenVinoEngine) -> None:
    request = engine._compiled.create_infer_request()  # noqa: SLF001 - a graph whose outputs disagree
    request.infer({0: image(GREY, (64, 64))[None]})
    request.get_tensor("score").data[0] = 0.9
    with pytest.raises(ModelError, match="is not its map's highest value"):
        read_map(request, placement(64, 64, INPUT), engine.spec)


def test_a_graph_that_answers_otherwise_than_its_bundle_says_never_starts(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path)
    expected = bundle.path / "selftest" / "expected.json"
    wrong = Bundle(
        bundle.path,
        bundle.manifest,
        bundle.model_id,
        bundle.spec,
        tuple(type(case)(case.frame, 0.99, case.tolerance) for case in bundle.selftest),
    )
    assert expected.is_file()
    with pytest.raises(ModelError, match="self-test"):
        OpenVinoEngine(wrong, PLAN)


def test_a_self_test_beside_running_requests_disturbs_neither(engine: OpenVinoEngine) -> None:
    ticket = engine.submit(image(255), 5)
    engine.selftest()
    assert len(ticket.result(5)) > 0


def test_the_compiled_model_is_openvinos(engine: OpenVinoEngine) -> None:
    assert isinstance(engine._compiled, ov.CompiledModel)  # noqa: SLF001
    assert engine.model_id.id == "blob"


def heat(*spots: tuple[int, int, float]) -> FloatArray:
    values = np.zeros((8, 8), np.float32)
    for row, column, value in spots:
        values[row, column] = value
    return values


@pytest.mark.parametrize(
    ("spots", "boxes", "scores"),
    [
        pytest.param([], [], [], id="nothing"),
        pytest.param([(0, 0, REGION_FLOOR - 0.01)], [], [], id="below the floor"),
        pytest.param([(0, 0, 0.6)], [(0, 0, 8, 8)], [0.6], id="a corner"),
        pytest.param([(7, 7, 1.0)], [(56, 56, 64, 64)], [1.0], id="the other corner"),
        pytest.param([(2, 2, 0.5), (3, 3, 0.7)], [(16, 16, 32, 32)], [0.7], id="diagonal neighbours are one region"),
        pytest.param(
            [(0, 0, 0.5), (4, 4, 0.9)], [(32, 32, 40, 40), (0, 0, 8, 8)], [0.9, 0.5], id="the strongest comes first"
        ),
    ],
)
def test_a_map_becomes_boxes(
    spots: list[tuple[int, int, float]], boxes: list[tuple[int, int, int, int]], scores: list[float]
) -> None:
    found = regions(heat(*spots), placement(64, 64, INPUT), INPUT)
    assert found.boxes_xyxy.tolist() == [list(map(float, box)) for box in boxes]
    assert found.scores.tolist() == pytest.approx(scores)


def test_a_raised_background_does_not_widen_a_defect() -> None:
    """Ordinary places just below the threshold once joined a dot into one region as large as the frame."""
    values = np.full((8, 8), 0.45, np.float32)
    values[5, 6] = 0.8
    found = regions(values, placement(64, 64, INPUT), INPUT)
    assert found.boxes_xyxy.tolist() == [[48, 40, 56, 48], [0, 0, 64, 64]]
    assert found.scores.tolist() == pytest.approx([0.8, 0.45])
    assert len(regions(np.full((8, 8), 0.45, np.float32), placement(64, 64, INPUT), INPUT)) == 1


def test_every_place_from_the_floor_on_lies_in_a_region_that_says_as_much() -> None:
    """Or a rule that asks for less than 0.5 would pass what it asks for, because a stronger place lies beside it."""
    rng = np.random.default_rng(4)
    for _ in range(100):
        values = rng.random((8, 8)).astype(np.float32)
        found = regions(values, placement(64, 64, INPUT), INPUT)
        for row, column in np.argwhere(values >= REGION_FLOOR):
            middle = np.array([column * 8 + 4, row * 8 + 4])
            around = ((found.boxes_xyxy[:, :2] <= middle) & (middle < found.boxes_xyxy[:, 2:])).all(1)
            assert found.scores[around].max() >= values[row, column]


def test_a_strongest_region_always_has_the_maps_highest_value() -> None:
    rng = np.random.default_rng(3)
    for _ in range(200):
        values = rng.random((8, 8)).astype(np.float32) ** 3
        found = regions(values, placement(100, 40, INPUT), INPUT)
        assert (values.max() >= REGION_FLOOR) == (len(found) > 0)
        if len(found):
            assert found.scores[0] == values.max() == found.frame_score


def test_the_plan_leaves_a_core_to_the_station_and_keeps_one_frame_waiting() -> None:
    from edge.config import InferenceSection

    assert make_plan(InferenceSection(), 6) == Plan(5, 1, 2)
    assert make_plan(InferenceSection(), 1) == Plan(1, 1, 2)
    assert make_plan(InferenceSection(), 6, cameras=3) == Plan(5, 1, 4)
    with pytest.raises(ConfigError, match="3 cameras"):
        make_plan(InferenceSection(requests=2), 6, cameras=3)
    assert make_plan(InferenceSection(threads=2, streams=3, requests=9), 6) == Plan(2, 3, 9)
    assert granted_cpus() >= 1
