"""The whole station on a bundle that lays its frames on a reference, and on areas in square millimetres."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from daemon_kit import daemon, line_to, status
from detector_kit import Picture, with_square
from pose_kit import aligned_bundle, seen, world
from station_kit import Station, make_bundle, run_json

from edge.capture.scales import KeptScale, load_scale, save_scale, scale_path, scales_of
from edge.config import load_config
from edge.daemon import Daemon
from edge.domain.errors import ConfigError
from edge.fitting import fitting_recipes
from edge.infer.openvino import OpenVinoEngine
from edge.infer.plan import Plan
from edge.pipeline import Product
from models.bundle import open_bundle
from models.bundle_store import active_bundle

PART = world()
BLOTTED = with_square(PART, 150, 100, 255, 24)
AREA = "[product.recipe.classes.anomaly]\nmin_area_mm2 = {}\n"


def replaying(folder: Path, frames: list[Picture], product: str = "") -> Station:
    """A station whose camera replays these frames, one for each trigger."""
    made = Station(folder, settings={"camera": {"loop": False}})
    made.config.parent.mkdir(parents=True, exist_ok=True)
    text = made.write_config().read_text()
    made.config.write_text(text + product)
    (folder / "frames").mkdir()
    for number, frame in enumerate(frames):
        cv2.imwrite(str(folder / "frames" / f"{number:03}.png"), frame)
    return made


def told(made: Station, count: int) -> list[tuple[str, list[str]]]:
    with daemon(made), line_to(made) as line:
        line.hear_ready(ready=True)
        answers = []
        for number in range(count):
            line.trigger(f"p-{number}")
            answers.append(line.hear())
            line.ack(f"p-{number}")
    return [(one["verdict"], one["reasons"]) for one in answers]


def test_a_part_passes_or_fails_for_what_it_is_wherever_it_lies(tmp_path: Path) -> None:
    poses = [(0, 0, 0), (8, -6, 1), (-7, 5, -2.5), (3, 7, 3)]
    frames = [seen(part, *pose) for pose in poses for part in (PART, BLOTTED)]
    made = replaying(tmp_path, frames)
    aligned_bundle(made.bundles, PART)
    assert told(made, 8) == [("PASS", []), ("REJECT", ["anomaly:1"])] * 4


def test_another_part_and_one_that_lies_too_far_off_are_undecided_and_the_station_stays_ready(tmp_path: Path) -> None:
    made = replaying(tmp_path, [seen(PART), seen(world(5)), seen(PART, 35, 0), seen(PART, 5, 5)])
    aligned_bundle(made.bundles, PART)
    misaligned = ("UNDECIDED", ["reference_misaligned"])
    assert told(made, 4) == [("PASS", []), misaligned, misaligned, ("PASS", [])]
    assert status(made)["why"] == "stopped"


def test_zones_hold_in_the_pixels_of_the_frame(tmp_path: Path) -> None:
    """The blot lies at 110 to 134 right, 60 to 84 down; moved by 8 it leaves a zone that ends at 110."""
    zone = "[product.recipe.classes.anomaly]\nzones = [[{}, 0, {}, 150]]\n"
    for name, (left, right), expected in (("in", (120, 150), "REJECT"), ("out", (0, 100), "PASS")):
        made = replaying(tmp_path / name, [seen(BLOTTED, 8, 0, 2)], zone.format(left, right))
        aligned_bundle(made.bundles, PART)
        assert [verdict for verdict, _ in told(made, 1)] == [expected]


def test_the_product_may_keep_the_picture_that_the_bundles_reference_was_made_from(tmp_path: Path) -> None:
    made = replaying(tmp_path, [seen(PART)])
    made.config.write_text(made.config.read_text() + "reference = 'golden.png'\n")
    cv2.imwrite(str(tmp_path / "golden.png"), seen(PART))
    aligned_bundle(made.bundles, PART)
    assert told(made, 1) == [("PASS", [])]


def kept(camera: str, mm_per_px: float) -> KeptScale:
    return KeptScale.model_validate(
        {
            "schema": "inspectd.camera-scale.v1",
            "camera": camera,
            "mm_per_px": mm_per_px,
            "uncertainty_mm_per_px": mm_per_px / 1000,
            "by": "checkerboard",
            "frame_size": (80, 60),
            "seen_xyxy": (5, 5, 75, 55),
            "tilt": 0.01,
            "bend_px": 0.1,
            "measured_at": "2026-11-25T10:00:00+00:00",
        }
    )


def blot(size: int) -> Picture:
    return with_square(np.full((60, 80, 3), 128, np.uint8), 16, 16, 255, size)


@pytest.fixture
def in_mm(tmp_path: Path) -> Station:
    """Blots below 10 mm2 do not count; the blot is 16 px wide, its region 10."""
    made = replaying(tmp_path, [blot(16)] * 2, AREA.format(10))
    make_bundle(made.bundles)
    return made


@pytest.mark.parametrize(
    ("mm_per_px", "expected"),
    [pytest.param(0.4, "REJECT", id="large pixels"), pytest.param(0.05, "PASS", id="small ones")],
)
def test_areas_in_square_millimetres_go_by_the_cameras_kept_scale(
    in_mm: Station, mm_per_px: float, expected: str
) -> None:
    save_scale(in_mm.folder / "data", kept("top", mm_per_px))
    assert [verdict for verdict, _ in told(in_mm, 1)] == [expected]


def test_each_camera_goes_by_its_own_scale_and_a_recipes_goes_before_both(in_mm: Station) -> None:
    second = '[[camera]]\nid = "side"\nsource = "frames"\ntrigger = "software"\n'
    text = in_mm.config.read_text()
    in_mm.config.write_text(text.replace("[[camera]]", second + "[[camera]]", 1))
    save_scale(in_mm.folder / "data", kept("top", 0.1))
    save_scale(in_mm.folder / "data", kept("side", 0.5))
    assert areas_px(in_mm) == pytest.approx({"top": 1000, "side": 40})
    named = in_mm.config.read_text().replace("[product.recipe.", "[product.recipe]\nmm_per_px = 1\n[product.recipe.")
    in_mm.config.write_text(named)
    assert areas_px(in_mm) == {"top": 10, "side": 10}


def areas_px(made: Station) -> dict[str, float]:
    """The smallest area that counts, by camera."""
    config = load_config(made.config)
    bundle = open_bundle(active_bundle(made.bundles, "blob"))
    engine = OpenVinoEngine(bundle, Plan(1, 1, 1))
    section = config.product[0]
    recipe, own = fitting_recipes(section, bundle, scales_of(config, section))
    product = Product("blob", engine, recipe, by_camera=own)
    return {camera.id: product.recipe_for(camera.id).rules["anomaly"].min_area_px for camera in config.camera}


def test_without_a_scale_areas_in_square_millimetres_are_refused_and_the_command_is_named(in_mm: Station) -> None:
    wanted = "edge camera scale --camera top --save"
    with pytest.raises(ConfigError, match=wanted):
        Daemon(load_config(in_mm.config))
    code, said = run_json(["edge", "config", "check", "-c", str(in_mm.config), "--json"])
    assert code == 2
    assert wanted in said["error"]
    assert run_json(["edge", "config", "show", "-c", str(in_mm.config), "--json"])[0] == 0
    save_scale(in_mm.folder / "data", kept("top", 0.25))
    assert run_json(["edge", "config", "check", "-c", str(in_mm.config), "--json"])[0] == 0
    code, said = run_json(["edge", "config", "show", "-c", str(in_mm.config), "--json"])
    assert (code, said["product"][0]["recipe"]["mm_per_px"]) == (0, 0.25)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param('"top"', '"side"', id="of another camera"),
        pytest.param("0.25", "-0.25", id="no scale"),
        pytest.param("{", "", id="cut"),
        pytest.param("camera-scale.v1", "camera-scale.v9", id="of another time"),
    ],
)
def test_a_kept_scale_that_cannot_be_trusted_is_refused(tmp_path: Path, old: str, new: str) -> None:
    path = save_scale(tmp_path, kept("top", 0.25))
    loaded = load_scale(tmp_path, "top")
    assert loaded == kept("top", 0.25)
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(ConfigError, match="edge camera scale --save"):
        load_scale(tmp_path, "top")
    assert not list(scale_path(tmp_path, "top").parent.glob("*.part"))
