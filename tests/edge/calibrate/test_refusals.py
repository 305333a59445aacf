"""Frames that are not like the rest of their set are refused, and good ones are not: made parts, and real ones."""

import re
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from faults_kit import black, blurred, exposed, halved, moved
from live_kit import Image, shown
from plates_kit import plate

from edge.calibrate.frames.collect import SHOWN, Collected, Refusal, collect
from edge.calibrate.frames.cropping import Cropping, cropping_of
from edge.calibrate.frames.near_copies import copies, is_copy, residue_limit, small
from edge.calibrate.frames.refused_section import refused_json, refused_section
from edge.calibrate.pictures import ChecksTarget, only_checks
from edge.config import CameraSection
from models.progress import SilentProgress

DATA = Path(__file__).parents[4] / "shared" / "data"
GOOD = 60


def noisy(image: Image, sigma: float, seed: int = 0) -> Image:
    grain = np.random.default_rng(seed).normal(0, sigma, image.shape[:2])[..., None]
    return np.clip(image + grain, 0, 255).astype(np.uint8)


def framed(number: int) -> Image:
    """A plate as a camera sees it: with noise."""
    return noisy(plate(number), 1.5, number)


def write(folder: Path, images: dict[str, Image]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, image in images.items():
        cv2.imwrite(str(folder / name), image)
    return folder


def plates(count: int = GOOD) -> dict[str, Image]:
    return {f"good{number:03}.png": framed(number) for number in range(count)}


def refused(folder: Path, **options: bool) -> dict[str, str]:
    return {refusal.name: refusal.word for refusal in collect(folder, SilentProgress(), **options).refused}


FAULTS: list[object] = [
    pytest.param(lambda image: blurred(image, 3, 1.5), "blurred", id="out of focus"),
    pytest.param(lambda image: exposed(image, 2.5), "clipped", id="overexposed"),
    pytest.param(lambda image: exposed(image, -4), "clipped", id="underexposed"),
    pytest.param(black, "black", id="lens cap"),
    pytest.param(lambda image: moved(image, 0.1), "shifted", id="camera moved"),
    pytest.param(halved, "size", id="another size"),
    pytest.param(lambda image: np.full_like(image, 140), "flat", id="nothing in sight"),
]


@pytest.mark.parametrize("share", [pytest.param(4, id="few"), pytest.param(14, id="a fifth")])
@pytest.mark.parametrize(("fault", "word"), FAULTS)
def test_frames_with_a_fault_are_refused_by_its_name_and_no_good_one_is(
    tmp_path: Path, fault: Callable[[Image], Image], word: str, share: int
) -> None:
    bad = {f"bad{number:03}.png": noisy(fault(plate(900 + number)), 0.7, number) for number in range(share)}
    if word in {"flat", "black"}:
        bad = {name: fault(plate(900)) + np.uint8(number % 3) for number, name in enumerate(bad)}
    found = refused(write(tmp_path, plates() | bad))
    assert set(found) == set(bad)
    assert sum(each == word for each in found.values()) >= (1 if word in {"flat", "black"} else share)


def test_no_good_plate_is_refused(tmp_path: Path) -> None:
    assert refused(write(tmp_path, plates(120))) == {}


def test_a_shot_of_the_same_part_again_is_a_near_duplicate_of_the_first(tmp_path: Path) -> None:
    again = {f"good{number:03}-again.png": noisy(plate(number), 1.5, 500 + number) for number in range(6)}
    collected = collect(write(tmp_path, plates() | again), SilentProgress())
    assert [refusal.reason for refusal in collected.refused] == [
        f"near_duplicate: as good{number:03}-again.png but for noise" for number in range(6)
    ]
    assert len(collected.frames) == GOOD
    everything = collect(tmp_path, SilentProgress(), refuse_near_duplicates=False)
    assert (len(everything.frames), everything.refused) == (GOOD + 6, ())


def test_look_alikes_stay_with_the_split(tmp_path: Path) -> None:
    """The same part in another light or another place is dealt with its twin, as before; it is not noise."""
    lit = {f"lit{number:03}.png": exposed(framed(number), 0.8) for number in range(3)}
    moved_ = {f"moved{number:03}.png": np.roll(framed(number + 10), 2, axis=1) for number in range(3)}
    assert refused(write(tmp_path, plates() | lit | moved_)) == {}


@pytest.mark.parametrize(
    ("sigma", "size"),
    [
        pytest.param(0.5, (160, 120), id="little noise, small"),
        pytest.param(1.5, (160, 120), id="some noise, small"),
        pytest.param(0.5, (960, 540), id="little noise, large"),
        pytest.param(4, (960, 540), id="much noise, large"),
    ],
)
def test_noise_gain_and_offset_do_not_hide_a_copy_and_one_spot_does(sigma: float, size: tuple[int, int]) -> None:
    part = cv2.GaussianBlur(shown(1, size=size), (0, 0), 1).astype(np.uint8)
    first, again = (small(noisy(part, sigma, seed)) for seed in (1, 2))
    brighter = small(np.clip(noisy(part, sigma, 3) * 1.05 + 3, 0, 255).astype(np.uint8))
    scratched = part.copy()
    scratched[40:60, 40:60] //= 2
    limit = residue_limit(size)
    assert is_copy(first, again, limit)
    assert is_copy(first, brighter, limit)
    assert not is_copy(first, small(noisy(scratched, sigma, 4)), limit)
    assert not is_copy(first, small(noisy(shown(2, size=size), sigma, 5)), limit)


def test_copies_are_found_across_the_chunks_of_a_large_set_and_name_the_first() -> None:
    distinct = np.random.default_rng(0).integers(0, 256, (600, 64, 64), np.uint8)
    found = copies([distinct[number % 600] for number in range(1300)], [residue_limit((160, 120))] * 1300)
    assert found == {index: index % 600 for index in range(600, 1300)}
    assert copies([], []) == {}


def test_parts_that_lie_anywhere_are_never_shifted_and_sizes_that_vary_are_none_refused(tmp_path: Path) -> None:
    anywhere = {f"{number:03}.png": moved(shown(number), (number % 9 - 4) / 20) for number in range(40)}
    assert refused(write(tmp_path / "anywhere", anywhere)) == {}
    sizes = {f"{number:03}.png": shown(number, size=(150 + number, 130)) for number in range(40)}
    assert refused(write(tmp_path / "sizes", sizes)) == {}


def test_six_lights_are_no_fault(tmp_path: Path) -> None:
    lights = {f"{number:03}.png": exposed(framed(number), (number % 6 - 3) / 3) for number in range(GOOD)}
    assert refused(write(tmp_path, lights)) == {}


def test_a_few_frames_are_judged_by_themselves_alone(tmp_path: Path) -> None:
    few = {f"{number}.png": framed(number) for number in range(5)}
    odd = {"dark.png": exposed(plate(9), -3), "narrow.png": plate(8)[:, :150]}
    assert refused(write(tmp_path, few | odd)) == {}


def test_a_jpeg_cut_short_is_refused(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "whole.jpg"), framed(1))
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:-600])
    assert refused(tmp_path) == {"cut.jpg": "unreadable"}


@pytest.mark.parametrize(
    ("bad", "word", "advice"),
    [
        pytest.param(
            lambda number: noisy(plate(0), 1.5, 700 + number), "near_duplicate", "the belt stood", id="a standing belt"
        ),
        pytest.param(black, "black", "lens cap", id="a lens cap"),
    ],
)
def test_where_more_than_a_third_is_refused_it_says_what_is_likely_wrong(
    tmp_path: Path, bad: Callable[[object], Image], word: str, advice: str
) -> None:
    frames = {f"bad{number:03}.png": bad(number if word != "black" else framed(0)) for number in range(40)}
    collected = collect(write(tmp_path, plates(30) | frames), SilentProgress())
    assert "More than a third was refused" in collected.told
    assert advice in collected.trouble
    assert advice in refused_section(collected)
    assert collect(write(tmp_path / "good", plates(30)), SilentProgress()).told == "30 frames are used, none refused"


def test_the_report_shows_small_pictures_of_each_reason_and_never_too_many(tmp_path: Path) -> None:
    small_ones = {f"tiny{number:03}.png": plate(number)[:20] for number in range(50)}
    other = {"a<b>.png": blurred(plate(901), 6), "black.png": black(plate(1))}
    collected = collect(write(tmp_path, plates(30) | small_ones | other), SilentProgress())
    pictured = [refusal for refusal in collected.refused if refusal.name in collected.pictures]
    assert len(pictured) == len(collected.pictures) == SHOWN
    assert {refusal.word for refusal in pictured} == {"small", "blurred", "black"}
    for picture in collected.pictures.values():
        image = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
        assert image is not None
        assert max(image.shape) <= 96
    page = refused_section(collected)
    assert page.count("<img ") == page.count('src="data:image/jpeg;base64,') == SHOWN
    assert "a&lt;b&gt;.png" in page
    assert "a<b>" not in page
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    assert refused_json(collected)["by_reason"] == {"small": 50, "blurred": 1, "black": 1}


def test_a_section_without_refusals_and_one_with_very_many_are_short() -> None:
    assert "none refused" in refused_section(Collected((), ()))
    page = refused_section(Collected((), tuple(Refusal(f"{number}.png", "black: mean 0") for number in range(5000))))
    assert "and 4940 more" in page
    assert len(page) < 20_000


def test_what_is_kept_of_a_frame_does_not_grow_with_its_pixels(tmp_path: Path) -> None:
    """Thousands of frames of 1080p are 6 MB each; measures and thumbnails are not."""
    folder = write(tmp_path, {"0.png": shown(1, size=(1920, 1080)), "1.png": shown(2, size=(1920, 1080))})
    collected = collect(folder, SilentProgress())
    held = [frame.thumbnail for frame in collected.frames]
    assert all(one.base is None or one.base.nbytes <= 4 * 64 * 64 for one in held)
    assert sum(one.nbytes for one in held) < 40_000


ROI = (20, 10, 148, 106)


def test_a_folder_is_cut_to_the_cameras_roi_and_what_was_cut_before_is_taken(tmp_path: Path) -> None:
    whole = {f"{number:03}.png": shown(number) for number in range(30)}
    before = {f"c{number:03}.png": shown(100 + number)[10:106, 20:148] for number in range(10)}
    strange = {"other.png": shown(7, size=(300, 200)), "little.png": shown(8, size=(100, 90))}
    folder = write(tmp_path / "frames", whole | before | strange)
    collected = collect(folder, SilentProgress(), cropping=Cropping(ROI, tmp_path / "cut"))
    assert {refusal.name: refusal.reason for refusal in collected.refused} == {
        name: f"size: {size} pixels, expected 128x96 of the camera's roi or whole 160x120"
        for name, size in (("other.png", "300x200"), ("little.png", "100x90"))
    }
    assert {(frame.width, frame.height) for frame in collected.frames} == {(128, 96)}
    for frame in collected.frames:
        name = frame.path.name
        seen = cv2.imread(str(frame.path))
        expected = before[name] if name in before else whole[name][10:106, 20:148]
        assert seen is not None
        assert np.array_equal(seen, expected)
    assert {frame.path.parent.name for frame in collected.frames} == {"frames", "cut"}
    write(folder, {"z.png": noisy(whole["000.png"], 1, 5)})
    again = collect(folder, SilentProgress(), cropping=Cropping(ROI, tmp_path / "cut"))
    assert ("z.png", "near_duplicate: as 000.png but for noise") in {(r.name, r.reason) for r in again.refused}
    assert set(again.pictures) == {"z.png", "other.png", "little.png"}
    assert again.digest == collected.digest


def test_a_cameras_checks_are_learned_from_what_its_roi_leaves(tmp_path: Path) -> None:
    folder = write(tmp_path / "frames", {f"{number:03}.png": shown(number) for number in range(24)})
    camera = CameraSection.model_validate({"id": "top", "source": 0, "roi": ROI})
    target = ChecksTarget(tmp_path / "data", "part", "top")
    learned = only_checks(target, folder, SilentProgress(), cropping=cropping_of(camera, tmp_path / "cut"))
    assert learned.limits is not None
    assert learned.limits.size == (128, 96)
    assert cropping_of(camera.model_copy(update={"roi": None}), tmp_path) is None


@pytest.mark.skipif(not DATA.is_dir(), reason="no ../shared/data beside the repository")
@pytest.mark.parametrize(
    ("folder", "most"),
    [
        pytest.param("magnetic_tile/good", 2, id="castings of all sizes under six lights"),
        pytest.param("aliens/normal", 0, id="parts laid by hand"),
    ],
)
def test_real_good_parts_are_not_refused(folder: str, most: int) -> None:
    collected = collect(DATA / folder, SilentProgress())
    assert len(collected.refused) <= most, collected.told
    assert len(collected.frames) > 50
