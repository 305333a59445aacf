"""Whether good parts should be laid on each other, and on what: told from how they lie."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from detector_kit import Picture, with_square
from pose_kit import INPUT, SIZE, seen, world

from models.anomaly.layout import Worth, judge_layout, survey
from models.errors import RequestError
from models.registration import Fit

PART = world()


def frames(folder: Path, count: int, *, far_px: float = 0, turn_deg: float = 0, others: int = 0) -> list[Path]:
    """Pictures of one part, lit and noisy a little differently, so far off at most; the last few of other parts."""
    random = np.random.default_rng(3)
    folder.mkdir()
    for index in range(count):
        right, down = random.uniform(-far_px, far_px, 2)
        shown = seen(
            world(50 + index) if index >= count - others else PART, right, down, random.uniform(-turn_deg, turn_deg)
        )
        lit = shown * random.uniform(0.9, 1.1) + random.normal(0, 4, shown.shape)
        cv2.imwrite(str(folder / f"{index:03}.png"), np.clip(lit, 0, 255).astype(np.uint8))
    return sorted(folder.iterdir())


def test_parts_that_lie_apart_are_to_be_laid_on_each_other(tmp_path: Path) -> None:
    paths = frames(tmp_path / "good", 24, far_px=8, turn_deg=2)
    found = survey(paths)
    assert found.judgement.worth is Worth.NEEDED
    assert "calibrate with --align" in found.judgement.why
    assert found.misfits == ()
    pose = found.pose(INPUT)
    fits = [pose.fit(np.asarray(cv2.imread(str(path)), np.uint8)) for path in paths]
    assert min(fit.correlation for fit in fits) > 0.9
    assert max(fit.farthest_px for fit in fits) < pose.how.max_shift_px < 0.13 * SIZE[0]
    assert survey(paths).as_json() == found.as_json()


def test_parts_that_lie_alike_need_not(tmp_path: Path) -> None:
    found = survey(frames(tmp_path / "good", 12, far_px=0.5))
    assert found.judgement.worth is Worth.NOT_NEEDED
    assert "they need not" in found.judgement.why
    found.pose(INPUT)


def test_parts_that_cannot_be_laid_on_each_other_are_refused(tmp_path: Path) -> None:
    found = survey(frames(tmp_path / "good", 10, others=10))
    assert found.judgement.worth is Worth.OF_NO_USE
    with pytest.raises(RequestError, match="cannot be laid on each other"):
        found.pose(INPUT)


def test_a_strange_frame_among_the_good_is_named(tmp_path: Path) -> None:
    paths = frames(tmp_path / "good", 40, far_px=6, others=1)
    looked: list[None] = []
    found = survey(paths, advance=lambda: looked.append(None))
    assert found.judgement.worth is Worth.NEEDED
    assert [path for path, _ in found.misfits] == paths[-1:]
    assert "is like its reference by" in found.misfits[0][1]
    assert len(looked) == 40
    assert found.as_json()["misaligned"] == [paths[-1].name]


def test_the_products_own_picture_says_where_parts_should_lie(tmp_path: Path) -> None:
    paths = frames(tmp_path / "good", 12, far_px=4)
    golden: Picture = seen(PART)
    found = survey(paths, golden)
    assert found.reference.shape == golden.shape
    assert found.judgement.worth is not Worth.OF_NO_USE


def test_a_defect_is_no_misfit(tmp_path: Path) -> None:
    pose = survey(frames(tmp_path / "good", 20, far_px=6)).pose(INPUT)
    blotted = seen(with_square(PART, 120, 90, 255, 40), 5, -3)
    assert pose.fit(blotted).correlation > pose.how.min_correlation
    pose.place(blotted)


def test_too_few_frames_say_nothing(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="4 frames, expected 5"):
        survey(frames(tmp_path / "good", 4))


def fit(far_px: float, laid: float, before: float) -> Fit:
    return Fit(np.eye(3)[:2], (far_px, 0.0), far_px, 0.0, laid, before, same=False)


@pytest.mark.parametrize(
    ("fits", "worth"),
    [
        pytest.param([fit(12, 0.95, 0.5)] * 20, Worth.NEEDED, id="far off, alike once laid"),
        pytest.param([fit(2, 0.95, 0.9)] * 20, Worth.NOT_NEEDED, id="hardly off"),
        pytest.param([fit(20, 0.95, 0.945)] * 20, Worth.NOT_NEEDED, id="a move that makes nothing more alike"),
        pytest.param([fit(12, 0.95, 0.5)] * 18 + [fit(12, 0.2, 0.1)] * 2, Worth.OF_NO_USE, id="one in ten unlike"),
    ],
)
def test_the_judgement_follows_from_how_they_lie(fits: list[Fit], worth: Worth) -> None:
    assert judge_layout(fits, 300).worth is worth


def test_limits_leave_room_and_never_make_a_defect_a_misfit() -> None:
    limits = judge_layout([fit(float(far), 0.99, 0.5) for far in range(13)], 300).limits
    assert limits.max_shift_px == pytest.approx(12 * 1.25 + 3)
    assert limits.min_correlation == pytest.approx(0.6)
    assert judge_layout([fit(100, 0.99, 0.5)] * 5, 300).limits.max_shift_px == pytest.approx(36)
