"""The engine on detectors: beside a reference, tile by tile, every wait bounded, no request lost."""

import dataclasses
import time
from pathlib import Path

import numpy as np
import pytest
from detector_kit import MOST, grey, make_detector, pattern, with_square
from station_kit import SIDE

from edge.decide.recipe import Recipe, Rule, check_fit
from edge.domain.errors import ConfigError
from edge.infer.answers import reader, reported
from edge.infer.comparing import ComparingEngine
from edge.infer.engine import ModelTimeoutError
from edge.infer.openvino import OpenVinoEngine
from edge.infer.plan import Plan, make_plan
from edge.infer.regions import REGION_FLOOR
from models.bundle import Bundle
from models.compile import compile_bundle
from models.detecting import detect_images
from models.detections import Detections
from models.errors import AlignmentError, ModelError
from models.spec import Kind, Tiling

PLAN = Plan(1, 1, 2)
TILED = Plan(1, 1, 2, 2)
TILING = Tiling(SIDE, 24)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_detector(tmp_path_factory.mktemp("alone"), tiling=TILING)


@pytest.fixture(scope="module")
def comparing(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_detector(tmp_path_factory.mktemp("comparing"), compares=True, tiling=TILING)


def same(first: Detections, second: Detections) -> bool:
    if first.class_ids.tolist() != second.class_ids.tolist():
        return False
    return np.allclose(first.boxes_xyxy, second.boxes_xyxy) and np.allclose(first.scores, second.scores, atol=1e-4)


def idle(engine: OpenVinoEngine) -> int:
    return engine._idle.qsize()  # noqa: SLF001 - no request is lost


@pytest.mark.parametrize("size", [(64, 64), (80, 60), (31, 200), (1, 500), (333, 222)], ids=str)
def test_the_station_sees_what_evaluation_sees(alone: Bundle, size: tuple[int, int]) -> None:
    engine = OpenVinoEngine(alone, TILED)
    frame = with_square(grey(size), size[0] // 3, size[1] // 3)
    (expected,) = detect_images(compile_bundle(alone, threads=1), [frame], alone.spec)
    assert same(engine.submit(frame, 5).result(5), expected)
    assert idle(engine) == TILED.requests


def test_beside_a_reference_it_sees_what_evaluation_sees_whether_or_not_the_part_moved(comparing: Bundle) -> None:
    world = pattern((220, 170), seed=4)
    reference = np.ascontiguousarray(world[10:-10, 10:-10])
    frames = [reference, reference, with_square(np.ascontiguousarray(world[7:-13, 12:-8]), 90, 70)] * 2
    engine = ComparingEngine(OpenVinoEngine(comparing, TILED), reference)
    expected = detect_images(compile_bundle(comparing, threads=1), frames, comparing.spec, [reference] * len(frames))
    for frame, wanted in zip(frames, expected, strict=True):
        assert same(engine.submit(frame, 5).result(5), wanted)
    assert (expected[2].scores[0] > 0.5, len(expected[0])) == (True, 0)


def test_two_products_share_an_engine_and_not_their_references(comparing: Bundle) -> None:
    engine = OpenVinoEngine(comparing, PLAN)
    first, second = (ComparingEngine(engine, pattern(seed=seed)) for seed in (1, 2))
    for _ in range(3):
        assert len(first.submit(pattern(seed=1), 5).result(5)) == 0
        assert len(second.submit(pattern(seed=2), 5).result(5)) == 0
        with pytest.raises(AlignmentError):
            first.submit(pattern(seed=2), 5)
    assert idle(engine) == PLAN.requests


def test_a_model_that_compares_refuses_a_frame_alone(comparing: Bundle) -> None:
    with pytest.raises(ModelError, match="golden reference"):
        OpenVinoEngine(comparing, PLAN).submit(pattern(), 5)


@pytest.mark.parametrize("plan", [Plan(1, 1, 1, 1), Plan(1, 1, 3, 2), Plan(2, 2, 4, 4)], ids=str)
def test_more_tiles_than_requests_are_all_looked_at(alone: Bundle, plan: Plan) -> None:
    engine = OpenVinoEngine(alone, plan)
    large = grey((600, 400))
    for left, top in ((3, 3), (300, 200), (590, 390)):
        large = with_square(large, left, top)
    for _ in range(3):
        found = engine.submit(large, 5).result(5)
        assert int((found.scores >= 0.5).sum()) == 3
        assert idle(engine) == plan.requests


def test_the_tiles_of_one_camera_leave_requests_to_the_others(alone: Bundle) -> None:
    """All cameras of a part are started before the first is read: each must find a request."""
    from edge.config import InferenceSection

    plan = make_plan(InferenceSection(), 2, cameras=3, tiled=True)
    assert plan.per_frame * 3 <= plan.requests
    engine = OpenVinoEngine(alone, plan)
    tickets = [engine.submit(with_square(grey((200, 200)), 112, 112), 5) for _ in range(3)]
    assert [int((ticket.result(5).scores >= 0.5).sum()) for ticket in tickets] == [1, 1, 1]


@pytest.mark.parametrize(("requests", "cameras", "per_frame"), [(0, 1, 2), (0, 2, 2), (5, 2, 2), (3, 3, 1), (8, 1, 8)])
def test_a_plan_for_tiles_never_promises_more_requests_than_there_are(
    requests: int, cameras: int, per_frame: int
) -> None:
    from edge.config import InferenceSection

    plan = make_plan(InferenceSection(requests=requests), 4, cameras, tiled=True)
    assert plan.per_frame == per_frame
    assert cameras * plan.per_frame <= plan.requests


def test_a_frame_of_many_tiles_that_takes_too_long_ends_in_time_and_loses_no_request(alone: Bundle) -> None:
    engine = OpenVinoEngine(alone, TILED)
    huge = grey((6000, 4000))
    started_s = time.monotonic()
    with pytest.raises(ModelTimeoutError):
        engine.submit(huge, 0.05).result(0)
    assert time.monotonic() - started_s < 2
    for _ in range(2 * TILED.requests):
        assert len(engine.submit(grey(), 5).result(5)) == 0
    assert idle(engine) == TILED.requests


def test_a_tile_that_is_broken_breaks_the_frame_and_not_the_next(tmp_path: Path) -> None:
    """One tile of many is too bright for this graph: an empty rest must not pass for an answer."""
    engine = OpenVinoEngine(make_detector(tmp_path, nan_above=200, tiling=TILING), TILED)
    part_bright = grey((200, 100))
    part_bright[:64, :64] = 255
    for _ in range(2 * TILED.requests):
        with pytest.raises(ModelError, match="not finite"):
            engine.submit(part_bright, 5).result(5)
        assert len(engine.submit(grey((200, 100)), 5).result(5)) == 0
    assert idle(engine) == TILED.requests


def test_a_detector_that_answers_otherwise_than_its_bundle_says_never_starts(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="self-test"):
        OpenVinoEngine(make_detector(tmp_path, wrong_selftest=True), PLAN)


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_has_what_reads_its_answers(alone: Bundle, kind: Kind) -> None:
    assert callable(reader(dataclasses.replace(alone.spec, kind=kind)))


def test_what_a_detector_reports_follows_from_its_thresholds(alone: Bundle) -> None:
    """The graph drops probabilities below 0.2; with 0.5 at its threshold that is a score of 0.2."""
    assert reported(alone).score_floor == pytest.approx(0.2)
    assert reported(alone).most_findings == MOST


def rule(min_score: float = 0.5, max_count: int = 0) -> Rule:
    return Rule(min_score, 0, max_count, np.zeros((0, 4), np.float32))


@pytest.mark.parametrize(
    ("kind", "rules", "complaint"),
    [
        pytest.param(Kind.DETECTOR, {"bright": rule(), "dark": rule(0.1)}, "below 0.2", id="a score never reported"),
        pytest.param(
            Kind.DETECTOR, {"bright": rule(), "dark": rule(0.5, MOST)}, "never be exceeded", id="a count never reached"
        ),
        pytest.param(Kind.DETECTOR, {"bright": rule()}, "no rule for class 'dark'", id="a class unjudged"),
        pytest.param(
            Kind.DETECTOR, {"bright": rule(), "dark": rule(), "dent": rule()}, "names class 'dent'", id="no such class"
        ),
        pytest.param(Kind.ANOMALY, {"bright": rule(), "dark": rule()}, "kind anomaly", id="another kind"),
    ],
)
def test_rules_that_do_not_fit_a_detector_are_refused(
    alone: Bundle, kind: Kind, rules: dict[str, Rule], complaint: str
) -> None:
    seen = reported(alone)
    with pytest.raises(ConfigError, match=complaint):
        check_fit(Recipe(kind, "1", rules), alone.spec, "p", seen.score_floor, seen.most_findings)


def test_what_an_anomaly_model_reports_is_unchanged(tmp_path: Path) -> None:
    from station_kit import make_bundle

    assert reported(make_bundle(tmp_path)).score_floor == REGION_FLOOR
