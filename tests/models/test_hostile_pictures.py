"""Pictures made to hurt: every door that takes one says no in words, and asks for no memory."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from picture_bombs import jpeg_saying, png_bomb

from edge.calibrate.scale.command import take_picture
from edge.capture.network.mjpeg import _decoded
from edge.capture.open import make_camera
from edge.config import CameraSection
from edge.domain.errors import CameraError, ConfigError
from models import PIXELS_LIMIT
from models.dataset.image_files import picture_sha256, size_of
from models.decoding import decoded, read_picture
from models.errors import ModelError
from models.scoring import read_image

SMALL_BOMB = png_bomb(20_000, 20_000)  # fewer pixels than OpenCV's own limit: it would be decoded
LARGE_BOMB = png_bomb(60_000, 40_000)  # more: OpenCV raises
DECODING = """
import re, sys
from pathlib import Path
from models.decoding import decoded
import cv2
data = Path(sys.argv[1]).read_bytes()
Path("/proc/self/clear_refs").write_text("5")  # the peak of what was before, and of whoever forked us, is forgotten
assert decoded(data, cv2.IMREAD_COLOR) is None
print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""


@pytest.fixture(params=["small", "large"])
def bomb(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "bomb.png"
    path.write_bytes(SMALL_BOMB if request.param == "small" else LARGE_BOMB)
    return path


def test_a_decompression_bomb_is_no_picture_and_takes_no_memory(bomb: Path) -> None:
    done = subprocess.run([sys.executable, "-c", DECODING, str(bomb)], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 400 * 1024  # KiB; its pixels are 1.2 GB


def grab(bomb: Path) -> None:
    camera = make_camera(CameraSection(id="top", source=str(bomb.parent)))
    with pytest.raises(CameraError, match="no image"):
        camera.open()


def scale(bomb: Path) -> None:
    with pytest.raises(ConfigError, match="no readable image"):
        take_picture(None, bomb)


def calibrate(bomb: Path) -> None:
    assert size_of(bomb) is None
    assert len(picture_sha256(bomb)) == 64


def judge(bomb: Path) -> None:
    with pytest.raises(ModelError, match="no readable image"):
        read_image(bomb)


@pytest.mark.parametrize("door", [grab, scale, calibrate, judge])
def test_every_door_that_takes_a_picture_refuses_a_bomb_in_words(door: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(LARGE_BOMB)
    door(path)


def test_a_camera_whose_jpeg_claims_four_billion_pixels_gives_no_image() -> None:
    whole = cv2.imencode(".jpg", np.full((48, 64, 3), 90, np.uint8))[1].tobytes()

    assert _decoded(whole) is not None
    assert _decoded(jpeg_saying(whole, 65_500, 65_500)) is None


@pytest.mark.parametrize(
    "data", [b"", b"\x89PNG\r\n\x1a\n", LARGE_BOMB[:40], b"GIF89a" + b"\xff" * 40, b"BM" + b"\xff" * 60]
)
def test_bytes_that_are_no_picture_are_none(data: bytes) -> None:
    assert decoded(data, cv2.IMREAD_COLOR) is None


def test_a_pipe_named_as_a_picture_is_none_and_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    assert read_picture(tmp_path / "pipe.png", cv2.IMREAD_COLOR) is None


def test_an_endless_file_named_as_a_picture_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "sparse.png").open("wb") as file:
        file.truncate(1 << 40)
    assert read_picture(tmp_path / "sparse.png", cv2.IMREAD_COLOR) is None


def test_a_picture_at_the_limits_size_still_is_one() -> None:
    assert PIXELS_LIMIT > 12_000 * 16_000  # a 192-megapixel camera
    assert decoded(png_bomb(4096, 4096), cv2.IMREAD_GRAYSCALE) is not None
