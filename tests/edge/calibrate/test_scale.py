"""How many millimetres a pixel is: right within what it says, oblique targets told, and what shows none refused."""

import json
import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from scale_kit import CODE_MM, SIZE, SQUARE_MM, Picture, bent, board, code, taken
from station_kit import Station, run_json

from edge.calibrate.scale.command import ScaleRequest, measure_scale
from edge.calibrate.scale.measuring import from_board, from_code, from_points
from edge.capture.scales import load_scale
from edge.domain.errors import ConfigError


@pytest.mark.parametrize("turn_deg", [0.0, 17.0, -35.0])
@pytest.mark.parametrize(
    ("paper", "limit"), [pytest.param(board(), 0.0015, id="board"), pytest.param(code(), 0.01, id="code")]
)
def test_the_scale_is_right_within_what_it_says(paper: Picture, limit: float, turn_deg: float) -> None:
    image = taken(paper, 0.12, turn_deg)
    scale = from_board(image, (9, 6), SQUARE_MM) if limit < 0.01 else from_code(image, CODE_MM)
    error = abs(scale.mm_per_px - 0.12)
    assert error < limit * 0.12
    assert error <= scale.uncertainty_mm_per_px < limit * 2 * 0.12
    assert scale.frame_size == SIZE
    assert scale.tilt is not None
    assert scale.tilt < 0.01
    assert scale.warnings == ()


def test_a_board_seen_a_little_obliquely_is_told_and_makes_it_less_sure() -> None:
    scale = from_board(taken(board(), oblique=0.05), (9, 6), SQUARE_MM)
    assert scale.mm_per_px == pytest.approx(0.12, rel=0.003)
    assert scale.tilt is not None
    assert 0.03 < scale.tilt < 0.1
    assert scale.uncertainty_mm_per_px > 0.01 * 0.12
    assert "seen obliquely" in scale.warnings[0]


def test_a_lens_that_bends_lines_is_told() -> None:
    straight = from_board(taken(board()), (9, 6), SQUARE_MM)
    scale = from_board(bent(taken(board()), 0.06), (9, 6), SQUARE_MM)
    assert straight.bend_px is not None
    assert scale.bend_px is not None
    assert scale.bend_px > 4 * straight.bend_px
    assert "the lens bends" in scale.warnings[-1]
    assert scale.uncertainty_mm_per_px > straight.uncertainty_mm_per_px


def test_two_points_give_a_scale_along_their_line() -> None:
    scale = from_points((640, 480), (10, 20, 310, 420), 50)
    assert scale.mm_per_px == pytest.approx(0.1)
    assert scale.uncertainty_mm_per_px == pytest.approx(0.1 * math.sqrt(2) / 500)
    assert (scale.tilt, scale.bend_px) == (None, None)
    assert "neither tilt nor lens" in scale.warnings[0]


def half(image: Picture) -> Picture:
    """Its left half; the rest is covered."""
    covered = image.copy()
    covered[:, SIZE[0] // 2 :] = 200
    return covered


def beside(first: Picture, second: Picture) -> Picture:
    small = [cv2.resize(one, (320, 240), interpolation=cv2.INTER_AREA) for one in (first, second)]
    return np.asarray(np.hstack(small), np.uint8)


def damaged(image: Picture) -> Picture:
    """With most of its modules smeared, its finder marks whole."""
    smeared = image.copy()
    middle = smeared[215:265, 270:370]
    middle[:] = 60
    smeared[255:300, 330:385] = 200
    return smeared


BLANK = np.full((480, 640, 3), 200, np.uint8)


@pytest.mark.parametrize(
    ("image", "corners", "complaint"),
    [
        pytest.param(taken(board(8, 5)), (9, 6), "of 8x5 inner corners, expected 9x6", id="another board"),
        pytest.param(taken(board()), (5, 4), "of 9x6 inner corners, expected 5x4", id="a smaller one was asked for"),
        pytest.param(half(taken(board())), (9, 6), "inner corners, expected 9x6", id="half a board"),
        pytest.param(beside(taken(board()), taken(board(), turn_deg=20)), (9, 6), "two checkerboards", id="two boards"),
        pytest.param(BLANK, (9, 6), "shows no checkerboard", id="no board"),
        pytest.param(taken(code()), (9, 6), "expected 9x6", id="a code"),
        pytest.param(taken(board(), oblique=0.5), (9, 6), "seen obliquely", id="too oblique"),
    ],
)
def test_a_picture_without_the_board_is_refused(image: Picture, corners: tuple[int, int], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        from_board(image, corners, SQUARE_MM)


@pytest.mark.parametrize(
    ("image", "complaint"),
    [
        pytest.param(BLANK, "shows no QR code", id="no code"),
        pytest.param(damaged(taken(code(), 0.06)), "cannot be read", id="a damaged code"),
        pytest.param(beside(taken(code(), 0.06), taken(code(), 0.06)), "2 QR codes", id="two codes"),
        pytest.param(taken(code(), 0.06, oblique=0.4), "seen obliquely", id="too oblique"),
    ],
)
def test_a_picture_without_a_whole_code_is_refused(image: Picture, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        from_code(image, CODE_MM)


@pytest.mark.parametrize(
    ("asked", "complaint"),
    [
        pytest.param({}, "give one way to measure", id="nothing asked"),
        pytest.param({"qr_mm": 20, "points": "1,2,30,4", "mm": 3}, "give one way", id="two ways"),
        pytest.param({"checkerboard": "9x6"}, "give one way to measure, whole", id="squares of no size"),
        pytest.param({"checkerboard": "9", "square_mm": 5}, "inner corners", id="half a board's size"),
        pytest.param({"checkerboard": "9x2", "square_mm": 5}, "3 or more a side", id="a strip"),
        pytest.param({"checkerboard": "9x6", "square_mm": -5}, "--square-mm is a length", id="below nothing"),
        pytest.param({"points": "1,2,3", "mm": 3}, "two points as x1,y1,x2,y2", id="one point and a half"),
        pytest.param({"points": "1,2,nan,4", "mm": 3}, "two points as x1,y1,x2,y2", id="no number"),
        pytest.param({"points": "1,2,640,4", "mm": 3}, "640,4 lies outside the picture of 640x480", id="outside"),
        pytest.param({"points": "1,2,4,4", "mm": 3}, "3.6 px apart", id="nearly one point"),
        pytest.param({"qr_mm": 20}, "shows no QR code", id="no code there"),
    ],
)
def test_what_is_asked_wrongly_is_named(asked: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        measured(ScaleRequest(**asked))


def measured(asked: ScaleRequest) -> None:
    asked.check()
    measure_scale(asked, BLANK)


def test_a_failed_measurement_keeps_nothing(tmp_path: Path) -> None:
    made = Station(tmp_path)
    made.write_config()
    cv2.imwrite(str(tmp_path / "blank.png"), BLANK)
    where = "-c", str(made.config), "--image", str(tmp_path / "blank.png"), "--save"
    code_, said = scale_of(*where, "--checkerboard", "9x6", "--square-mm", "5")
    assert (code_, said["kind"]) == (2, "ConfigError")
    assert "shows no checkerboard" in said["error"]
    assert not (tmp_path / "data" / "scales").exists()


def scale_of(*options: str) -> tuple[int, dict[str, Any]]:
    return run_json(["edge", "camera", "scale", *options, "--json"])


def test_the_command_measures_in_what_the_camera_sees_and_keeps_it(tmp_path: Path) -> None:
    made = Station(tmp_path)
    made.write_config()
    (tmp_path / "frames").mkdir()
    cv2.imwrite(str(tmp_path / "frames" / "1.png"), taken(board()))
    where = "-c", str(made.config), "--checkerboard", "9x6", "--square-mm", "5"
    code_, said = scale_of(*where)
    assert (code_, said["camera"], said["kept"]) == (0, "top", None)
    assert said["mm_per_px"] == pytest.approx(0.12, rel=0.002)
    assert load_scale(tmp_path / "data", "top") is None
    code_, said = scale_of(*where, "--camera", "top", "--save")
    kept = load_scale(tmp_path / "data", "top")
    assert kept is not None
    assert (code_, kept.by, kept.frame_size, kept.mm_per_px) == (0, "checkerboard", SIZE, said["mm_per_px"])
    assert json.loads(Path(said["kept"]).read_text())["schema"] == "inspectd.camera-scale.v1"
    assert scale_of(*where, "--camera", "side")[0] == 2


def test_a_picture_alone_needs_no_station(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cv2.imwrite("seen.png", taken(code(), 0.06))
    code_, said = scale_of("--image", "seen.png", "--qr-mm", "20")
    assert (code_, said["camera"]) == (0, None)
    assert said["mm_per_px"] == pytest.approx(0.06, rel=0.005)
    assert scale_of("--qr-mm", "20")[0] == 2
