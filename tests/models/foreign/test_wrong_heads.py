"""A head that does not fit is refused, and the message says which key to look at."""

from pathlib import Path

import cv2
import numpy as np
import openvino as ov
import pytest
from foreign_kit import (
    DETR,
    RED,
    SSD_RAW,
    SSD_ROWS,
    TENSORFLOW,
    YOLO5,
    YOLO8,
    YOLOX,
    Wants,
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

from models.errors import GateError, ModelError, RequestError
from models.foreign.graph import read_graph
from models.foreign.head import read_head
from models.foreign.trial import Tried, try_head
from models.spec import Fit

THREE = "['red', 'blue', 'green']"


def trial(folder: Path, graph: ov.Model, text: str, samples: Path | None = None) -> Tried:
    (folder / "head.toml").write_text(text)
    head = read_head(folder / "head.toml")
    foreign = read_graph(write_model(folder, graph), head.input)
    found = sorted((samples or write_samples(folder / "samples")).iterdir())
    return try_head(foreign, head, found, lambda: None)


def changed(declared: tuple[str, str, str], *changes: tuple[str, str], wants: Wants = Wants()) -> str:  # noqa: B008
    text = head_toml(*declared, wants)
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        pytest.param("kind = ", "no TOML", id="no TOML"),
        pytest.param("", "kind", id="empty"),
        pytest.param(changed(YOLO8, ("[decode]", "[decode]\niou = 0.5")), "unknown key 'decode.iou'", id="unknown key"),
        pytest.param(changed(YOLO8, ('activation = "none"\n', "")), "decode.activation: Field required", id="left out"),
        pytest.param(
            changed(YOLO8, ("0.25", "25")), "decode.threshold: .* less than 1, got 25", id="a threshold of 25"
        ),
        pytest.param(changed(YOLO8, ('order = "values-first"', "")), "needs decode.order", id="yolo without order"),
        pytest.param(changed(YOLO8, ('"none"', '"softmax"')), "no softmax", id="yolo with softmax"),
        pytest.param(changed(DETR, ('boxes = "pred_boxes"', "")), "boxes and scores", id="scores without boxes"),
        pytest.param(changed(SSD_ROWS, ("xyxy", "cxcywh")), "box_format 'xyxy'", id="finished rows are corners"),
        pytest.param(changed(YOLOX, ("pixels", "normalised")), "strides go with", id="strides of shares"),
        pytest.param(changed(YOLO8, ("0.25", "0.01")), "lowest_score 0.02 must be below", id="below what is reported"),
        pytest.param(changed(YOLO8, ("scale = 255.0", "scale = [1, 2]")), "2 numbers, and rgb has 3", id="two scales"),
        pytest.param(changed(YOLO8, ("scale = 255.0", "scale = 0")), "input.scale", id="scale 0"),
        pytest.param(changed(YOLO8, ("'blue'", "'red'")), "names one twice", id="a class twice"),
    ],
)
def test_a_head_that_contradicts_itself_is_refused_before_anything_is_read(
    tmp_path: Path, text: str, complaint: str
) -> None:
    (tmp_path / "head.toml").write_text(text)
    with pytest.raises(RequestError, match=complaint):
        read_head(tmp_path / "head.toml")


@pytest.mark.parametrize(
    ("graph", "text", "complaint"),
    [
        pytest.param(
            yolo8,
            changed(YOLO8, ("output0", "out")),
            r"outputs.combined = 'out', .* output0 \[1,6,841\]",
            id="no such output",
        ),
        pytest.param(yolo8, changed(YOLO8, ("['red', 'blue']", THREE)), r"expected \(1, 7, N\)", id="a class too many"),
        pytest.param(
            yolo5, changed(YOLO5, ("objectness = true", "")), r"expected \(1, N, 6\)", id="objectness forgotten"
        ),
        pytest.param(yolo8, changed(YOLO8, ("values-first", "boxes-first")), r"expected \(1, N, 6\)", id="transposed"),
        pytest.param(
            ssd_raw,
            changed(SSD_RAW, ('background = "first"', "")),
            "2 classes and no background",
            id="background forgotten",
        ),
        pytest.param(detr, changed(DETR, ("['red', 'blue']", THREE)), r"expected shape \(1, N, 4\)", id="detr classes"),
        pytest.param(
            tensorflow_ssd,
            changed(TENSORFLOW, ('"detection_boxes"', '"detection_scores"')),
            "four sides",
            id="no boxes",
        ),
        pytest.param(
            ssd_rows, changed(YOLO8, ("output0", "detection_out")), r"expected \(1, 6, N\)", id="rows as yolo"
        ),
        pytest.param(yolox, changed(YOLOX, ("[4]", "[8, 16]")), "give 80 cells .* answers for 256", id="strides"),
        pytest.param(yolo8, changed(YOLO8, ("NCHW", "NHWC")), "read as NHWC has C = 64, expected 3", id="layout"),
        pytest.param(yolo8, changed(YOLO8, ('"rgb"', '"grey"')), "has C = 3, expected 1", id="grey"),
        pytest.param(
            yolo8,
            changed(YOLO8, ("[outputs]", "height = 32\n[outputs]")),
            "has H = 64, expected 32",
            id="another height",
        ),
    ],
)
def test_a_head_that_the_graphs_own_shapes_contradict_is_refused(
    tmp_path: Path, graph: object, text: str, complaint: str
) -> None:
    with pytest.raises(RequestError, match=complaint):
        trial(tmp_path, graph(), text)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("sizes", "complaint"),
    [
        pytest.param((2, 3, 64, 64), "has N = 2, expected 1", id="batch 2"),
        pytest.param((1, 3, -1, -1), "leaves height open: set input.height", id="open and not declared"),
    ],
)
def test_an_input_that_is_no_single_picture_of_known_size_is_refused(
    tmp_path: Path, sizes: tuple[int, ...], complaint: str
) -> None:
    image = ops.parameter(ov.PartialShape(list(sizes)), ov.Type.f32, name="images")
    image.output(0).get_tensor().set_names({"images"})
    built = ov.Model([ops.result(ops.relu(image))], [image], "theirs")
    built.output(0).get_tensor().set_names({"output0"})
    with pytest.raises(RequestError, match=complaint):
        trial(tmp_path, built, head_toml(*YOLO8))


def test_a_second_input_is_refused_by_name(tmp_path: Path) -> None:
    seen = network()
    size = ops.parameter([1, 2], ov.Type.f32, name="im_shape")
    size.output(0).get_tensor().set_names({"im_shape"})
    built = ov.Model([ops.result(seen.likely), ops.result(size)], [seen.parameter, size], "theirs")
    with pytest.raises(RequestError, match=r"expected one input, a picture, got 2: .*im_shape"):
        trial(tmp_path, built, head_toml(*YOLO8))


def test_an_output_whose_size_depends_on_the_picture_is_refused(tmp_path: Path) -> None:
    seen = network()
    found = ops.transpose(ops.non_zero(seen.likely), np.array([1, 0]))
    built = model(seen, {"output0": ops.unsqueeze(ops.convert(found, "f32"), np.array(0))})
    with pytest.raises(RequestError, match="every size must be fixed"):
        trial(tmp_path, built, head_toml(*YOLO8))


@pytest.mark.parametrize(
    ("graph", "text", "complaint"),
    [
        pytest.param(
            detr, changed(DETR, ("normalised", "pixels")), "smaller than 2 pixels.*box_unit", id="shares as pixels"
        ),
        pytest.param(
            yolo8, changed(YOLO8, ("pixels", "normalised")), "outside the input.*box_unit", id="pixels as shares"
        ),
        pytest.param(
            yolo8, changed(YOLO8, ("cxcywh", "xyxy")), "end before they start.*box_format", id="centre as corner"
        ),
        pytest.param(ssd_raw, changed(SSD_RAW, ("softmax", "none")), "expected probabilities.*activation", id="logits"),
        pytest.param(yolo8, changed(YOLO8, ('"none"', '"sigmoid"')), "as probabilities do.*activation", id="no logits"),
        pytest.param(
            ssd_rows,
            changed(SSD_ROWS, ('background = "first"', "")),
            "class 2, counted from 0.*background",
            id="labels from 1",
        ),
        pytest.param(
            ssd_rows,
            changed(SSD_ROWS, ("['red', 'blue']", "['red']")),
            "class 1, .* the head names 1",
            id="a class too few",
        ),
    ],
)
def test_a_head_that_the_samples_contradict_is_refused(
    tmp_path: Path, graph: object, text: str, complaint: str
) -> None:
    with pytest.raises(GateError, match=complaint):
        trial(tmp_path, graph(), text)  # type: ignore[operator]


def test_an_answer_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    seen = network()
    broken = ops.log(ops.subtract(ops.reduce_sum(seen.likely, np.array([1]), keep_dims=True), np.float32(2)))
    rows = ops.concat([ops.constant(seen.boxes), seen.likely, broken], 1)
    built = model(seen, {"output0": ops.unsqueeze(rows, np.array(0))})
    text = changed(YOLO8, ("values-first", "boxes-first"), ("['red', 'blue']", THREE))
    with pytest.raises(GateError, match="not finite"):
        trial(tmp_path, built, text)


def test_good_parts_alone_leave_boxes_unchecked_and_that_is_said(tmp_path: Path) -> None:
    (tmp_path / "good").mkdir()
    cv2.imwrite(str(tmp_path / "good" / "a.png"), grey())
    tried = trial(tmp_path, yolo8(), head_toml(*YOLO8), tmp_path / "good")
    assert len(tried.warnings) == 1
    assert "boxes and classes were not checked" in tried.warnings[0]


def test_corners_that_could_be_centres_are_said_to_be_looked_at(tmp_path: Path) -> None:
    """xyxy declared as cxcywh near the upper left corner: no number can tell, a person can."""
    (tmp_path / "few").mkdir()
    cv2.imwrite(str(tmp_path / "few" / "a.png"), with_square(grey(), 20, 20, RED))
    seen = network()
    rows = ops.concat([ops.constant(seen.boxes), seen.likely], 1)
    built = model(seen, {"output0": ops.unsqueeze(rows, np.array(0))})
    text = changed(YOLO8, ("values-first", "boxes-first"))
    assert any("also read as xyxy" in one for one in trial(tmp_path, built, text, tmp_path / "few").warnings)


def test_frames_of_another_shape_get_bars_and_that_is_said(tmp_path: Path) -> None:
    (tmp_path / "wide").mkdir()
    cv2.imwrite(str(tmp_path / "wide" / "a.png"), with_square(grey((128, 64)), 40, 32, RED, side=16))
    tried = trial(tmp_path, yolo8(), head_toml(*YOLO8), tmp_path / "wide")
    assert any("128x64" in one and "bars" in one for one in tried.warnings)
    text = changed(YOLO8, ("[outputs]", 'fit = "stretch"\n[outputs]'))
    (tmp_path / "drawn out").mkdir()
    flat = grey((128, 64))
    flat[24:32, 40:56] = RED
    cv2.imwrite(str(tmp_path / "drawn out" / "a.png"), flat)
    stretched = trial(tmp_path, yolo8(), text, tmp_path / "drawn out")
    assert stretched.spec.inputs[0].fit is Fit.STRETCH
    assert any("128x64" in one and "stretched" in one for one in stretched.warnings)


def test_a_quantized_graph_is_refused_because_no_gate_saw_it(tmp_path: Path) -> None:
    seen = network()
    low, high = np.float32(0), np.float32(1)
    coarse = ops.fake_quantize(seen.likely, low, high, low, high, 256)
    rows = ops.concat([ops.constant(seen.boxes), coarse], 1)
    built = model(seen, {"output0": ops.unsqueeze(rows, np.array(0))})
    with pytest.raises(GateError, match="quantized"):
        trial(tmp_path, built, changed(YOLO8, ("values-first", "boxes-first")))


def test_weights_of_eight_bits_are_refused_likewise(tmp_path: Path) -> None:
    seen = network()
    packed = ops.convert(ops.constant(np.ones((len(seen.boxes), 2), np.int8)), "f32")
    rows = ops.concat([ops.constant(seen.boxes), ops.multiply(seen.likely, packed)], 1)
    built = model(seen, {"output0": ops.unsqueeze(rows, np.array(0))})
    with pytest.raises(GateError, match="quantized"):
        trial(tmp_path, built, changed(YOLO8, ("values-first", "boxes-first")))


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        pytest.param("gone.onnx", None, ModelError, id="missing"),
        pytest.param("text.onnx", b"no model", ModelError, id="no model"),
        pytest.param("text.xml", b"<net/>", ModelError, id="no graph"),
        pytest.param("weights.pt", b"PK", RequestError, id="another format"),
    ],
)
def test_a_file_that_is_no_model_is_refused(
    tmp_path: Path, name: str, content: bytes | None, error: type[Exception]
) -> None:
    (tmp_path / "head.toml").write_text(head_toml(*YOLO8))
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(error, match=name):
        read_graph(tmp_path / name, read_head(tmp_path / "head.toml").input)
