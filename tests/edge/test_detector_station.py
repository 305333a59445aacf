"""The whole station on a detector: verdicts by class, a reference that fits or not, faults that never pass."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from daemon_kit import daemon, line_to, status
from detector_kit import RECIPE, Picture, grey, make_detector, pattern, with_square
from edge_rows import rows
from station_kit import SIDE, Station

from edge.config import load_config
from edge.daemon import Daemon
from edge.domain.errors import ConfigError
from models.errors import ModelError
from models.spec import Tiling

GOLDEN = pattern((104, 84), seed=11)
SEEN = np.ascontiguousarray(GOLDEN[10:-10, 20:-20])


def seen(right: int = 0, down: int = 0) -> Picture:
    """The part, as the camera sees it, moved so far."""
    return np.ascontiguousarray(GOLDEN[10 - down : 74 - down, 20 - right : 84 - right])


@contextmanager
def station(
    folder: Path,
    frames: list[Picture],
    *,
    product: str = "",
    recipe: str = RECIPE,
    **about: Any,  # noqa: ANN401 - bundle
) -> Iterator[Station]:
    """A station whose camera replays these frames, one for each trigger."""
    made = Station(folder, settings={"camera": {"loop": False}})
    text = made.write_config().read_text()
    made.config.write_text(text + product + recipe)
    make_detector(made.bundles, **about)
    (folder / "frames").mkdir()
    for number, frame in enumerate(frames):
        cv2.imwrite(str(folder / "frames" / f"{number:03}.png"), frame)
    cv2.imwrite(str(folder / "golden.png"), seen())
    yield made


def told(made: Station, count: int) -> list[tuple[str, list[str]]]:
    with daemon(made), line_to(made) as line:
        line.hear_ready(ready=True)
        answers = []
        for number in range(count):
            line.trigger(f"p-{number}")
            answers.append(line.hear())
            line.ack(f"p-{number}")
    return [(one["verdict"], one["reasons"]) for one in answers]


REFERENCE = "reference = 'golden.png'\n"


def test_each_class_has_its_rule(tmp_path: Path) -> None:
    two_dark = with_square(with_square(grey(), 4, 4, 0), 40, 40, 0)
    frames = [grey(), with_square(grey(), 10, 20), with_square(grey(), 10, 20, 0), two_dark]
    with station(tmp_path, frames) as made:
        assert told(made, 4) == [("PASS", []), ("REJECT", ["bright:1"]), ("PASS", []), ("REJECT", ["dark:2"])]
        assert rows(made.database, "SELECT count(*) FROM inspections WHERE outcome = 'told'") == [(4,)]


def test_beside_its_reference_a_moved_part_passes_and_a_defect_is_found(tmp_path: Path) -> None:
    frames = [seen(), seen(2, -3), with_square(seen(), 20, 30), with_square(seen(2, -3), 20, 30)]
    with station(tmp_path, frames, product=REFERENCE, compares=True) as made:
        assert told(made, 4) == [("PASS", []), ("PASS", []), ("REJECT", ["bright:1"]), ("REJECT", ["bright:1"])]


def test_a_part_that_its_reference_does_not_explain_is_undecided_and_the_station_stays_ready(tmp_path: Path) -> None:
    """Whether one part lies wrong is no fault of the model: the next is inspected."""
    frames = [seen(), pattern(seed=5), seen(10, 10), grey((80, 60)), seen()]
    misaligned = ("UNDECIDED", ["reference_misaligned"])
    with station(tmp_path, frames, product=REFERENCE, compares=True) as made:
        assert told(made, 5) == [("PASS", []), misaligned, misaligned, misaligned, ("PASS", [])]
        assert status(made)["why"] == "stopped"


def test_a_nan_that_suppression_drops_is_undecided(tmp_path: Path) -> None:
    frames = [grey(), np.full((SIDE, SIDE, 3), 220, np.uint8)]
    with station(tmp_path, frames, nan_above=200) as made:
        assert told(made, 2) == [("PASS", []), ("UNDECIDED", ["model_fault"])]


def test_a_large_frame_is_inspected_in_tiles(tmp_path: Path) -> None:
    large = grey((640, 480))
    frames = [large, with_square(large, 333, 222), with_square(large, 2, 470)]
    with station(tmp_path, frames, tiling=Tiling(SIDE, 24)) as made:
        assert [verdict for verdict, _ in told(made, 3)] == ["PASS", "REJECT", "REJECT"]


def test_a_failed_self_test_refuses_the_start(tmp_path: Path) -> None:
    with station(tmp_path, [grey()], wrong_selftest=True) as made, pytest.raises(ModelError, match="self-test"):
        Daemon(load_config(made.config))


@pytest.mark.parametrize(
    ("product", "compares", "complaint"),
    [
        pytest.param("", True, "set reference to a picture", id="wanted and not given"),
        pytest.param(REFERENCE, False, "remove", id="given and not wanted"),
        pytest.param("reference = 'gone.png'\n", True, "no readable image", id="not there"),
        pytest.param("reference = 'station.toml'\n", True, "no readable image", id="no image"),
    ],
)
def test_a_reference_that_does_not_suit_the_bundle_is_refused_at_the_start(
    tmp_path: Path,
    product: str,
    compares: bool,  # noqa: FBT001 - what the bundle wants
    complaint: str,
) -> None:
    made = station(tmp_path, [grey()], product=product, compares=compares)
    with made as one, pytest.raises(ConfigError, match=complaint):
        Daemon(load_config(one.config))


def test_a_recipe_for_another_kind_is_refused_at_the_start(tmp_path: Path) -> None:
    with (
        station(tmp_path, [grey()], recipe="") as made,
        pytest.raises(ConfigError, match="bundle is of kind detector"),
    ):
        Daemon(load_config(made.config))
