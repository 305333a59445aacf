"""The whole station on a classifier: verdicts by class, a place for every reject, faults that never pass."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
from classifier_kit import SPEC, bright_graph, frame, make_classifier
from daemon_kit import daemon, line_to
from station_kit import SIDE, Station

from edge.calibrate.releases.release import ReleaseRequest, take_release
from edge.config import load_config
from edge.daemon import Daemon
from edge.domain.errors import ConfigError
from edge.infer.answers import reader
from models.compile import compile_graph
from models.errors import ModelError
from models.letterbox import placement
from models.progress import SilentProgress
from models.scoring import model_input
from models.spec import Precision

RECIPE = """
[product.recipe]
kind = "classifier"
[product.recipe.classes.bright]
[product.recipe.classes.dark]
"""


@contextmanager
def station(
    folder: Path,
    frames: list[np.ndarray],
    recipe: str = RECIPE,
    nan_above: float | None = None,
    *,
    wrong_selftest: bool = False,
) -> Iterator[Station]:
    made = Station(folder, settings={"camera": {"loop": False}})
    made.config.write_text(made.write_config().read_text() + recipe)
    make_classifier(made.bundles, nan_above=nan_above, wrong_selftest=wrong_selftest)
    (folder / "frames").mkdir()
    for number, image in enumerate(frames):
        cv2.imwrite(str(folder / "frames" / f"{number:03}.png"), image)
    yield made


def told(made: Station, count: int) -> list[tuple[str, list[str]]]:
    answers = []
    with daemon(made), line_to(made) as line:
        line.hear_ready(ready=True)
        for number in range(count):
            line.trigger(f"p-{number}")
            answers.append(line.hear())
            line.ack(f"p-{number}")
    return [(one["verdict"], one["reasons"]) for one in answers]


def test_a_defect_is_rejected_by_the_name_of_its_class_and_a_good_part_passes(tmp_path: Path) -> None:
    with station(tmp_path, [frame(), frame(255), frame(0), frame()]) as made:
        assert told(made, 4) == [("PASS", []), ("REJECT", ["bright:1"]), ("REJECT", ["dark:1"]), ("PASS", [])]


def test_a_value_that_is_not_finite_is_undecided(tmp_path: Path) -> None:
    frames = [frame(), np.full((SIDE, SIDE, 3), 220, np.uint8)]
    with station(tmp_path, frames, nan_above=200) as made:
        assert told(made, 2) == [("PASS", []), ("UNDECIDED", ["model_fault"])]


def test_a_self_test_with_the_right_score_of_the_wrong_class_refuses_the_start(tmp_path: Path) -> None:
    with station(tmp_path, [frame()], wrong_selftest=True) as made, pytest.raises(ModelError, match="self-test"):
        Daemon(load_config(made.config))


@pytest.mark.parametrize(
    "rule",
    [
        pytest.param("max_count = 1", id="number"),
        pytest.param("min_area_px = 9", id="size"),
        pytest.param("zones = [[0, 0, 9, 9]]", id="place"),
    ],
)
def test_a_rule_by_which_a_classified_defect_could_pass_is_refused(tmp_path: Path, rule: str) -> None:
    recipe = RECIPE.replace("classes.dark]", f"classes.dark]\n{rule}")
    with station(tmp_path, [frame()], recipe) as made, pytest.raises(ConfigError, match="whether class 'dark'"):
        Daemon(load_config(made.config))


@pytest.mark.parametrize(
    "bias", [pytest.param(-0.5, id="shown by the map"), pytest.param(3.0, id="nothing speaks for it")]
)
@pytest.mark.parametrize("size", [(64, 64), (200, 40), (30, 300), (3000, 10)], ids=str)
def test_no_score_from_the_threshold_on_is_without_a_box_on_the_frame(size: tuple[int, int], bias: float) -> None:
    """Also where the map is strongest in the padding: grey 114 there is `dark` beside a frame of 128."""
    image = np.full((size[1], size[0], 3), 128, np.uint8)
    image[: max(1, size[1] // 3), : max(1, size[0] // 3)] = 255
    request = compile_graph(bright_graph(bias=bias), Precision.FP32).create_infer_request()
    request.infer({0: model_input(image, SPEC.inputs[0])[None]})
    scores = np.array(request.get_tensor("scores").data[0])
    found = reader(SPEC)(request, placement(*size, SPEC.inputs[0]), SPEC)
    assert scores.max() >= 0.5
    for class_id, score in enumerate(scores):
        if score >= 0.5:
            own = found.class_ids == class_id
            assert found.scores[own].max() == pytest.approx(score, abs=1e-3)
            sides = found.boxes_xyxy[own, 2:] - found.boxes_xyxy[own, :2]
            assert (sides > 0).all()


@pytest.mark.parametrize(("level", "taken"), [pytest.param(None, True, id="good"), pytest.param(255, False, id="bad")])
def test_a_released_classifier_is_taken_unless_good_parts_speak_against_it(
    tmp_path: Path,
    level: int | None,
    taken: bool,  # noqa: FBT001 - a table's row
) -> None:
    made = Station(tmp_path / "line")
    made.config.write_text(made.write_config().read_text() + RECIPE)
    release = make_classifier(tmp_path / "cloud").path
    (tmp_path / "parts").mkdir()
    for number in range(40):
        image = frame(level)
        image[:, ::8] -= np.uint8(20)
        image[number, :4] = 150 + number
        cv2.imwrite(str(tmp_path / "parts" / f"{number:02}.png"), image)
    config = load_config(made.config)
    request = ReleaseRequest(config.product[0], config.bundles_dir, release, tmp_path / "parts", threads=1, speed_s=0.1)
    result = take_release(request, SilentProgress())
    assert result.trial is not None
    assert (result.activated, result.trial.rejected) == (taken, 0 if taken else 40)
