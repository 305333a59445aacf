from pathlib import Path

import cv2
import numpy as np
import openvino as ov
import pytest
from detector_kit import (
    ALIGNMENT,
    CLASSES,
    Picture,
    detector_spec,
    grey,
    make_detector,
    pattern,
    square_graph,
    with_square,
)
from openvino import opset13 as ops
from station_kit import SIDE

from models.bundle import open_bundle
from models.compile import compile_bundle, compile_graph
from models.detecting import detect_images, read_answer
from models.detections import Detections
from models.errors import AlignmentError, ModelError
from models.letterbox import placement
from models.selftest import check_selftest, run_selftest
from models.spec import Alignment, Kind, Precision, Tiling


def compiled(*, compares: bool = False, nan_above: float | None = None) -> ov.CompiledModel:
    return compile_graph(square_graph(compares=compares, nan_above=nan_above), Precision.FP32, threads=1)


def sure(found: Detections) -> list[tuple[float, ...]]:
    """Boxes and classes from the threshold on."""
    keep = found.scores >= 0.5
    return [(*box, int(name)) for box, name in zip(found.boxes_xyxy[keep].tolist(), found.class_ids[keep], strict=True)]


def answering(boxes: object, scores: object, ids: object, finite: float = 0.0) -> ov.InferRequest:
    """A finished request of a graph that always gives this answer."""
    image = ops.parameter([1, 2, 2, 3], ov.Type.u8, name="image")
    parts = {
        "boxes": np.array(boxes, np.float32).reshape(-1, 4) if np.size(boxes) % 4 == 0 else np.array(boxes, np.float32),
        "scores": np.array(scores, np.float32),
        "class_ids": np.array(ids, np.int32),
        "finite": np.array([finite], np.float32),
    }
    model = ov.Model([ops.result(ops.constant(part)) for part in parts.values()], [image], "answering")
    for index, name in enumerate(parts):
        model.output(index).get_tensor().set_names({name})
    request = compile_graph(model, Precision.FP32, threads=1).create_infer_request()
    request.infer({0: np.zeros((1, 2, 2, 3), np.uint8)})
    return request


PLACE = placement(200, 100, detector_spec().inputs[0])


def test_boxes_come_in_frame_pixels_and_inside_the_frame() -> None:
    found = read_answer(answering([[32, 16, 64, 48], [-5, 10, 70, 99]], [0.9, 0.5], [1, 0]), PLACE, 2)
    assert found.boxes_xyxy.tolist() == [[100, 0, 200, 100], [0, 0, 200, 100]]
    assert (found.scores.dtype, found.class_ids.dtype) == (np.float32, np.int32)


def test_rounding_above_one_is_one_and_nothing_found_is_nothing() -> None:
    assert read_answer(answering([[0, 0, 9, 9]], [1.0005], [0]), PLACE, 2).scores.tolist() == [1.0]
    assert len(read_answer(answering(np.zeros((0, 4)), [], []), PLACE, 2)) == 0


NAN = float("nan")


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        pytest.param((np.zeros((0, 4)), [], [], NAN), "not finite", id="NaN that suppression dropped"),
        pytest.param(([[0, 0, 9, 9]], [NAN], [0]), "score nan", id="a score of NaN"),
        pytest.param(([[0, NAN, 9, 9]], [0.9], [0]), "not finite", id="a box of NaN"),
        pytest.param(([[0, 0, float("inf"), 9]], [0.9], [0]), "not finite", id="a box without end"),
        pytest.param(([[9, 0, 0, 9]], [0.9], [0]), "ends before it starts", id="a box turned inside out"),
        pytest.param(([[0, 0, 9, 9]], [0.9], [2]), "class 2, the bundle names 2", id="a class without a name"),
        pytest.param(([[0, 0, 9, 9]], [0.9], [-1]), "class -1", id="a class below the first"),
        pytest.param(([[0, 0, 9, 9]], [1.1], [0]), "outside", id="a score above one"),
        pytest.param(([[0, 0, 9, 9]], [-0.1], [0]), "outside", id="a score below zero"),
        pytest.param(([[0, 0, 9, 9]], [0.9, 0.8], [0, 0]), r"boxes \(1, 4\) for 2 scores", id="a box too few"),
        pytest.param(([[0, 0, 9, 9]], [0.9], [0, 0]), "for 1 scores", id="a class too many"),
        pytest.param(([1.0, 2.0, 3.0], [0.9], [0]), r"boxes \(3,\)", id="boxes without corners"),
    ],
)
def test_an_answer_that_breaks_the_contract_is_an_error_and_never_empty(
    answer: tuple[object, ...], complaint: str
) -> None:
    with pytest.raises(ModelError, match=complaint):
        read_answer(answering(*answer), PLACE, 2)  # type: ignore[arg-type]


def test_answers_come_in_the_order_of_the_images_from_arrays_and_files_alike(tmp_path: Path) -> None:
    images = [with_square(grey(), 2 * index, 4, 255 if index % 2 else 0) for index in range(20)]
    files = [tmp_path / f"{index}.png" for index in range(20)]
    for image, file in zip(images, files, strict=True):
        cv2.imwrite(str(file), image)
    steps: list[int] = []
    found = detect_images(compiled(), images, detector_spec(), advance=lambda: steps.append(1))
    assert [sure(one) for one in found] == [
        [(2.0 * index, 4.0, 2.0 * index + 8, 12.0, 0 if index % 2 else 1)] for index in range(20)
    ]
    assert len(steps) == 20
    again = detect_images(compiled(), files, detector_spec())
    assert [one.boxes_xyxy.tolist() for one in again] == [one.boxes_xyxy.tolist() for one in found]


def test_nan_is_an_error_although_suppression_drops_it() -> None:
    with pytest.raises(ModelError, match="not finite"):
        detect_images(compiled(nan_above=100), [grey()], detector_spec())


def test_what_the_reference_explains_is_not_found_and_what_is_found_lies_in_the_frame() -> None:
    world = pattern((SIDE + 20, SIDE + 20), seed=3)
    reference, shifted = world[10:-10, 10:-10], world[7:-13, 8:-12]
    spec = detector_spec(compares=True)
    images: list[Picture | Path] = [np.ascontiguousarray(shifted), with_square(shifted, 20, 30)]
    found = detect_images(compiled(compares=True), images, spec, [np.ascontiguousarray(reference)] * 2)
    assert sure(found[0]) == []
    assert sure(found[1]) == [(20, 30, 28, 38, 0)]
    unaligned = detector_spec(compares=True, alignment=None)
    assert sure(detect_images(compiled(compares=True), images[:1], unaligned, [np.ascontiguousarray(reference)])[0])


def test_a_frame_that_its_reference_does_not_explain_is_named_or_reported() -> None:
    spec, graph = detector_spec(compares=True), compiled(compares=True)
    images, references = [pattern(seed=1), pattern(seed=2)], [pattern(seed=1)] * 2
    with pytest.raises(AlignmentError, match="image 1: the frame is like its reference"):
        detect_images(graph, images, spec, references)
    misfits: list[int] = []
    found = detect_images(graph, images, spec, references, on_misfit=lambda index, _why: misfits.append(index))
    assert (misfits, [len(one) for one in found]) == ([1], [0, 0])


def test_a_missing_reference_is_an_error() -> None:
    with pytest.raises(ModelError, match="golden reference"):
        detect_images(compiled(compares=True), [grey()], detector_spec(compares=True))


@pytest.mark.parametrize("compares", [False, True], ids=["alone", "beside a reference"])
def test_a_frame_much_larger_than_the_model_is_looked_at_in_tiles(compares: bool) -> None:  # noqa: FBT001 - a mode
    """Letterboxed whole, squares of 8 pixels in 400 x 300 would be 1 pixel."""
    large = pattern((400, 300), seed=5) if compares else grey((400, 300))
    places = [(11, 7), (57, 90), (301, 280), (390, 2), (200, 150)]
    frame = large
    for left, top in places:
        frame = with_square(frame, left, top)
    spec = detector_spec(compares=compares, tiling=Tiling(SIDE, 24))
    (found,) = detect_images(compiled(compares=compares), [frame], spec, [large])
    strong = sorted((box[0], box[1]) for box in sure(found))
    assert len(strong) == len(places)
    np.testing.assert_allclose(strong, sorted(places), atol=2)
    whole = detector_spec(compares=compares)
    assert sure(detect_images(compiled(compares=compares), [frame], whole, [large])[0]) == []


@pytest.mark.parametrize("size", [(1, 1000), (1000, 1), (7, 5), (64, 64), (65, 64), (500, 40)], ids=str)
@pytest.mark.parametrize("tiling", [None, Tiling(SIDE, 16)], ids=["whole", "tiles"])
def test_frames_of_any_shape_are_looked_at(size: tuple[int, int], tiling: Tiling | None) -> None:
    for compares in (False, True):
        frame = pattern(size) if compares else grey(size)
        spec = detector_spec(compares=compares, tiling=tiling)
        (found,) = detect_images(compiled(compares=compares), [frame], spec, [frame])
        assert sure(found) == []


@pytest.mark.parametrize("compares", [False, True], ids=["alone", "beside a reference"])
def test_a_detector_bundle_opens_with_what_it_declares_and_passes_its_self_test(
    tmp_path: Path,
    compares: bool,  # noqa: FBT001 - a mode
) -> None:
    made = make_detector(tmp_path, compares=compares, tiling=Tiling(SIDE, 16))
    bundle = open_bundle(made.path)
    assert (bundle.spec.kind, bundle.spec.classes, bundle.spec.compares) == (Kind.DETECTOR, CLASSES, compares)
    assert bundle.spec.tiling == Tiling(SIDE, 16)
    assert bundle.spec.alignment == (ALIGNMENT if compares else None)
    graph = compile_bundle(bundle, threads=1)
    check_selftest(bundle, graph)
    assert [result.name for result in run_selftest(bundle, graph)] == ["square.png", "good.png"]


def test_a_detector_that_finds_something_else_fails_its_self_test(tmp_path: Path) -> None:
    bundle = make_detector(tmp_path, wrong_selftest=True)
    with pytest.raises(ModelError, match=r"good\.png gives nan"):
        check_selftest(bundle, compile_bundle(bundle, threads=1))


def test_the_limits_that_a_bundle_leaves_open_are_the_defaults() -> None:
    assert Alignment() == Alignment(max_shift_px=20.0, min_correlation=0.6)
