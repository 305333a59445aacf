"""Each style of head, on a graph whose right answer is known."""

from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from foreign_kit import (
    BLUE,
    DETR,
    PALE,
    RED,
    SSD_RAW,
    SSD_ROWS,
    TENSORFLOW,
    YOLO5,
    YOLO8,
    YOLOX,
    Wants,
    centred,
    detr,
    grey,
    head_toml,
    model,
    network,
    ssd_raw,
    ssd_rows,
    tensorflow_ssd,
    with_square,
    write_model,
    write_samples,
    yolo5,
    yolo8,
    yolox,
)
from openvino import opset13 as ops

from models.compile import compile_graph
from models.detecting import detect_images
from models.detections import Detections
from models.errors import ModelError
from models.foreign.detector import detector_graph
from models.foreign.graph import read_graph
from models.foreign.head import DetectorHead, read_head
from models.foreign.trial import Tried, try_head
from models.spec import Kind, ModelSpec, Precision

HEADS = [
    pytest.param(yolo5, YOLO5, 0.9, id="yolo with objectness, boxes first"),
    pytest.param(yolo8, YOLO8, 1.0, id="yolo without objectness, values first"),
    pytest.param(yolox, YOLOX, 1.0, id="yolo that leaves its grid to the reader"),
    pytest.param(ssd_rows, SSD_ROWS, 1.0, id="ssd, decoded rows"),
    pytest.param(ssd_raw, SSD_RAW, None, id="ssd, logits with background first"),
    pytest.param(tensorflow_ssd, TENSORFLOW, 1.0, id="ssd, labels apart and y first"),
    pytest.param(detr, DETR, None, id="detr, logits with no object last"),
]


def built(folder: Path, graph: ov.Model, text: str) -> tuple[ov.CompiledModel, ModelSpec, DetectorHead]:
    (folder / "head.toml").write_text(text)
    head = read_head(folder / "head.toml")
    assert isinstance(head, DetectorHead)
    foreign = read_graph(write_model(folder, graph), head.input)
    spec = ModelSpec(Kind.DETECTOR, tuple(head.classes), (foreign.spec,))
    return compile_graph(detector_graph(foreign, head), Precision.FP32, threads=1), spec, head


def sure(found: Detections) -> list[tuple[list[float], int]]:
    keep = found.scores >= 0.5
    return [
        (np.round(box, 3).tolist(), int(i))
        for box, i in zip(found.boxes_xyxy[keep], found.class_ids[keep], strict=True)
    ]


def shifted(likely: float, threshold: float = 0.25) -> float:
    """A probability on the bundle's scale: its odds over the threshold's."""
    odds = likely / (1 - likely) / (threshold / (1 - threshold))
    return odds / (1 + odds)


@pytest.mark.parametrize(("graph", "declared", "certain"), HEADS)
def test_every_style_finds_each_square_at_its_place_and_of_its_class(
    tmp_path: Path, graph: object, declared: tuple[str, str, str], certain: float | None
) -> None:
    compiled, spec, _ = built(tmp_path, graph(), head_toml(*declared))  # type: ignore[operator]
    both = with_square(with_square(grey(), 40, 32, RED), 24, 48, BLUE)
    pale = with_square(grey(), 8, 16, PALE)
    found = detect_images(compiled, [both, pale, grey()], spec)
    assert sorted(sure(found[0]), key=lambda one: one[1]) == [([40, 32, 48, 40], 0), ([24, 48, 32, 56], 1)]
    assert sure(found[2]) == []
    if certain is not None:
        assert found[1].frame_score == pytest.approx(shifted(0.4 * certain), abs=1e-4)


@pytest.mark.parametrize(
    ("graph", "declared", "likely"),
    [
        pytest.param(ssd_raw, SSD_RAW, np.exp(-1) / (1 + np.exp(-1) + np.exp(-5)), id="background first"),
        pytest.param(detr, DETR, np.exp(-1) / (1 + np.exp(-1) + np.exp(-5)), id="background last"),
    ],
)
def test_softmax_counts_the_background_in_and_never_reports_it(
    tmp_path: Path, graph: object, declared: tuple[str, str, str], likely: float
) -> None:
    compiled, spec, _ = built(tmp_path, graph(), head_toml(*declared))  # type: ignore[operator]
    (found,) = detect_images(compiled, [with_square(grey(), 8, 16, PALE)], spec)
    assert found.frame_score == pytest.approx(shifted(likely), abs=1e-4)
    assert found.class_ids[0] == 0


@pytest.mark.parametrize(
    "wants",
    [
        pytest.param(Wants(colour="bgr", scale=(1.0,)), id="bgr, 0 to 255"),
        pytest.param(Wants(layout="NHWC"), id="channels last"),
        pytest.param(Wants(mean=(123.7, 116.3, 103.5), scale=(58.4, 57.1, 57.4)), id="mean and scale per channel"),
        pytest.param(Wants(layout="NHWC", colour="bgr", scale=(1.0,), element="u8"), id="uint8"),
        pytest.param(Wants(element="f16"), id="half precision"),
    ],
)
def test_the_picture_reaches_the_network_as_it_was_declared(tmp_path: Path, wants: Wants) -> None:
    compiled, spec, _ = built(tmp_path, yolo8(wants), head_toml(*YOLO8, wants))
    (found,) = detect_images(compiled, [with_square(with_square(grey(), 40, 32, RED), 24, 48, PALE)], spec)
    assert sorted(sure(found)) == [([24, 48, 32, 56], 0), ([40, 32, 48, 40], 0)]
    assert found.scores[found.scores >= 0.5].min() == pytest.approx(shifted(0.4), abs=5e-3)


def test_a_grey_network_sees_the_luminance(tmp_path: Path) -> None:
    wants = Wants(colour="grey")
    compiled, spec, _ = built(tmp_path, yolo8(wants), head_toml(*YOLO8, wants))
    green = with_square(grey(), 24, 48, (0, 255, 0))  # luminance 149.7 of 255: brighter by 0.085, doubled
    (found,) = detect_images(compiled, [green], spec)
    assert found.frame_score == pytest.approx(shifted(2 * (0.587 * 255 - 128) / 255), abs=1e-3)


def test_colours_declared_in_the_wrong_order_are_seen_in_the_wrong_order(tmp_path: Path) -> None:
    compiled, spec, _ = built(tmp_path, yolo8(), head_toml(*YOLO8, Wants(colour="bgr")))
    (found,) = detect_images(compiled, [with_square(grey(), 40, 32, RED)], spec)
    assert sure(found) == [([40, 32, 48, 40], 1)]


def test_open_sizes_are_fixed_as_the_head_says(tmp_path: Path) -> None:
    wants = Wants(sizes=(-1, 3, -1, -1))
    text = head_toml(*YOLO8, wants).replace("[outputs]", "height = 64\nwidth = 64\n[outputs]")
    compiled, spec, _ = built(tmp_path, yolo8(wants), text)
    assert (spec.inputs[0].height, spec.inputs[0].width) == (64, 64)
    (found,) = detect_images(compiled, [with_square(grey(), 40, 32, RED)], spec)
    assert sure(found) == [([40, 32, 48, 40], 0)]


def test_boxes_come_back_in_pixels_of_a_frame_of_another_size(tmp_path: Path) -> None:
    compiled, spec, _ = built(tmp_path, yolo8(), head_toml(*YOLO8))
    (found,) = detect_images(compiled, [with_square(grey((256, 128)), 96, 64, RED, side=32)], spec)
    assert sure(found) == [([96, 64, 128, 96], 0)]


def test_what_stands_behind_the_end_of_an_ssds_list_is_nothing(tmp_path: Path) -> None:
    compiled, spec, _ = built(tmp_path, ssd_rows(broken_after_end=float("nan")), head_toml(*SSD_ROWS))
    (found,) = detect_images(compiled, [with_square(grey(), 40, 32, RED)], spec)
    assert sure(found) == [([40, 32, 48, 40], 0)]


@pytest.mark.parametrize(("graph", "declared", "certain"), HEADS)
def test_the_samples_speak_for_a_right_head(
    tmp_path: Path, graph: object, declared: tuple[str, str, str], certain: float | None
) -> None:
    del certain
    tried = trial(tmp_path, graph(), head_toml(*declared))  # type: ignore[operator]
    assert tried.warnings == ()
    assert [len(one) > 0 and one.frame_score >= 0.5 for one in tried.found] == [True, True, False]


def trial(folder: Path, graph: ov.Model, text: str) -> Tried:
    (folder / "head.toml").write_text(text)
    head = read_head(folder / "head.toml")
    foreign = read_graph(write_model(folder, graph), head.input)
    samples = sorted(write_samples(folder / "samples").iterdir())
    return try_head(foreign, head, samples, lambda: None)


@pytest.mark.parametrize(
    "wrong",
    [pytest.param(float("nan"), id="NaN"), pytest.param(-0.5, id="below 0"), pytest.param(1.5, id="above 1")],
)
def test_an_answer_that_suppression_would_drop_unseen_makes_the_whole_answer_broken(
    tmp_path: Path, wrong: float
) -> None:
    """On a red picture one place of the network answers what no probability is; on any other it is sound."""
    seen = network()
    redness = ops.reduce_mean(seen.likely, np.array([0, 1]))
    worst = ops.select(ops.greater(redness, np.float32(0.4)), np.float32(wrong), np.float32(0))
    last = ops.concat([ops.constant(np.zeros(5, np.float32)), ops.reshape(worst, np.array([1]), special_zero=False)], 0)
    rows = ops.concat([ops.constant(centred(seen.boxes)), seen.likely], 1)
    table = ops.concat([rows, ops.reshape(last, np.array([1, 6]), special_zero=False)], 0)
    graph = model(seen, {"output0": ops.unsqueeze(table, np.array(0))})
    text = head_toml(*YOLO8).replace("values-first", "boxes-first")
    compiled, spec, _ = built(tmp_path, graph, text)
    assert sure(detect_images(compiled, [with_square(grey(), 40, 32, RED)], spec)[0]) == [([40, 32, 48, 40], 0)]
    with pytest.raises(ModelError, match="not finite"):
        detect_images(compiled, [with_square(grey(), 0, 0, RED, side=64)], spec)
