"""A part that lies off is judged as if it lay straight, by the same numbers everywhere; what is no such part is not."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from detector_kit import Picture, pattern, with_square
from pose_kit import HOW, INPUT, SIZE, aligned_bundle, seen, usual_graph, world
from station_kit import make_bundle

from edge.infer.openvino import OpenVinoEngine
from edge.infer.plan import Plan
from edge.infer.regions import regions
from models.bundle import MANIFEST, Bundle, open_bundle
from models.bundle_store import activate, copy_next
from models.compile import compile_bundle, compile_graph
from models.errors import AlignmentError, ModelError
from models.letterbox import Placement, placement
from models.manifest import AlignmentEntry
from models.pose import Pose
from models.scoring import model_input, pose_of, rejected, score_images
from models.selftest import check_selftest, run_selftest
from models.spec import Alignment, Fit, InputSpec, Precision
from models.verify import verify

PART = world()
POSES = [
    pytest.param((0, 0, 0), id="straight"),
    pytest.param((8, -6, 0), id="shifted"),
    pytest.param((0, 0, 3), id="turned"),
    pytest.param((-7, 5, -2.5), id="both"),
    pytest.param((2.4, 3.6, 0.7), id="between pixels"),
]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return aligned_bundle(tmp_path_factory.mktemp("bundles"), PART)


@pytest.fixture(scope="module")
def engine(bundle: Bundle) -> OpenVinoEngine:
    return OpenVinoEngine(bundle, Plan(1, 1, 2))


def blotted() -> Picture:
    """The part with a white blot whose place, seen straight, is 110 to 134 right and 60 to 84 down."""
    return with_square(PART, 110 + 40, 60 + 40, 255, 24)


@pytest.mark.parametrize("pose", POSES)
def test_a_part_gets_the_score_that_it_has_where_it_lies_straight(
    engine: OpenVinoEngine, pose: tuple[float, float, float]
) -> None:
    straight = engine.submit(seen(blotted()), 5).result(5).frame_score
    assert engine.submit(seen(PART, *pose), 5).result(5).frame_score < 0.4
    assert engine.submit(seen(blotted(), *pose), 5).result(5).frame_score == pytest.approx(straight, abs=0.05)


@pytest.mark.parametrize("pose", POSES)
def test_a_box_comes_back_where_the_defect_lies_on_the_frame(
    engine: OpenVinoEngine, pose: tuple[float, float, float]
) -> None:
    frame = seen(blotted(), *pose)
    rows, columns = np.nonzero((frame.min(axis=2) > 225) & (seen(PART, *pose).min(axis=2) < 215))
    left, top, right, bottom = engine.submit(frame, 5).result(5).boxes_xyxy[0]
    assert (left + right) / 2 == pytest.approx(np.median(columns), abs=7)
    assert (top + bottom) / 2 == pytest.approx(np.median(rows), abs=7)
    assert left < np.quantile(columns, 0.1) + 6
    assert right > np.quantile(columns, 0.9) - 6


def test_engine_scoring_and_self_test_give_the_same_numbers(bundle: Bundle, engine: OpenVinoEngine) -> None:
    frames = [seen(blotted(), 6, -5, 2), seen(PART, -4, 3, -1)]
    compiled = compile_bundle(bundle, threads=1)
    scored = score_images(compiled, frames, bundle.spec.inputs[0], pose=pose_of(bundle))
    for frame, score, heat, place in zip(frames, scored.scores, scored.maps, scored.places, strict=True):
        assert place is not None
        found, expected = engine.submit(frame, 5).result(5), regions(heat, place, bundle.spec.inputs[0])
        np.testing.assert_allclose(found.boxes_xyxy, expected.boxes_xyxy, atol=1e-3)
        np.testing.assert_allclose(found.map, heat, atol=1e-6)
        assert heat.max() == pytest.approx(score)
    assert all(result.got == pytest.approx(result.expected, abs=1e-4) for result in run_selftest(bundle, compiled))


def test_what_does_not_move_is_seen_as_a_plain_resize_shows_it() -> None:
    frame = seen(PART)
    laid = model_input(frame, INPUT, Pose(frame, HOW, INPUT)).astype(int)
    assert np.abs(laid - model_input(frame, INPUT)).max() <= 4


@pytest.mark.parametrize("fit", [Fit.STRETCH, Fit.LETTERBOX])
@pytest.mark.parametrize("zoom", [0.5, 1.0, 2.0])
def test_frames_of_several_sizes_are_laid_alike(fit: Fit, zoom: float) -> None:
    spec = InputSpec("image", 96, 96, fit=fit)
    pose = Pose(seen(PART), HOW, spec)
    expected = model_input(seen(PART), spec).astype(float)
    moved = seen(PART, 5, -4, 2, zoom)
    assert (
        np.abs(model_input(moved, spec, pose) - expected).mean()
        < 0.5 * np.abs(model_input(moved, spec) - expected).mean()
    )
    place = pose.place(moved)
    assert (place.frame_width, place.frame_height) == moved.shape[1::-1]
    assert (place.left, place.top) == (placement(*SIZE, spec).left, placement(*SIZE, spec).top)


def test_a_box_of_a_resize_and_of_the_same_pose_are_the_same() -> None:
    plain = placement(200, 150, INPUT)
    scale_x, scale_y = 200 / 96, 150 / 96
    matrix = (scale_x, 0.0, (scale_x - 1) / 2), (0.0, scale_y, (scale_y - 1) / 2)
    laid = Placement(0, 0, 96, 96, 200, 150, matrix)
    boxes = np.array([[10, 20, 30, 50], [90, 90, 120, 99]], np.float32)
    np.testing.assert_allclose(laid.to_frame_xyxy(boxes), plain.to_frame_xyxy(boxes), atol=1e-3)


@pytest.mark.parametrize(
    ("frame", "complaint"),
    [
        pytest.param(seen(world(5)), "is like its reference by", id="another part"),
        pytest.param(seen(PART, 30, 0), "beside its reference|is like", id="too far"),
        pytest.param(seen(PART, 0, 0, 25), "beside its reference|is like", id="turned too far"),
        pytest.param(np.full((150, 200, 3), 128, np.uint8), "is like its reference by", id="nothing there"),
        pytest.param(pattern((64, 300), 3), "is like its reference by", id="another shape"),
    ],
)
def test_what_does_not_lie_on_the_reference_is_refused(engine: OpenVinoEngine, frame: Picture, complaint: str) -> None:
    with pytest.raises(AlignmentError, match=complaint):
        engine.submit(np.ascontiguousarray(frame), 5)
    assert engine.submit(seen(PART), 5).result(5).frame_score < 0.4


def test_scoring_names_a_misfit_or_counts_it_as_rejected(bundle: Bundle) -> None:
    compiled, pose = compile_bundle(bundle, threads=1), pose_of(bundle)
    frames = [seen(PART), seen(world(5)), seen(PART, 4, 4)]
    with pytest.raises(AlignmentError, match="image 1"):
        score_images(compiled, frames, INPUT, pose=pose)
    scored = score_images(compiled, frames, INPUT, pose=pose, on_misfit=rejected)
    assert [place is None for place in scored.places] == [False, True, False]
    assert scored.scores[1] == 1
    assert max(scored.scores[0], scored.scores[2]) < 0.4


def test_an_aligned_bundle_survives_copying_activation_verification_and_self_test(
    bundle: Bundle, tmp_path: Path
) -> None:
    copied = copy_next(tmp_path, "other", bundle, bundle.manifest.created_at)
    activate(tmp_path, "other", 1)
    opened = open_bundle(copied.path)
    assert opened.spec.alignment == HOW
    assert opened.reference == copied.path / "reference.png"
    check_selftest(opened, compile_bundle(opened, threads=1))
    assert verify(opened, threads=1).convolutions == 0


def test_a_station_that_would_not_lay_its_frames_fails_the_self_test(bundle: Bundle) -> None:
    """The moved frame is there for this: judged as it comes, it is no good part."""
    (case,) = [case for case in bundle.selftest if case.frame.name == "moved.png"]
    plain = score_images(compile_bundle(bundle, threads=1), [case.frame], INPUT).scores[0]
    assert plain > case.score + 5 * case.tolerance


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        pytest.param({"reference": "gone.png"}, "gone.png, which it does not hold", id="a file that is not there"),
        pytest.param({}, "names none", id="no reference"),
    ],
)
def test_a_bundle_without_its_reference_is_refused(
    bundle: Bundle, tmp_path: Path, change: dict[str, str], complaint: str
) -> None:
    path = Path(shutil.copytree(bundle.path, tmp_path / "v1"))
    manifest = json.loads((path / MANIFEST).read_text())
    manifest["alignment"] = {"max_shift_px": 5, "min_correlation": 0.5} | change
    (path / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(ModelError, match=complaint):
        open_bundle(path)


def test_bundles_of_before_say_what_they_said(tmp_path: Path) -> None:
    made = make_bundle(tmp_path)
    assert made.reference is None
    assert pose_of(made) is None
    entry = AlignmentEntry(max_shift_px=20, min_correlation=0.6)
    assert entry.model_dump() == {"max_shift_px": 20, "min_correlation": 0.6}


def test_a_pose_keeps_nothing_of_a_frame() -> None:
    pose, frame = Pose(seen(PART), HOW, INPUT), seen(PART, 3, 2, 1)
    first = pose.place(frame)
    pose.place(seen(PART, -6, -5, -2))
    assert pose.place(frame) == first


def test_without_a_limit_to_turn_within_only_shifts_are_sought() -> None:
    how = Alignment(max_shift_px=1.0, min_correlation=0.6)
    graph = compile_graph(usual_graph(model_input(seen(PART), INPUT)), Precision.FP32, threads=1)
    score = score_images(graph, [seen(PART, 0.5, 0)], INPUT, pose=Pose(seen(PART), how, INPUT)).scores[0]
    assert score < 0.4


@pytest.mark.parametrize("level", [14, 40])
def test_a_picture_without_its_part_is_never_judged_as_if_it_lay_right(level: int) -> None:
    """A small part of a plain picture: without it the rest is all but the same, and was judged as it came."""

    def picture(right: int, *, shown: bool = True) -> Picture:
        image = np.full((300, 300, 3), 120, np.uint8)
        if shown:
            image[120:180, 120 + right : 180 + right] += np.uint8(level)
            image[130:135, 125 + right : 175 + right] -= np.uint8(level // 2)
        return image

    pose = Pose(picture(0), Alignment(20, 0.5), InputSpec("image", 256, 256, fit=Fit.STRETCH))
    assert pose.place(picture(5)).to_frame is not None
    for wrong in (picture(0, shown=False), picture(60), picture(-45)):
        with pytest.raises(AlignmentError):
            pose.place(wrong)
