"""A camera's region of interest: cut once where images enter, so that everything sees the same picture."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from brokers import eventually
from daemon_kit import daemon, line_to
from detector_kit import RECIPE, grey, make_detector, with_square
from edge_kit import NOW, Collected, image
from edge_rows import rows
from station_kit import Station, good_frame, make_bundle, run_json, write_frames

from edge.capture.camera import Shot
from edge.capture.drain import CaptureLimits, Drain
from edge.capture.open import make_camera
from edge.capture.replay import ReplayCamera
from edge.capture.roi import CroppedCamera, as_seen, cut, fitting, whole_size, with_roi
from edge.config import CameraSection, load_config
from edge.domain.errors import CameraError, ConfigError
from edge.domain.frame import Frame
from edge.infer.openvino import OpenVinoEngine
from edge.infer.plan import Plan

ROI = (20, 10, 84, 74)


def numbered(size: tuple[int, int] = (120, 90)) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """An image whose every pixel is its own."""
    return np.arange(size[0] * size[1] * 3, dtype=np.uint32).astype(np.uint8).reshape(size[1], size[0], 3)


def test_a_cut_is_a_view_of_the_right_pixels() -> None:
    whole = numbered()
    part = cut(whole, ROI, "top")
    assert part.shape == (64, 64, 3)
    assert np.shares_memory(part, whole)
    assert np.array_equal(part, whole[10:74, 20:84])


@pytest.mark.parametrize(
    "roi",
    [
        pytest.param((20, 10, 121, 74), id="one column too far"),
        pytest.param((20, 10, 84, 91), id="one row too far"),
        pytest.param((200, 100, 260, 160), id="wholly outside"),
    ],
)
def test_a_roi_outside_of_the_picture_is_the_cameras_fault_and_names_both(roi: tuple[int, int, int, int]) -> None:
    with pytest.raises(CameraError, match=r"camera 'top': roi .* reaches out of its pictures of 120x90") as error:
        cut(numbered(), roi, "top")
    assert str(list(roi)) in str(error.value)


def test_a_frame_of_a_cut_image_is_sealed_and_counts_the_memory_it_holds() -> None:
    whole = image(9, (120, 90))
    frame = Frame("top", 1, NOW, 1.0, cut(whole, ROI, "top"))
    assert frame.size == (64, 64)
    assert not frame.image.flags.writeable
    assert frame.held_bytes == whole.nbytes
    assert Frame("top", 1, NOW, 1.0, image(9, (120, 90))).held_bytes == 120 * 90 * 3


@pytest.mark.parametrize(
    ("trigger", "number"), [pytest.param("software", 1, id="triggered"), pytest.param("free", None, id="free-running")]
)
def test_every_kind_of_camera_gives_the_cut_and_a_frame_keeps_its_trigger(
    tmp_path: Path, trigger: str, number: int | None
) -> None:
    (tmp_path / "frames").mkdir()
    cv2.imwrite(str(tmp_path / "frames" / "1.png"), numbered())
    section = CameraSection.model_validate({
        "id": "top", "source": str(tmp_path / "frames"), "trigger": trigger, "roi": ROI
    })  # fmt: skip
    camera = make_camera(section)
    camera.open()
    camera.trigger(1)
    shot = camera.read(5)
    camera.close()
    assert shot is not None
    assert (shot.trigger_number, shot.source) == (number, "1.png")
    assert np.array_equal(shot.image, numbered()[10:74, 20:84])


def test_pictures_that_do_not_hold_the_roi_lose_the_camera_and_one_that_does_brings_it_back(tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    for name, size in (("1.png", (60, 90)), ("2.png", (120, 90))):
        cv2.imwrite(str(tmp_path / "frames" / name), image(7, size))
    camera = CroppedCamera(ReplayCamera(tmp_path / "frames", triggered=False, fps=100), "top", ROI)
    states = Collected()
    drain = Drain("top", camera, CaptureLimits(0.0, 1.0, 5.0, 4), triggered=False, on_state=states)
    drain.start()
    try:
        eventually(lambda: drain.counters.received == 1)
        assert "reaches out of its pictures of 60x90" in states.wait_for(1)[0][1]
        assert states.wait_for(2)[1] == (False, "")
    finally:
        drain.stop(5)
    assert drain.failure is None


@pytest.mark.parametrize(
    ("size", "whole", "answer"),
    [
        pytest.param((64, 64), (120, 90), "as it is", id="cut before"),
        pytest.param((120, 90), (120, 90), "cut", id="the whole picture"),
        pytest.param((200, 200), (120, 90), "refused", id="another camera's"),
        pytest.param((60, 60), (120, 90), "refused", id="too small for the roi"),
        pytest.param((60, 60), None, "refused", id="no whole picture among them"),
    ],
)
def test_stored_pictures_are_cut_kept_or_refused_by_their_size(
    size: tuple[int, int], whole: tuple[int, int] | None, answer: str
) -> None:
    assert fitting(size, ROI, whole) == answer


def test_a_stored_picture_is_measured_as_its_camera_shows_it() -> None:
    whole, roi = np.arange(60 * 80 * 3, dtype=np.uint8).reshape(60, 80, 3), (10, 20, 50, 60)
    assert np.array_equal(as_seen(whole, roi), whole[20:60, 10:50])
    assert as_seen(whole, roi).base is not None
    assert as_seen(whole[:40, :40], roi).shape == (40, 40, 3)
    assert as_seen(whole, None) is whole


def test_the_whole_pictures_size_is_the_commonest_that_holds_the_roi() -> None:
    assert whole_size([(64, 64)] * 9 + [(120, 90)] * 3 + [(200, 200)] + [(60, 60)] * 5, ROI) == (120, 90)
    assert whole_size([(64, 64), (60, 60)], ROI) is None


def test_a_roi_drawn_in_leaves_the_picture_alone() -> None:
    whole = numbered()
    drawn = with_roi(whole, ROI)
    assert drawn[10, 50].tolist() == drawn[40, 20].tolist() == drawn[73, 83].tolist() == [0, 200, 255]
    assert np.array_equal(drawn[12:72, 22:82], whole[12:72, 22:82])
    assert np.array_equal(whole, numbered())


def test_detections_of_a_cut_are_those_of_a_contiguous_copy_and_lie_right(tmp_path: Path) -> None:
    """The tensor is filled straight from the view: rows that do not follow each other must not matter."""
    engine = OpenVinoEngine(make_detector(tmp_path), Plan(1, 1, 1, 1))
    whole = with_square(grey((333, 222)), 120 + 20, 70 + 30)
    for right, bottom in ((120 + 64, 70 + 64), (120 + 96, 70 + 80)):
        view = cut(whole, (120, 70, right, bottom), "top")
        assert not view.flags.c_contiguous
        seen = engine.submit(view, 5).result(5)
        copied = engine.submit(np.ascontiguousarray(view), 5).result(5)
        assert np.array_equal(seen.boxes_xyxy, copied.boxes_xyxy)
        assert np.array_equal(seen.scores, copied.scores)
        assert seen.boxes_xyxy[0] == pytest.approx([20, 30, 28, 38], abs=3)
    engine.close()


def told(made: Station, count: int) -> list[tuple[str, list[str]]]:
    with daemon(made), line_to(made) as line:
        line.hear_ready(ready=True)
        answers = []
        for number in range(count):
            line.trigger(f"p-{number}")
            answers.append(line.hear())
            line.ack(f"p-{number}")
    return [(one["verdict"], one["reasons"]) for one in answers]


def test_the_whole_station_sees_the_cut_zones_and_stored_images_too(tmp_path: Path) -> None:
    """Outside of the roi a defect is nobody's; inside, its box, its zone and its image count from the roi's corner."""
    zone = RECIPE.replace("min_area_px = 9", "min_area_px = 9\nzones = [[0, 0, 40, 64]]")
    made = Station(tmp_path, settings={"camera": {"loop": False, "roi": list(ROI)}})
    made.config.parent.mkdir(exist_ok=True)
    made.config.write_text(made.write_config().read_text() + zone)
    make_detector(made.bundles)
    whole = grey((120, 90))
    frames = [with_square(whole, 100, 40), with_square(whole, 40, 30), with_square(whole, 70, 30)]
    (tmp_path / "frames").mkdir()
    for number, frame in enumerate(frames):
        cv2.imwrite(str(tmp_path / "frames" / f"{number}.png"), frame)
    assert told(made, 3) == [("PASS", []), ("REJECT", ["bright:1"]), ("PASS", [])]
    assert rows(made.database, "SELECT count(*) FROM images WHERE stored") == [(3,)]
    stored = [cv2.imread(str(path)) for path in (tmp_path / "data" / "images").glob("??/*.png")]
    assert {one.shape for one in stored if one is not None} == {(64, 64, 3)}
    assert any(np.array_equal(one, frames[1][10:74, 20:84]) for one in stored if one is not None)


def test_a_roi_outside_of_the_picture_is_told_and_its_part_is_undecided(tmp_path: Path) -> None:
    made = Station(tmp_path, settings={"camera": {"roi": [0, 0, 100, 50]}})
    made.write_config()
    write_frames(tmp_path / "frames", 2)
    make_bundle(made.bundles)
    with daemon(made), line_to(made) as line:
        line.hear_ready(ready=True)
        line.trigger("p-1")
        assert "roi [0, 0, 100, 50] reaches out of its pictures of 80x60" in line.hear_ready(ready=False)["why"]
        told_ = line.hear()
        assert (told_["verdict"], told_["reasons"]) == ("UNDECIDED", ["camera_lost"])


def grabbed(tmp_path: Path, roi: list[int], *options: str) -> tuple[int, dict[str, object], Path]:
    made = Station(tmp_path, settings={"camera": {"roi": roi}})
    write_frames(tmp_path / "frames", 1)
    out = tmp_path / "seen.png"
    config = made.write_config()
    code, said = run_json(["edge", "camera", "grab", "-c", str(config), "--out", str(out), "--json", *options])
    return code, said, out


def test_a_grab_shows_the_cut(tmp_path: Path) -> None:
    code, said, out = grabbed(tmp_path, [10, 5, 70, 45])
    assert (code, said["width"], said["height"], said["roi"], said["whole"]) == (0, 60, 40, [10, 5, 70, 45], False)
    seen = cv2.imread(str(out))
    assert seen is not None
    assert np.array_equal(seen, good_frame(seed=1)[5:45, 10:70])


def test_a_whole_grab_shows_the_roi_drawn_in(tmp_path: Path) -> None:
    code, said, out = grabbed(tmp_path, [10, 5, 70, 45], "--whole")
    assert (code, said["width"], said["height"], said["roi_fits"], said["whole"]) == (0, 80, 60, True, True)
    seen = cv2.imread(str(out))
    assert seen is not None
    assert np.array_equal(seen, with_roi(good_frame(seed=1), (10, 5, 70, 45)))


def test_a_grab_outside_of_the_picture_is_a_wrong_configuration_and_a_whole_one_shows_it(tmp_path: Path) -> None:
    code, said, out = grabbed(tmp_path / "cut", [10, 5, 99, 45])
    assert (code, said["kind"]) == (2, "ConfigError")
    assert "reaches out of its pictures of 80x60" in str(said["error"])
    assert not out.exists()
    code, said, out = grabbed(tmp_path / "whole", [10, 5, 99, 45], "--whole")
    assert (code, said["ok"], said["roi_fits"]) == (1, False, False)
    assert out.exists()


CONFIG = """
[station]
id = "s-1"
[[camera]]
id = "top"
source = "frames"
roi = [100, 50, 740, 530]
[[product]]
id = "cell"
bundle = "cells"
"""
CODE = '[product.code]\nkind = "qr"\nroi = '
ZONE = "[product.recipe.classes.anomaly]\nzones = "


def test_a_roi_of_sense_is_read(tmp_path: Path) -> None:
    (tmp_path / "station.toml").write_text(f"{CONFIG}{CODE}[0, 0, 640, 480]\n{ZONE}[[600, 400, 900, 900]]\n")
    assert load_config(tmp_path / "station.toml").camera[0].roi == (100, 50, 740, 530)


@pytest.mark.parametrize(
    ("roi", "more", "complaint"),
    [
        pytest.param("[740, 50, 100, 530]", "", "holds something", id="right of its left"),
        pytest.param("[100, 50, 100, 530]", "", "holds something", id="nothing"),
        pytest.param("[-1, 50, 100, 530]", "", "from 0", id="before the first pixel"),
        pytest.param("[100, 50, 740]", "", "roi", id="three corners"),
        pytest.param("[100.5, 50, 740, 530]", "", "roi", id="half a pixel"),
        pytest.param("[100, 50, 131, 530]", "", "32 pixels wide", id="too narrow"),
        pytest.param("[100, 50, 740, 530]", f"{CODE}[0, 0, 700, 480]", "code.roi .* 640x480", id="code out of it"),
        pytest.param("[100, 50, 740, 530]", f"{ZONE}[[640, 0, 700, 90]]", "lies outside of", id="zone out of it"),
    ],
)
def test_a_roi_of_nonsense_is_refused_by_config_check(tmp_path: Path, roi: str, more: str, complaint: str) -> None:
    config = tmp_path / "station.toml"
    config.write_text(CONFIG.replace("[100, 50, 740, 530]", roi) + more)
    with pytest.raises(ConfigError, match=complaint):
        load_config(config)


def test_a_cut_camera_ends_as_its_driver_does(tmp_path: Path) -> None:
    write_frames(tmp_path / "frames", 1)
    camera = CroppedCamera(ReplayCamera(tmp_path / "frames", triggered=True), "top", (0, 0, 40, 40))
    camera.open()
    assert camera.read(0.01) is None
    camera.trigger(4)
    shot = camera.read(5)
    assert isinstance(shot, Shot)
    assert np.array_equal(shot.image, good_frame(seed=1)[:40, :40])
    camera.trigger(5)
    with pytest.raises(CameraError, match="at its end"):
        camera.read(5)
    camera.close()
    camera.close()
