import numpy as np
import pytest
from edge_kit import detections

from edge.decide.recipe import Recipe, Rule, check_fit, decide
from edge.domain.errors import ConfigError
from edge.domain.part import Verdict
from models.errors import ModelError
from models.spec import InputSpec, Kind, ModelSpec


def recipe(
    min_score: float = 0.5,
    min_area_px: float = 0,
    max_count: int = 0,
    *zones: tuple[float, ...],
    kind: Kind = Kind.ANOMALY,
) -> Recipe:
    boxes = np.array(zones, np.float32).reshape(-1, 4)
    return Recipe(kind, "1", {"anomaly": Rule(min_score, min_area_px, max_count, boxes)})


def boxed(*zones: tuple[float, ...]) -> Recipe:
    return recipe(0.5, 0, 0, *zones, kind=Kind.DETECTOR)


BOX = (10.0, 10.0, 20.0, 20.0, 0.6)
PASS: tuple[Verdict, tuple[str, ...]] = (Verdict.PASS, ())


@pytest.mark.parametrize(
    ("found", "rules", "expected"),
    [
        pytest.param([], recipe(), PASS, id="nothing found"),
        pytest.param([BOX], recipe(), (Verdict.REJECT, ("anomaly:1",)), id="one found"),
        pytest.param([BOX, BOX], recipe(), (Verdict.REJECT, ("anomaly:2",)), id="two found"),
        pytest.param([BOX], recipe(min_score=0.6), (Verdict.REJECT, ("anomaly:1",)), id="exactly the score"),
        pytest.param([BOX], recipe(min_score=0.61), PASS, id="below the score"),
        pytest.param([BOX], recipe(0.5, 100), (Verdict.REJECT, ("anomaly:1",)), id="exactly the area"),
        pytest.param([BOX], recipe(0.5, 100.5), PASS, id="too small"),
        pytest.param([BOX], recipe(0.5, 0, 1), PASS, id="as many as allowed"),
        pytest.param([BOX, BOX], recipe(0.5, 0, 1), (Verdict.REJECT, ("anomaly:2",)), id="one more than allowed"),
        pytest.param([BOX], boxed((0, 0, 15, 15)), PASS, id="centre on the zone's far edge"),
        pytest.param([BOX], boxed((15, 15, 16, 16)), (Verdict.REJECT, ("anomaly:1",)), id="centre on its near edge"),
        pytest.param(
            [BOX],
            recipe(0.5, 0, 0, (0, 0, 11, 11)),
            (Verdict.REJECT, ("anomaly:1",)),
            id="a region reaches into a zone that its centre is not in",
        ),
        pytest.param([BOX], recipe(0.5, 0, 0, (0, 0, 10, 99)), PASS, id="a region ends where the zone does"),
        pytest.param([BOX], boxed((0, 0, 1, 1), (0, 0, 99, 99)), (Verdict.REJECT, ("anomaly:1",)), id="in one of two"),
    ],
)
def test_decisions(found: list[tuple[float, ...]], rules: Recipe, expected: tuple[Verdict, tuple[str, ...]]) -> None:
    assert decide(detections(*found), ("anomaly",), rules) == expected  # type: ignore[arg-type]


def test_a_class_that_the_model_does_not_have_is_a_fault_and_no_pass() -> None:
    with pytest.raises(ModelError, match="reports class 1"):
        decide(detections(BOX, class_id=1), ("anomaly",), recipe())


def test_more_found_never_turns_a_reject_into_a_pass() -> None:
    rng = np.random.default_rng(5)
    for _ in range(300):
        boxes = [(x, y, x + w, y + h, s) for x, y, w, h, s in rng.random((6, 5)) * [50, 50, 30, 30, 1]]
        rules = recipe(float(rng.random()), float(rng.random() * 400), int(rng.integers(0, 3)))
        fewer, more = (
            decide(detections(*boxes[:3]), ("anomaly",), rules),
            decide(detections(*boxes), ("anomaly",), rules),
        )
        assert fewer[0] is Verdict.PASS or more[0] is Verdict.REJECT


@pytest.mark.parametrize(
    ("rules", "kind", "classes", "complaint"),
    [
        pytest.param(recipe(), Kind.DETECTOR, ("anomaly",), "is of kind detector", id="another kind"),
        pytest.param(recipe(), Kind.ANOMALY, ("scratch",), "the bundle knows", id="an unknown class"),
        pytest.param(recipe(), Kind.ANOMALY, ("anomaly", "scratch"), "no rule for class 'scratch'", id="no rule"),
        pytest.param(recipe(0.3), Kind.ANOMALY, ("anomaly",), "lowest score that is reported", id="below the floor"),
    ],
)
def test_a_recipe_that_does_not_fit_is_refused(
    rules: Recipe, kind: Kind, classes: tuple[str, ...], complaint: str
) -> None:
    spec = ModelSpec(kind, classes, (InputSpec("image", 64, 64),))
    with pytest.raises(ConfigError, match=complaint):
        check_fit(rules, spec, "cell", 0.4)


def test_a_recipe_that_fits() -> None:
    check_fit(recipe(0.4), ModelSpec(Kind.ANOMALY, ("anomaly",), (InputSpec("image", 64, 64),)), "cell", 0.4)
