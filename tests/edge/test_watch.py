"""How checks become reasons and alarms: at once for the part, after three for the line, and never for ever."""

import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from daemon_kit import daemon, line_to, status
from edge_kit import frame
from station_kit import Station, good_frame, make_bundle, run_json, write_frames

from edge.capture.camera import Shot
from edge.capture.drain import CaptureLimits, Drain
from edge.capture.pictures.checks import Check
from edge.capture.pictures.limits import limits_path
from edge.capture.pictures.watch import CameraRules, PictureWatch, camera_rules
from edge.config import CameraSection
from edge.domain.errors import CameraError
from edge.domain.frame import Frame, Image
from edge.health import Health


@pytest.fixture
def health() -> Health:
    return Health()


def watch(health: Health, **rules: object) -> PictureWatch:
    return PictureWatch({"top": CameraRules(**rules)}, {}, health)  # type: ignore[arg-type]


def black(seq: int = 1) -> Frame:
    return frame(seq, level=0)


def test_one_bad_picture_costs_its_part_and_three_raise_the_alarm_once(health: Health) -> None:
    watching, said = watch(health), []
    health.on_change(lambda ready, why: said.append((ready, why)))
    for _ in range(2):
        assert watching.reasons("blob", black()) == ("camera_black",)
    assert health.faults() == {}
    for _ in range(5):
        assert watching.reasons("blob", black()) == ("camera_black",)
    assert set(health.faults()) == {"camera:top:black"}
    assert [ready for ready, _ in said] == [True, False]


def test_the_alarm_closes_after_three_good_pictures_and_not_before(health: Health) -> None:
    watching = watch(health)
    for _ in range(3):
        watching.reasons("blob", black())
    for level in (128, 128, 0, 128, 128):
        watching.reasons("blob", frame(level=level))
        assert set(health.faults()) == {"camera:top:black"}
    assert watching.reasons("blob", frame()) == ()
    assert health.faults() == {}


def test_a_line_that_stops_for_the_alarm_may_try_again_and_one_bad_picture_raises_it_again(health: Health) -> None:
    watching = watch(health)
    for _ in range(3):
        watching.reasons("blob", black())
    watching.watch(time.monotonic() + 5)
    assert health.faults() != {}
    watching.watch(time.monotonic() + 11)
    assert health.faults() == {}
    watching.reasons("blob", black())
    assert set(health.faults()) == {"camera:top:black"}


def test_a_check_that_is_off_says_nothing(health: Health) -> None:
    assert watch(health, off=frozenset({Check.BLACK})).reasons("blob", black()) == ()


def test_a_live_camera_that_repeats_its_picture_is_frozen_and_a_replay_is_not(health: Health) -> None:
    again = replace(frame(), repeats=True)
    assert watch(health, live=True).reasons("blob", again) == ("camera_frozen",)
    assert watch(health).reasons("blob", again) == ()


def test_a_live_camera_whose_size_changes_is_found_without_calibration(health: Health) -> None:
    watching = watch(health, live=True)
    assert watching.reasons("blob", frame()) == ()
    assert watching.reasons("blob", frame(size=(40, 30))) == ("camera_size",)
    assert watching.reasons("blob", frame()) == ()


@pytest.mark.parametrize(
    ("source", "off", "notes"),
    [
        pytest.param(0, None, True, id="a device"),
        pytest.param("/dev/video0", None, True, id="a device path"),
        pytest.param("frames", None, False, id="a folder"),
        pytest.param("rtsp://camera/1", None, False, id="compressed video"),
        pytest.param("gige://camera-1", None, True, id="an industrial camera"),
        pytest.param("rtsp://camera/1", [], True, id="compressed video, told to"),
        pytest.param(0, ["frozen"], False, id="a device, told not to"),
    ],
)
def test_which_sources_may_repeat_a_picture(source: int | str, off: list[str] | None, notes: bool) -> None:  # noqa: FBT001 - a table's row
    section = CameraSection.model_validate({"id": "top", "source": source, "checks": {"off": off}})
    assert camera_rules(section).notes_repeats is notes


class Stuck:
    """A camera that gives the images it was given, one for each read."""

    def __init__(self, images: list[Image]) -> None:
        self.images = images

    def open(self) -> None: ...

    def close(self) -> None: ...

    def trigger(self, number: int) -> None: ...

    def read(self, timeout_s: float) -> Shot | None:
        if self.images:
            return Shot(self.images.pop(0))
        time.sleep(min(timeout_s, 0.01))
        raise CameraError("no more", "camera_lost")


def test_a_still_scene_with_noise_does_not_repeat_and_the_same_bits_do() -> None:
    """Looked for on every frame that comes, so that a picture from before the part is known as such."""
    first, second = good_frame(seed=1), good_frame(seed=2)
    images = [first, second, second.copy(), second.copy(), first.copy()]
    limits = CaptureLimits(0, 1, 60, 16)
    made = Drain("top", Stuck(images), limits, triggered=False, on_state=lambda _lost, _why: None, notes_repeats=True)
    claims = [made.claim(time.monotonic()) for _ in images]
    made.start()
    try:
        found = [made.take(claim, time.monotonic() + 5).repeats for claim in claims]
    finally:
        made.stop(5)
    assert found == [False, False, True, True, False]


def station(folder: Path, frames: list[Image], **settings: object) -> Station:
    made = Station(folder, settings=settings)  # type: ignore[arg-type]
    made.write_config()
    make_bundle(made.bundles)
    (folder / "frames").mkdir()
    for number, image in enumerate(frames):
        cv2.imwrite(str(folder / "frames" / f"{number:03}.png"), image)
    return made


def test_a_station_learns_its_cameras_checks_and_judges_by_them(tmp_path: Path) -> None:
    good, dark = good_frame(seed=1), (good_frame(seed=2) * 0.7).astype(np.uint8)
    made = station(tmp_path / "s", [good, dark, *([good] * 6)])
    write_frames(tmp_path / "good", 40)
    arguments = [
        "edge",
        "calibrate",
        "-c",
        str(made.config),
        "--checks-only",
        "--from",
        str(tmp_path / "good"),
        "--json",
    ]
    code, said = run_json(arguments)
    assert (code, said["checks"]["learned"], said["checks"]["frames"]) == (0, True, 40)
    assert limits_path(made.folder / "data", "blob", "top").is_file()
    with daemon(made), line_to(made) as line:
        line.hear_ready(ready=True)
        told = []
        for number in range(3):
            line.trigger(f"p-{number}")
            told.append(line.hear())
            line.ack(f"p-{number}")
    assert [one["verdict"] for one in told] == ["PASS", "UNDECIDED", "PASS"]
    assert told[1]["reasons"] == ["camera_exposure"]


def test_a_camera_that_went_black_is_undecided_drops_ready_and_comes_back(tmp_path: Path) -> None:
    made = station(tmp_path / "s", [np.zeros((60, 80, 3), np.uint8)] * 3 + [good_frame(seed=n) for n in range(4)])
    with daemon(made), line_to(made) as line:
        line.hear_ready(ready=True)
        for number in range(3):
            line.trigger(f"p-{number}")
            assert line.hear()["reasons"] == ["camera_black"]
        assert "camera 'top' is black" in line.hear_ready(ready=False)["why"]
        for number in range(3, 6):
            line.trigger(f"p-{number}")
            assert line.hear()["verdict"] == "PASS"
        line.hear_ready(ready=True)
    assert "camera:top:black" not in status(made)["faults"]


@pytest.mark.parametrize("off", [frozenset(), frozenset(Check)])
def test_a_picture_of_another_size_than_the_scales_is_not_judged(health: Health, off: frozenset[Check]) -> None:
    """A camera set to a tenth of its resolution had a hundredth of the area: a rule in mm2 passed its defects."""
    seen = frame()
    assert watch(health, off=off, scaled=seen.size).reasons("blob", seen) == ()
    other = watch(health, off=off, scaled=(10 * seen.size[0], 10 * seen.size[1]))
    assert other.reasons("blob", seen) == ("camera_size",)
    assert other.doubts("blob", "top", seen.image) == ("camera_size",)
