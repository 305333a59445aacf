"""Pictures as viewers are served them: small, made once, and of their right size."""

import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
from edge_kit import frame

from edge.record.images import ImageStore
from edge.web.picture_size import size_of
from edge.web.shown_pictures import ShownPictures


def stored(folder: Path, image_format: str = "jpeg", size: tuple[int, int] = (1280, 960)) -> tuple[ImageStore, str]:
    images = ImageStore(folder, image_format)
    return images, images.put(frame(size=size))[0].sha256


def decoded_size(jpeg: bytes) -> tuple[int, int]:
    height, width = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR).shape[:2]
    return width, height


@pytest.mark.parametrize("image_format", ["jpeg", "png"])
@pytest.mark.parametrize("asked", [pytest.param(100, id="an eighth"), pytest.param(700, id="between two steps")])
def test_a_picture_is_no_wider_than_the_next_step_and_keeps_its_shape(
    tmp_path: Path, image_format: str, asked: int
) -> None:
    images, sha256 = stored(tmp_path, image_format)
    shown = ShownPictures(images).shown(sha256, asked)
    assert shown is not None
    assert decoded_size(shown) == {100: (160, 120), 700: (960, 720)}[asked]


def test_a_small_picture_is_not_enlarged(tmp_path: Path) -> None:
    images, sha256 = stored(tmp_path, size=(80, 60))
    shown = ShownPictures(images).shown(sha256, 1920)
    assert shown == images.path_of(sha256, "image/jpeg").read_bytes()


def test_many_who_ask_at_once_cost_one_decoding(tmp_path: Path) -> None:
    images, sha256 = stored(tmp_path)
    pictures, together, got = ShownPictures(images), threading.Barrier(8), []

    def ask() -> None:
        together.wait(10)
        got.append(pictures.shown(sha256, 640))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(got) == 8
    assert len(set(got)) == 1
    assert pictures.made == 1


def test_a_picture_that_is_not_there_yet_is_served_once_it_is(tmp_path: Path) -> None:
    images, sha256 = stored(tmp_path)
    path = images.path_of(sha256, "image/jpeg")
    away = path.rename(tmp_path / "away.jpg")
    pictures = ShownPictures(images)
    assert pictures.shown(sha256, 320) is None
    away.rename(path)
    assert pictures.shown(sha256, 320) is not None


def test_what_is_kept_is_bounded_and_the_oldest_goes_first(tmp_path: Path) -> None:
    images = ImageStore(tmp_path, "png")
    shas = [images.put(frame(level=level, size=(640, 480)))[0].sha256 for level in (10, 20, 30)]
    one = ShownPictures(images).shown(shas[0], 320)
    assert one is not None
    pictures = ShownPictures(images, kept_bytes=2 * len(one) + 10)
    for sha256 in (*shas, shas[2], shas[0]):
        pictures.shown(sha256, 320)
    assert pictures.made == 4, "the first was made again, the last was kept"


def test_a_damaged_file_is_no_picture(tmp_path: Path) -> None:
    images, sha256 = stored(tmp_path)
    images.path_of(sha256, "image/jpeg").write_bytes(b"\xff\xd8 broken")
    assert ShownPictures(images).shown(sha256, 320) is None


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_pictures_size_is_read_from_its_head(suffix: str) -> None:
    data = cv2.imencode(suffix, np.zeros((123, 457, 3), np.uint8))[1].tobytes()
    assert size_of(data[:700]) == (457, 123)


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\xff\xd8\xff", id="a jpeg's first bytes"),
        pytest.param(b"\x89PNG\r\n\x1a\n", id="a png's first bytes"),
        pytest.param(b"GIF89a", id="another kind"),
        pytest.param(b"\xff\xd8\xff\xe0\x00\x00", id="a segment without length"),
    ],
)
def test_bytes_that_are_no_picture_have_no_size(head: bytes) -> None:
    assert size_of(head) is None
