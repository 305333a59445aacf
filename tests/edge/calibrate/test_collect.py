from pathlib import Path

import cv2
import numpy as np
import pytest
from plates_kit import write_plates

from edge.calibrate.frames.collect import collect
from edge.domain.errors import ConfigError
from models.progress import SilentProgress


def part(seed: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    random = np.random.default_rng(seed)
    return cv2.resize(random.integers(0, 256, (30, 40, 3), np.uint8), (320, 240)).astype(np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three usable frames, one of each kind that cannot teach, and a file that is no image by name."""
    frames = {
        "b.png": part(1),
        "a.PNG": part(2),
        "c.bmp": part(3),
        "again.png": part(1),
        "black.png": np.full((240, 320, 3), 1, np.uint8),
        "flat.png": np.full((240, 320, 3), 128, np.uint8),
        "blurred.png": cv2.GaussianBlur(part(4), (0, 0), 25),
        "shaken.png": cv2.GaussianBlur(part(6), (0, 0), 8),
        "tiny.png": part(5)[:20, :20],
    }
    for name, image in frames.items():
        cv2.imwrite(str(tmp_path / name), image)
    (tmp_path / "text.png").write_text("no image", encoding="utf-8")
    (tmp_path / "cut.png").write_bytes((tmp_path / "b.png").read_bytes()[:2000])
    (tmp_path / "notes.txt").write_text("no image by its name", encoding="utf-8")
    return tmp_path


def test_what_can_teach_is_kept_in_the_order_of_the_names(folder: Path) -> None:
    collected = collect(folder, SilentProgress())
    assert [frame.path.name for frame in collected.frames] == ["a.PNG", "again.png", "c.bmp"]
    assert len({frame.sha256 for frame in collected.frames}) == 3


def test_every_refusal_has_a_name_and_a_reason(folder: Path) -> None:
    refused = {refusal.name: refusal.reason for refusal in collect(folder, SilentProgress()).refused}
    assert {name: reason.split(":")[0] for name, reason in refused.items()} == {
        "b.png": "duplicate",
        "black.png": "black",
        "flat.png": "flat",
        "blurred.png": "blurred",
        "shaken.png": "blurred",
        "tiny.png": "small",
        "text.png": "unreadable",
        "cut.png": "unreadable",
    }
    assert refused["b.png"] == "duplicate: same pixels as again.png"


def test_refusals_are_counted_by_reason_and_the_set_is_named_by_content(folder: Path) -> None:
    collected = collect(folder, SilentProgress())
    assert collected.summary()["unreadable"] == 2
    digest = collected.digest
    (folder / "tiny.png").unlink()
    assert collect(folder, SilentProgress()).digest == digest
    (folder / "c.bmp").unlink()
    assert collect(folder, SilentProgress()).digest != digest


def test_a_folder_without_a_usable_image_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no usable image"):
        collect(tmp_path, SilentProgress())
    with pytest.raises(ConfigError, match="is no folder"):
        collect(tmp_path / "absent", SilentProgress())


def test_dark_dull_and_soft_parts_are_not_refused(tmp_path: Path) -> None:
    """Solar cells, cast iron: low contrast is the part's nature, not the camera's fault."""
    image = part(1)
    cv2.imwrite(str(tmp_path / "dark.png"), (image * 0.08 + 6).astype(np.uint8))
    cv2.imwrite(str(tmp_path / "soft.png"), cv2.GaussianBlur(image, (0, 0), 2))
    assert len(collect(tmp_path, SilentProgress()).frames) == 2


def test_a_folder_that_changes_under_a_calibration_is_told(tmp_path: Path) -> None:
    """All frames once became others after they were judged, and a bundle of those went live under the old digest."""
    folder = write_plates(tmp_path / "good", 3)
    collected = collect(folder, SilentProgress())
    collected.check_unchanged()
    first, second, _ = sorted(folder.iterdir())
    cv2.imwrite(str(first), 255 - cv2.imread(str(first)))
    second.unlink()
    with pytest.raises(ConfigError, match="2 frames changed or went"):
        collected.check_unchanged()
