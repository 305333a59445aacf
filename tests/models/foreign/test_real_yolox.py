"""A detector that somebody else trained and published: the YOLOX that `ddddocr` (MIT) ships as ONNX."""

from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest

from models.errors import GateError
from models.foreign.graph import read_graph
from models.foreign.head import read_head
from models.foreign.trial import Tried, try_head

HEAD = """kind = "detector"
style = "yolo"
classes = ["character"]
[input]
layout = "NCHW"
colour = "bgr"
scale = 1
[outputs]
combined = "output"
[decode]
threshold = 0.5
box_format = "cxcywh"
box_unit = "pixels"
activation = "none"
order = "boxes-first"
objectness = true
lowest_score = 0.1
strides = [8, 16, 32]
"""
DRAWN = {"A": (40, 90), "K": (160, 150), "8": (270, 80)}  # lower left corners, letters 35 to 45 pixels high


@pytest.fixture(scope="module")
def graph_file() -> Path:
    found = find_spec("ddddocr")
    if found is None or not found.submodule_search_locations:
        pytest.skip("ddddocr, which ships a real YOLOX, is not installed: pip install ddddocr==1.6.1")
    return Path(found.submodule_search_locations[0]) / "common_det.onnx"


def trial(folder: Path, graph_file: Path, text: str) -> Tried:
    (folder / "head.toml").write_text(text)
    head = read_head(folder / "head.toml")
    noise = np.random.default_rng(0).integers(60, 200, (8, 14, 3), np.uint8)
    empty = cv2.resize(noise, (344, 200), interpolation=cv2.INTER_CUBIC)
    drawn = empty.copy()
    for letter, place in DRAWN.items():
        cv2.putText(drawn, letter, place, cv2.FONT_HERSHEY_SIMPLEX, 1.8, (20, 20, 230), 5, cv2.LINE_AA)
    samples = [folder / "drawn.png", folder / "empty.png"]
    for path, picture in zip(samples, (drawn, empty), strict=True):
        cv2.imwrite(str(path), picture)
    return try_head(read_graph(graph_file, head.input), head, samples, lambda: None)


def test_it_finds_each_drawn_character_at_its_place_and_none_on_the_background(
    graph_file: Path, tmp_path: Path
) -> None:
    drawn, empty = trial(tmp_path, graph_file, HEAD).found
    sure = drawn.boxes_xyxy[drawn.scores >= 0.5]
    assert len(empty) == 0
    assert len(sure) == len(DRAWN)
    for left, bottom in DRAWN.values():
        middle = np.array([left + 18, bottom - 19])
        assert ((sure[:, :2] < middle) & (middle < sure[:, 2:])).all(1).sum() == 1


def test_without_the_strides_of_its_grid_it_is_refused(graph_file: Path, tmp_path: Path) -> None:
    with pytest.raises(GateError, match=r"decode\.box"):
        trial(tmp_path, graph_file, HEAD.replace("strides = [8, 16, 32]\n", ""))
