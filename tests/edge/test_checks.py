"""What a camera's checks promise: good pictures are not doubted, each fault is named, nothing is silent."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from faults_kit import FAULTS, Image, black, blurred
from plates_kit import plate

from edge.capture.pictures.checks import Check, Gauge, Limits, find, same_picture
from edge.capture.pictures.limits import Learner, limits_path, load_limits, save_limits
from edge.domain.errors import ConfigError

VIDEO = Path(__file__).parents[2].parent / "shared" / "data" / "video" / "bottle-detection.mp4"
LEARNED = 120


def picture(seed: int) -> Image:
    """A plate as a camera takes it: twice the size, with the sensor's noise."""
    large = cv2.resize(plate(seed), (360, 280), interpolation=cv2.INTER_CUBIC)
    noise = np.random.default_rng(seed).normal(0, 2, (280, 360, 1))
    return np.asarray(np.clip(large + noise, 0, 255), np.uint8)


@pytest.fixture(scope="module")
def learner() -> Learner:
    made = Learner()
    for seed in range(LEARNED):
        made.see(picture(seed))
    return made


@pytest.fixture(scope="module")
def limits(learner: Learner) -> Limits:
    made = learner.limits()
    assert made is not None
    return made


def reasons(image: Image, limits: Limits | None) -> set[str]:
    return {finding.reason for finding in find(Gauge(), image, limits)}


def test_good_pictures_are_not_doubted_neither_those_it_learned_from_nor_others(
    learner: Learner, limits: Limits
) -> None:
    gauge = Gauge()
    assert [seed for seed in range(LEARNED) if find(gauge, picture(seed), limits)] == []
    assert sum(bool(find(gauge, picture(seed), limits)) for seed in range(1000, 1200)) <= 4
    alarms, tried = learner.false_alarms()
    assert tried == LEARNED // 2
    assert alarms <= 3


@pytest.mark.parametrize("name", [pytest.param(name, id=name) for name in FAULTS])
def test_each_fault_is_found_and_named(limits: Limits, name: str) -> None:
    fault, expected = FAULTS[name]
    for seed in range(1000, 1020):
        found = reasons(fault(picture(seed)), limits)
        assert found & expected, (seed, found)


def test_a_picture_of_another_size_is_looked_at_all_the_same(limits: Limits) -> None:
    assert limits.size is not None
    black = np.zeros((limits.size[1] // 2, limits.size[0] // 2, 3), np.uint8)
    assert {Check.SIZE, Check.BLACK} <= {finding.check for finding in find(Gauge(), black, limits)}


def test_a_blur_shows_though_the_sensors_noise_stays_sharp(limits: Limits) -> None:
    assert "camera_blurred" in reasons(blurred(picture(1), 3, noise=1), limits)


def test_without_limits_only_what_holds_of_every_picture_is_checked() -> None:
    assert reasons(black(picture(1)), None) == {"camera_black"}
    assert reasons(np.full((90, 160, 3), 255, np.uint8), None) == {"camera_clipped"}
    for name in ("blur of 2 px", "shift of 5 %", "half the size", "-2 EV"):
        assert reasons(FAULTS[name][0](picture(1)), None) == set()


def test_parts_that_lie_anywhere_have_no_shift_and_bright_ones_are_not_clipped() -> None:
    scattered, bright = Learner(), Learner()
    for seed in range(40):
        scattered.see(np.roll(picture(seed), (seed * 37 % 280, seed * 53 % 360), (0, 1)))
        bright.see(np.maximum(picture(seed), np.uint8(251)))
    anywhere, white = scattered.limits(), bright.limits()
    assert anywhere is not None
    assert anywhere.place is None
    assert white is not None
    assert reasons(np.maximum(picture(41), np.uint8(251)), white) == set()


def test_too_few_frames_teach_nothing() -> None:
    made = Learner()
    for seed in range(19):
        made.see(picture(seed))
    assert made.limits() is None
    assert made.false_alarms() == (0, 0)


@pytest.mark.parametrize(
    "size", [pytest.param((1, 1), id="a dot"), pytest.param((3, 700), id="a line"), pytest.param((700, 5), id="a slit")]
)
def test_any_size_can_be_measured(size: tuple[int, int]) -> None:
    found = find(Gauge(), np.full((size[1], size[0], 3), 128, np.uint8), None)
    assert found == ()


def test_a_picture_is_the_same_only_bit_by_bit() -> None:
    image = picture(1)
    other = image.copy()
    assert same_picture(image, other)
    other[137, 211, 1] ^= 1
    assert not same_picture(image, other)
    assert not same_picture(image, picture(2))
    assert not same_picture(image, image[:-1])


def test_limits_are_the_same_after_being_kept(limits: Limits, tmp_path: Path) -> None:
    path = limits_path(tmp_path, "plate", "top")
    assert load_limits(path) is None
    save_limits(path, "plate", "top", limits, LEARNED)
    kept = load_limits(path)
    assert kept is not None
    assert kept.place is not None
    assert limits.place is not None
    assert np.array_equal(kept.place.reference, limits.place.reference)
    assert (kept.size, kept.mean_low, kept.sharpness_low) == (limits.size, limits.mean_low, limits.sharpness_low)
    assert reasons(FAULTS["shift of 5 %"][0](picture(1)), kept) & {"camera_shifted"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("{", "", id="no JSON"),
        pytest.param('"mean_low"', '"mean_lwo"', id="an unknown key"),
        pytest.param('"top"', '"side"', id="another camera's"),
        pytest.param('"reference_png":"', '"reference_png":"AAAA', id="a broken reference"),
    ],
)
def test_limits_that_cannot_be_read_are_refused_not_ignored(limits: Limits, tmp_path: Path, old: str, new: str) -> None:
    path = limits_path(tmp_path, "plate", "top")
    save_limits(path, "plate", "top", limits, LEARNED)
    text = path.read_text().replace(": ", ":")
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigError, match="learn them again"):
        load_limits(path)


def frames_of(video: Path, every: int) -> Iterator[Image]:
    capture = cv2.VideoCapture(str(video))
    number = 0
    while capture.grab():
        if number % every == 0:
            yield np.asarray(capture.retrieve()[1], np.uint8)
        number += 1
    capture.release()


@pytest.mark.skipif(not VIDEO.is_file(), reason="no video data beside the repository")
def test_a_real_belts_second_half_is_not_doubted_and_its_faults_are_found() -> None:
    frames = list(frames_of(VIDEO, 6))
    made = Learner()
    for frame in frames[: len(frames) // 2]:
        made.see(frame)
    limits = made.limits()
    assert limits is not None
    rest = frames[len(frames) // 2 :]
    assert sum(bool(reasons(frame, limits)) for frame in rest) <= 2
    missed = {
        name: sum(not reasons(fault(frame), limits) & expected for frame in rest[::5])
        for name, (fault, expected) in FAULTS.items()
    }
    assert missed == dict.fromkeys(FAULTS, 0)


def test_every_check_has_a_word_for_the_verdict() -> None:
    assert {f"camera_{check}" for check in Check} == {
        "camera_black",
        "camera_clipped",
        "camera_frozen",
        "camera_blurred",
        "camera_shifted",
        "camera_size",
        "camera_exposure",
    }
