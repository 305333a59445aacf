from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from detector_kit import Picture, pattern, with_square

from models.alignment import Golden, misfit
from models.errors import AlignmentError, ModelError
from models.spec import Alignment

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
HOW = Alignment(max_shift_px=13.0, min_correlation=0.6)
SIZE = (320, 240)
BORDER = 40


def scene(seed: int = 0) -> Picture:
    """More than a camera sees, so that what moves in is not what moved out."""
    return pattern((SIZE[0] + 2 * BORDER, SIZE[1] + 2 * BORDER), seed)


def seen(world: Picture, right: float = 0, down: float = 0, turn_deg: float = 0, scale: float = 1) -> Picture:
    """What a camera sees of a scene that lies so far to the right and down, turned and scaled about the middle."""
    middle = (world.shape[1] - 1) / 2, (world.shape[0] - 1) / 2
    matrix = cv2.getRotationMatrix2D(middle, turn_deg, scale)
    matrix[:, 2] += right - BORDER, down - BORDER
    return np.asarray(cv2.warpAffine(world, matrix, SIZE, flags=cv2.INTER_LINEAR), np.uint8)


def apart(first: Picture, second: Picture) -> float:
    return float(cv2.absdiff(first, second)[20:-20, 20:-20].mean())


@pytest.mark.parametrize("distance", range(13))
def test_every_shift_within_the_limit_is_found_and_undone(distance: int) -> None:
    aslant = round(distance * 0.7)
    for seed, (right, down) in enumerate(((distance, 0), (0, -distance), (-aslant, aslant))):
        world = scene(seed)
        frame, golden = seen(world, right, down), Golden(seen(world), HOW)
        fit = golden.fit(frame)
        assert fit.shift_px == pytest.approx((right, down), abs=0.5)
        assert apart(golden.onto(frame), frame) < 1.5


@pytest.mark.parametrize(
    ("turn_deg", "scale"),
    [pytest.param(0.8, 1.0, id="turned"), pytest.param(0, 1.01, id="nearer"), pytest.param(-0.5, 0.995, id="both")],
)
def test_a_small_turn_and_another_distance_are_undone_too(turn_deg: float, scale: float) -> None:
    world = scene()
    frame, reference = seen(world, 3, -2, turn_deg, scale), seen(world)
    moved = Golden(reference, HOW).onto(frame)
    assert apart(moved, frame) < 0.5 * apart(reference, frame)
    assert apart(moved, frame) < 2


def test_where_nothing_moved_the_reference_itself_is_given_and_the_frame_is_never_touched() -> None:
    reference = seen(scene())
    golden = Golden(reference, HOW)
    frame = with_square(reference, 100, 100)
    frame.flags.writeable = False
    assert golden.onto(frame) is reference
    assert golden.onto(seen(scene(), 5, 5)) is not reference
    assert golden.onto(frame) is reference


def test_a_defect_pulls_the_reference_nowhere() -> None:
    world = scene()
    frame = with_square(seen(world, 4, 3), 60, 60, side=70)
    assert Golden(seen(world), HOW).fit(frame).shift_px == pytest.approx((4, 3), abs=0.5)


def test_light_and_contrast_make_no_difference() -> None:
    world = scene()
    darker = (seen(world, 5, -3) * 0.4 + 10).astype(np.uint8)
    fit = Golden(seen(world), HOW).fit(darker)
    assert fit.shift_px == pytest.approx((5, -3), abs=0.5)
    assert fit.correlation > 0.95


def test_colours_move_with_the_reference() -> None:
    world = scene()
    world[..., 0] = scene(1)[..., 0]
    frame = seen(world, 6, 2)
    assert apart(Golden(seen(world), HOW).onto(frame), frame) < 1.5


def striped(mark: int, period: int = 16) -> Picture:
    """Stripes of one period, and one place where they are interrupted."""
    columns = (np.arange(SIZE[0] + 2 * BORDER) // (period // 2) % 2 * 160 + 40).astype(np.uint8)
    world = np.repeat(np.tile(columns, (SIZE[1] + 2 * BORDER, 1))[..., None], 3, axis=2)
    world[100:180, mark : mark + 60] = 120
    return world


@pytest.mark.parametrize("right", [2, 9, 11])
def test_a_period_does_not_mislead_where_something_else_tells_the_place(right: int) -> None:
    """Phase correlation gives such a picture one peak a period."""
    world = striped(150)
    assert Golden(seen(world), HOW).fit(seen(world, right)).shift_px[0] == pytest.approx(right, abs=0.5)


def moved_by(right: float, down: float = 0) -> Picture:
    return seen(scene(), right, down)


@pytest.mark.parametrize(
    ("frame", "complaint"),
    [
        pytest.param(seen(scene(7)), "is like its reference by", id="another product"),
        pytest.param(np.ascontiguousarray(np.rot90(seen(scene()), 2)), "is like its reference by", id="upside down"),
        pytest.param(moved_by(15), "beside its reference|is like", id="just beyond the limit"),
        pytest.param(moved_by(0, -30), "beside its reference|is like", id="far beyond it"),
        pytest.param(np.zeros((240, 320, 3), np.uint8), "is like its reference by", id="black"),
        pytest.param(np.full((240, 320, 3), 128, np.uint8), "is like its reference by", id="grey"),
        pytest.param(pattern((320, 241)), "the reference is 320x240, the frame 320x241", id="another size"),
    ],
)
def test_a_frame_that_its_reference_does_not_explain_is_refused(frame: Picture, complaint: str) -> None:
    golden = Golden(seen(scene()), HOW)
    with pytest.raises(AlignmentError, match=complaint):
        golden.onto(frame)
    assert issubclass(AlignmentError, ModelError)


def test_bare_things_fit_what_is_as_bare_and_nothing_else() -> None:
    """Some boards have sections without any copper: nothing there tells a place, and nothing needs to."""
    bare = np.full((240, 320, 3), 250, np.uint8)
    golden = Golden(bare, HOW)
    assert golden.onto(bare) is bare
    assert golden.onto(with_square(bare, 50, 50, 0)) is bare
    for other in (seen(scene()), np.zeros_like(bare), with_square(bare, 50, 50, 0, side=60)):
        with pytest.raises(AlignmentError):
            golden.onto(other)


def squares(*corners: tuple[int, int]) -> Picture:
    image = np.full((640, 640, 3), 30, np.uint8)
    for left, top in corners:
        image = with_square(image, left, top, 200, 24)
    return image


@pytest.mark.parametrize(
    "corners",
    [
        pytest.param([(160, 100), (360, 300), (560, 500)], id="60 px aside"),
        pytest.param([], id="no part at all"),
        pytest.param([(500, 60), (60, 500), (300, 100)], id="another layout"),
    ],
)
def test_a_part_of_few_things_is_missed_when_it_is_not_there(corners: list[tuple[int, int]]) -> None:
    """Such a frame differs from its reference by less than 1 % of full scale."""
    golden = Golden(squares((100, 100), (300, 300), (500, 500)), Alignment())
    golden.onto(squares((100, 100), (300, 300), (500, 500)))
    with pytest.raises(AlignmentError):
        golden.onto(squares(*corners))


@pytest.mark.parametrize("size", [(1, 1000), (1000, 1), (5, 5), (2000, 30), (33, 200)], ids=str)
def test_thin_and_tiny_frames_are_handled(size: tuple[int, int]) -> None:
    reference = pattern(size)
    assert Golden(reference, HOW).onto(reference.copy()) is reference


def test_without_limits_only_the_size_is_checked() -> None:
    reference = pattern(SIZE)
    golden = Golden(reference, None)
    assert golden.onto(seen(scene(7))) is reference
    with pytest.raises(AlignmentError, match="take the reference with this camera"):
        golden.onto(pattern((64, 64)))


@pytest.mark.parametrize("limits", [(-1.0, 0.5), (5.0, 1.5), (float("nan"), 0.5)], ids=str)
def test_limits_that_mean_nothing_are_refused(limits: tuple[float, float]) -> None:
    with pytest.raises(ModelError, match="alignment"):
        Alignment(*limits)


@pytest.fixture(scope="module")
def pairs() -> list[tuple[str, Any, Any]]:
    folder = DATA / "deeppcb"
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent: test data that is not part of the repository")
    names = sorted(path.name for path in (folder / "images").iterdir())[::20]
    both = (tuple(cv2.imread(str(folder / kind / name)) for kind in ("images", "templates")) for name in names)
    return [(name, image, golden) for name, (image, golden) in zip(names, both, strict=True)]


def test_real_boards_lie_on_their_templates_better_than_they_came(pairs: list[tuple[str, Any, Any]]) -> None:
    before = after = 0.0
    for _, image, template in pairs:
        golden = Golden(template, Alignment())
        before += apart(image, template)
        after += apart(image, golden.onto(image))
    assert after < 0.8 * before


def test_templates_of_other_boards_are_refused(pairs: list[tuple[str, Any, Any]]) -> None:
    """`make bench` has the shares over all boards."""
    for (name, image, _), (other, _, template) in zip(pairs, pairs[25:] + pairs[:25], strict=True):
        if name[:5] != other[:5]:
            assert misfit(Golden(template, Alignment()).fit(image), Alignment())
