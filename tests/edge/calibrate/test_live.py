"""Collecting from a camera that runs: what is kept, what is passed over, and what stays when it ends early."""

import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import cv2
import gige_kit
import numpy as np
import pytest
from brokers import eventually
from live_kit import Image, MortalCamera, section, show, shown
from paced_kit import PacedCamera

from edge.calibrate.frames.live import LiveTaken, LiveWanted, collect_live
from edge.calibrate.frames.live_folder import LiveFolder
from edge.calibrate.frames.passing_parts import Look, Pace, PassingParts
from edge.capture.camera import Camera
from edge.capture.open import make_camera
from edge.config import CameraSection
from edge.domain.errors import CameraError, ConfigError, StorageError
from edge.record.lock import owner_of, sole_owner
from models.progress import SilentProgress

KIT = Path(__file__).parents[2] / "kit"


class Told(SilentProgress):
    """Remembers what the operator was told, and how far it went."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []
        self.steps = 0

    def note(self, text: str) -> None:
        self.notes.append(text)

    def advance(self, steps: int = 1) -> None:
        self.steps += steps


def run(  # noqa: PLR0913 - what tests vary
    tmp_path: Path,
    camera: CameraSection,
    parts: int,
    pace: Pace | None = None,
    *,
    driver: Camera | None = None,
    limit_s: float = 20,
    patience_s: float = 0.3,
    resume: bool = False,
    progress: SilentProgress | None = None,
) -> LiveTaken:
    wanted = LiveWanted(parts, pace or Pace(), limit_s, patience_s, resume)
    driver = make_camera(camera) if driver is None else driver
    told = progress or SilentProgress()
    return collect_live(camera, driver, wanted, tmp_path / "kept", told, data_dir=tmp_path / "data")


def kept(tmp_path: Path) -> dict[str, Image]:
    files = sorted((tmp_path / "kept").glob("*.png"))
    return {file.name: np.asarray(cv2.imread(str(file)), np.uint8) for file in files}


@pytest.mark.parametrize("trigger", [pytest.param("free", id="free-running"), pytest.param("software", id="triggered")])
def test_so_many_parts_are_kept_bit_by_bit_in_their_order(tmp_path: Path, trigger: str) -> None:
    parts = [shown(number) for number in range(30)]
    told = Told()
    taken = run(tmp_path, section(show(tmp_path / "seen", parts), trigger, fps=50), 6, progress=told)
    images = kept(tmp_path)
    assert list(images) == [f"{number:06}.png" for number in range(1, 7)]
    assert all(any(np.array_equal(image, part) for part in parts) for image in images.values())
    assert len({image.tobytes() for image in images.values()}) == 6
    assert (taken.frames, taken.resumed, told.stages, told.steps) == (6, 0, ["take frames"], 6)
    if trigger == "software":
        assert all(np.array_equal(image, part) for image, part in zip(images.values(), parts, strict=False))


def test_a_standing_belt_gives_one_copy_and_the_rest_is_counted(tmp_path: Path) -> None:
    standing = [shown(part, shot) for part in range(4) for shot in range(5)]
    taken = run(tmp_path, section(show(tmp_path / "seen", standing), "software"), 4)
    assert [shot.tobytes() for shot in kept(tmp_path).values()] == [shown(part).tobytes() for part in range(4)]
    assert taken.passed_over == {"same": 12}


def test_where_each_frame_is_another_part_none_is_passed_over(tmp_path: Path) -> None:
    alike = [shown(1, shot) for shot in range(5)]
    taken = run(tmp_path, section(show(tmp_path / "seen", alike), "software"), 5, Pace(every_frame=True))
    assert (taken.frames, taken.passed_over) == (5, {})


def test_frames_that_cannot_teach_are_passed_over(tmp_path: Path) -> None:
    black, flat = np.full((120, 160, 3), 1, np.uint8), np.full((120, 160, 3), 90, np.uint8)
    images = [shown(1), black, shown(2), flat, black, shown(3)]
    taken = run(tmp_path, section(show(tmp_path / "seen", images), "software"), 3)
    assert (taken.frames, taken.passed_over) == (3, {"black": 2, "flat": 1})


def test_the_roi_is_what_is_kept(tmp_path: Path) -> None:
    camera = section(show(tmp_path / "seen", [shown(1)]), "software", roi=(20, 10, 120, 90))
    run(tmp_path, camera, 1)
    assert np.array_equal(kept(tmp_path)["000001.png"], shown(1)[10:90, 20:120])


def test_the_pace_is_kept_and_a_triggered_camera_is_not_asked_between(tmp_path: Path) -> None:
    parts = [shown(number) for number in range(4)]
    taken = run(tmp_path, section(show(tmp_path / "seen", parts), "software"), 4, Pace(interval_s=0.15))
    assert taken.seconds >= 3 * 0.15
    assert (taken.seen, taken.passed_over) == (4, {})


@pytest.mark.parametrize("trigger", [pytest.param("hardware", id="by the line"), pytest.param("free", id="by itself")])
def test_a_device_that_this_side_does_not_trigger_is_watched(tmp_path: Path, trigger: str) -> None:
    driver = PacedCamera([shown(number) for number in range(12)], fps=40)
    camera = section("gige://1", trigger, latency_ms=5)
    taken = run(tmp_path, camera, 6, Pace(every_frame=trigger == "hardware"), driver=driver, patience_s=5)
    assert taken.frames == 6
    known, images = (
        {shown(number).tobytes() for number in range(12)},
        [one.tobytes() for one in kept(tmp_path).values()],
    )
    assert set(images) <= known
    assert all(before != after for before, after in pairwise(images))


@pytest.mark.skipif(bool(gige_kit.missing()), reason=gige_kit.missing() or "all there")
def test_a_gige_camera_is_triggered_and_cut_to_its_roi(tmp_path: Path) -> None:
    show(tmp_path / "seen", [shown(number) for number in range(12)])
    camera = section(f"gige://{gige_kit.SERIAL}", "software", timeout_ms=2000, roi=(20, 10, 120, 90), fps=None)
    with gige_kit.own_network(), gige_kit.simulated_camera(tmp_path / "seen", tmp_path / "exposed"):
        taken = run(tmp_path, camera, 5, limit_s=30, patience_s=10)
    assert (taken.frames, {image.shape for image in kept(tmp_path).values()}) == (5, {(80, 100, 3)})
    assert len({image.tobytes() for image in kept(tmp_path).values()}) == 5


def test_by_hand_a_part_counts_only_once_it_rests(tmp_path: Path) -> None:
    hands = [shown(100 + number) for number in range(6)]
    images = [hands[0], shown(1), shown(1, 1), shown(1, 2), *hands[1:4], shown(2), shown(2, 1), *hands[4:]]
    taken = run(tmp_path, section(show(tmp_path / "seen", images), "software"), 2, Pace(by_hand=True))
    assert [image.tobytes() for image in kept(tmp_path).values()] == [shown(1, 1).tobytes(), shown(2, 1).tobytes()]
    assert taken.passed_over["moving"] == 6


@pytest.mark.parametrize("trigger", [pytest.param("free", id="free-running"), pytest.param("software", id="triggered")])
def test_repeats_are_named_by_part_and_repeat_and_the_operator_is_told_when_to_change(
    tmp_path: Path, trigger: str
) -> None:
    images = [shown(part, shot) for part in (1, 2, 3) for shot in range(12)]
    told = Told()
    camera = section(show(tmp_path / "seen", images), trigger, fps=40)
    run(tmp_path, camera, 3, Pace(by_hand=True, repeats=3), progress=told)
    names = [f"{part:04}-{repeat}.png" for part in (1, 2, 3) for repeat in (1, 2, 3)]
    assert list(kept(tmp_path)) == names
    for at, image in enumerate(kept(tmp_path).values()):
        assert any(np.array_equal(image, shown(at // 3 + 1, shot)) for shot in range(12))
    shows = [note.partition(";")[0] for note in told.notes if note.startswith("show")]
    assert list(dict.fromkeys(shows)) == [f"show part {part} of 3" for part in (1, 2, 3)]
    assert any(note.startswith("leave part 2: frame 2 of 3") for note in told.notes)


def test_a_camera_that_dies_in_mid_collection_is_told_and_what_came_is_kept(tmp_path: Path) -> None:
    camera, driver = section("gige://1", "software"), MortalCamera(shown(part) for part in range(3))
    driver.lost = [False, *[True] * 99]
    with pytest.raises(CameraError, match=r"(unplugged|the cable is out)") as error:
        run(tmp_path, camera, 9, driver=driver)
    assert error.value.reason == "camera_lost"
    assert f"3 of 9 frames are kept in {tmp_path / 'kept'}" in str(error.value)
    assert "Go on with --resume" in str(error.value)
    assert len(kept(tmp_path)) == 3


def test_a_camera_that_comes_back_in_time_goes_on(tmp_path: Path) -> None:
    driver = MortalCamera([*[shown(part) for part in range(3)], None, *[shown(part) for part in range(3, 6)]])
    taken = run(tmp_path, section("gige://1", "software"), 6, driver=driver, patience_s=10)
    assert (taken.frames, taken.passed_over) == (6, {})
    assert [image.tobytes() for image in kept(tmp_path).values()] == [shown(part).tobytes() for part in range(6)]


def test_a_replay_at_its_end_is_told_at_once(tmp_path: Path) -> None:
    camera = section(show(tmp_path / "seen", [shown(1), shown(2)]), "software")
    with pytest.raises(CameraError, match=r"at its end after 2 images.*2 of 5 frames are kept"):
        run(tmp_path, camera, 5, patience_s=1000)


def test_too_few_frames_in_time_says_how_many_came_and_what_to_do(tmp_path: Path) -> None:
    standing = [shown(1, shot) for shot in range(40)]
    camera = section(show(tmp_path / "seen", standing), fps=50, loop=True)
    with pytest.raises(CameraError, match=r"0\.6 s are over; 1 of 5 frames are kept.*does the belt move") as error:
        run(tmp_path, camera, 5, limit_s=0.6)
    assert error.value.reason == "no_frame"
    assert len(kept(tmp_path)) == 1


def test_a_camera_that_gives_nothing_is_given_up(tmp_path: Path) -> None:
    class Silent(MortalCamera):
        def trigger(self, number: int) -> None:
            """Nobody hears."""

    with pytest.raises(CameraError, match=r"gave no frame in time; 0 of 2 frames are kept") as error:
        run(tmp_path, section("gige://1", "software"), 2, driver=Silent([]))
    assert error.value.reason == "no_frame"


def test_a_camera_that_cannot_be_opened_is_told_at_once_and_who_may_hold_it(tmp_path: Path) -> None:
    camera, driver = section("gige://1", "software"), MortalCamera([])
    driver.lost = [True] * 99
    with pytest.raises(CameraError, match="unplugged") as error:
        run(tmp_path, camera, 2, driver=driver, patience_s=1000)
    assert "daemon" not in str(error.value)
    driver.lost = [True] * 99
    with sole_owner(tmp_path / "data"), pytest.raises(CameraError, match=r"the station's daemon runs \(process \d+\)"):
        run(tmp_path, camera, 2, driver=driver, patience_s=1000, resume=True)


def test_the_owner_of_a_data_folder_is_known_while_it_runs(tmp_path: Path) -> None:
    assert owner_of(tmp_path) is None
    with sole_owner(tmp_path):
        assert owner_of(tmp_path)
    assert owner_of(tmp_path) is None


def test_a_killed_collection_goes_on_with_what_is_there_and_no_file_is_half(tmp_path: Path) -> None:
    parts = [shown(number, size=(320, 240)) for number in range(24)]
    show(tmp_path / "seen", parts)
    command = [sys.executable, str(KIT / "killed_collection.py"), str(tmp_path / "seen"), str(tmp_path / "kept"), "20"]
    child = subprocess.Popen(command)
    try:
        eventually(lambda: len(list((tmp_path / "kept").glob("*.png"))) >= 5)
    finally:
        child.send_signal(signal.SIGKILL)
    assert child.wait(10) == -signal.SIGKILL
    there = kept(tmp_path)
    assert 5 <= len(there) < 20
    assert all(image.shape == (240, 320, 3) for image in there.values())
    (tmp_path / "kept" / "000020.part").write_bytes(b"half")
    camera = section(tmp_path / "seen", fps=50, loop=True)
    with pytest.raises(ConfigError, match=r"holds \d+ frames already: go on with --resume"):
        run(tmp_path, camera, 20)
    told = Told()
    taken = run(tmp_path, camera, 20, resume=True, progress=told)
    assert (taken.frames, taken.resumed, told.steps) == (20, len(there), 20)
    after = kept(tmp_path)
    assert list(after) == [f"{number:06}.png" for number in range(1, 21)]
    assert all(np.array_equal(after[name], image) for name, image in there.items())
    assert not list((tmp_path / "kept").glob("*.part"))


def test_a_collection_that_is_whole_opens_no_camera(tmp_path: Path) -> None:
    run(tmp_path, section(show(tmp_path / "seen", [shown(1)]), "software"), 1)
    driver = MortalCamera([])
    driver.lost = [True]
    taken = run(tmp_path, section(tmp_path / "seen", "software"), 1, driver=driver, resume=True)
    assert (taken.frames, taken.seen, driver.lost) == (1, 0, [True])


@pytest.mark.parametrize(
    ("origin", "names", "complaint"),
    [
        pytest.param({"camera": "side"}, ["000001.png"], "taken as .*top.*side", id="another camera"),
        pytest.param({"camera": "top"}, ["000002.png"], "000001.png to 000001.png were expected", id="one is gone"),
        pytest.param({"camera": "top"}, ["000001.png", "mine.png"], "holds mine.png", id="somebody else's picture"),
    ],
)
def test_going_on_with_what_another_run_did_not_leave_is_refused(
    tmp_path: Path, origin: dict[str, object], names: list[str], complaint: str
) -> None:
    LiveFolder(tmp_path / "kept", {"camera": "top"})
    for name in names:
        cv2.imwrite(str(tmp_path / "kept" / name), shown(1))
    with pytest.raises(ConfigError, match=complaint):
        LiveFolder(tmp_path / "kept", origin, resume=True)


def test_a_folder_that_cannot_be_made_is_the_disks_fault(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("a file")
    with pytest.raises(StorageError, match="cannot collect frames in"):
        LiveFolder(tmp_path / "kept", {})


def test_no_part_wanted_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="0 parts"):
        run(tmp_path, section(tmp_path, "software"), 0)


def test_going_on_does_not_keep_the_last_part_again() -> None:
    parts = PassingParts(Pace(), 4, shown(1))
    assert parts.judge(shown(1, 7), 1.0) is Look.SAME
    assert parts.judge(shown(2), 1.0) is Look.NEW
    assert parts.kept == 5


def test_going_on_in_the_middle_of_a_part_takes_its_missing_repeats() -> None:
    parts = PassingParts(Pace(by_hand=True, repeats=3), 4, shown(1))
    assert not parts.awaits_change
    assert [parts.judge(shown(1, shot), float(shot)) for shot in (1, 2, 3)] == [Look.NEW, Look.NEW, Look.SAME]
