"""The study of repeatability on models whose every answer can be foretold, for each kind of bundle."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from classifier_kit import make_classifier
from detector_kit import make_detector, pattern, with_square
from numpy.typing import NDArray
from station_kit import bad_frame, good_frame, make_bundle

from edge.calibrate.frames.cropping import Cropping
from edge.calibrate.gauge.disturbances import Disturber, Kind, Sizes, sizes_of
from edge.calibrate.gauge.repeatability import Repeatability, StudyLimits, study
from edge.calibrate.gauge.repeatability_page import headline, section
from edge.calibrate.gauge.study_parts import StudyPart, Truth, digest_of, real_repeats, study_parts
from edge.decide.recipe import Recipe, Rule
from edge.domain.errors import ConfigError
from edge.infer.comparing import ComparingEngine
from edge.infer.engine import Engine
from edge.infer.openvino import OpenVinoEngine
from edge.infer.plan import Plan
from models.bundle import Bundle
from models.errors import ModelError, RequestError
from models.progress import SilentProgress
from models.spec import Kind as BundleKind

Picture = NDArray[np.uint8]
PLAN = Plan(1, 1, 2)


def recipe(kind: BundleKind = BundleKind.ANOMALY, *classes: str, min_score: float = 0.5) -> Recipe:
    nowhere = np.zeros((0, 4), np.float32)
    return Recipe(kind, "1", {name: Rule(min_score, 0, 0, nowhere) for name in classes or ("anomaly",)})


@contextmanager
def engine_of(bundle: Bundle) -> Iterator[OpenVinoEngine]:
    engine = OpenVinoEngine(bundle, PLAN)
    try:
        yield engine
    finally:
        engine.close()


@pytest.fixture(scope="module")
def blob(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Rejects from grey 192 on, and up to 64."""
    with engine_of(make_bundle(tmp_path_factory.mktemp("bundles"))) as engine:
        yield engine


def flat(level: int, size: tuple[int, int] = (80, 60)) -> Picture:
    return np.full((size[1], size[0], 3), level, np.uint8)


def part(image: Picture, truth: Truth = Truth.GOOD, name: str = "p") -> StudyPart:
    return StudyPart(name, truth, (image,))


def parts(good: int = 8, bad: int = 4) -> list[StudyPart]:
    found = [part(good_frame(seed=n), name=f"good-{n}") for n in range(good)]
    return found + [part(bad_frame(seed=n), Truth.DEFECT, f"bad-{n}") for n in range(bad)]


def run(engine: Engine, given: list[StudyPart], **more: Any) -> Repeatability:  # noqa: ANN401 - passed on
    return study(engine, more.pop("recipe", recipe()), given, more.pop("seed", 0), SilentProgress(), **more)


def test_a_steady_gauge_is_excellent_and_right(blob: Engine) -> None:
    found = run(blob, parts())
    made = found.made
    assert (made.within.estimate.value, made.between_repeats.value, made.effectiveness.estimate.value) == (1, 1, 1)
    assert made.against_truth is not None
    assert (made.against_truth.value, made.against_truth.word, found.synthetic) == (1, "excellent", False)
    assert (made.good, made.near, found.real) == (8, 0, None)
    assert found.worst is None
    assert "no disturbance that was tried changes a verdict" in headline(found)


def test_what_flips_verdicts_is_found_with_how_much_of_it_is_tolerable(blob: Engine) -> None:
    """Grey 180 is rejected from 7 % more light on; less light, a shift or noise of some levels do nothing to it."""
    found = run(blob, [part(flat(180), name=f"g{n}") for n in range(6)] + [part(flat(255), Truth.DEFECT, "b")])
    assert found.sizes.light_share == 0.02
    flipped = {(each.kind, each.size): each.flipped for each in found.flips}
    assert [flipped[Kind.BRIGHTER, size] for size in ("+2%", "+4%", "+8%")] == [0, 0, 6]
    last, first = found.tolerable(Kind.BRIGHTER)
    assert (last and last.size, first and first.size) == ("+4%", "+8%")
    assert found.tolerable(Kind.SHIFT)[1] is None
    assert found.worst is Kind.BRIGHTER
    assert "more light changes most verdicts" in headline(found)


def test_parts_near_the_threshold_are_counted_by_their_spread(blob: Engine) -> None:
    found = run(blob, [part(flat(128), name="far"), part(flat(188), name="near"), part(flat(255), Truth.DEFECT, "b")])
    assert found.made.deviation is not None
    assert found.made.deviation > 0
    assert (found.made.near, found.made.good) == (1, 2)
    assert "1 of 2 good parts lie within three" in section(found)


def test_a_gauge_that_is_steady_but_wrong_is_told_apart(blob: Engine) -> None:
    blind = recipe(min_score=0.95)
    found = run(blob, parts(), recipe=blind)
    assert found.made.within.estimate.value == 1
    assert found.made.between_repeats.value is None, "every verdict is PASS"
    assert found.made.against_truth is not None
    assert (found.made.against_truth.value, found.made.against_truth.word) == (0, "poor")
    assert found.made.missed is not None
    assert (found.made.missed.estimate.value, found.made.missed.word) == (1, "unacceptable")
    page = section(found)
    assert "not defined: every verdict is the same" in page
    assert "poor" in page
    assert "weak" in page


def test_without_labelled_defects_they_are_painted_and_called_so(blob: Engine) -> None:
    found = run(blob, parts(bad=0))
    assert found.synthetic
    assert sum(one.truth is Truth.SYNTHETIC for one in found.made.parts) == 4
    assert "painted on good parts" in section(found)
    assert found.as_json()["synthetic_defects"] is True


def test_the_same_seed_gives_the_same_study_and_another_draws_other_parts(blob: Engine) -> None:
    def plain(seed: int) -> dict[str, object]:
        found = run(blob, parts(20, 8), seed=seed, limits=StudyLimits(parts=6)).as_json()
        return {name: value for name, value in found.items() if name != "seconds"}

    assert plain(1) == plain(1)
    assert plain(1) != plain(2)


def test_parts_and_time_are_bounded_and_what_was_left_out_is_said(blob: Engine) -> None:
    progress = SilentProgress()
    found = study(blob, recipe(), parts(20, 20), 0, progress, StudyLimits(parts=9))
    assert [sum(one.truth is truth for one in found.made.parts) for truth in (Truth.GOOD, Truth.DEFECT)] == [6, 3]
    assert progress.stages == ["repeat"]
    assert "Drawn by chance from 40" in section(found)
    short = study(blob, recipe(), parts(20, 20), 0, progress, StudyLimits(parts=9, seconds=0))
    assert (len(short.made.parts), short.cut_short) == (2, True)
    assert {one.truth for one in short.made.parts} == {Truth.GOOD, Truth.DEFECT}
    assert "The time ran out" in section(short)


def test_real_repeats_are_a_study_of_their_own(blob: Engine, tmp_path: Path) -> None:
    for number, levels in enumerate(((128, 130, 128), (150, 150, 151), (188, 189, 200))):
        for repeat, level in enumerate(levels):
            cv2.imwrite(str(tmp_path / f"part-{number}-{repeat}.png"), flat(level))
    others = [part(flat(128), name=f"other-{number}") for number in range(20)]
    found = run(blob, [*others, *study_parts([], repeats=tmp_path)], limits=StudyLimits(parts=4))
    assert found.real is not None
    assert [(one.name, len(one.repeats), one.steady) for one in found.real.parts] == [
        ("part-0", 3, True),
        ("part-1", 3, True),
        ("part-2", 3, False),
    ]
    assert found.real.against_truth is None, "good ones alone: nothing to tell apart"
    assert found.real.within.estimate.value == pytest.approx(2 / 3)
    page = section(found)
    assert "Real repeats" in page
    assert "needs good and bad parts" in page


def test_repeats_are_grouped_by_name_or_by_folder(tmp_path: Path) -> None:
    for name in ("17-1.png", "17-2.png", "a-b-1.png", "a-b-2.png", "lone-1.png", "x/1.png", "x/2.bmp", "x/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = {one.name: [Path(str(file)).name for file in one.images] for one in real_repeats(tmp_path, Truth.DEFECT)}
    assert found == {"17": ["17-1.png", "17-2.png"], "a-b": ["a-b-1.png", "a-b-2.png"], "x": ["1.png", "2.bmp"]}


def test_what_cannot_be_studied_is_refused(blob: Engine, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="got 1 and 1: give frames of more good parts"):
        run(blob, parts(1, 0))
    with pytest.raises(RequestError, match="got 3 and 0"):
        run(blob, parts(0, 3))
    with pytest.raises(ConfigError, match="is no folder"):
        real_repeats(tmp_path / "gone")
    with pytest.raises(ConfigError, match=r"name them PART-REPEAT\.png"):
        real_repeats(tmp_path)
    with pytest.raises(ModelError, match="no readable image"):
        run(blob, [*parts(2, 0), StudyPart("lost", Truth.DEFECT, (tmp_path / "lost.png",))])


def test_names_are_escaped(blob: Engine) -> None:
    given = [part(flat(190), name="<b>&"), part(flat(128)), part(flat(255), Truth.DEFECT, "b")]
    page = section(run(blob, given))
    assert "&lt;b&gt;&amp;" in page
    assert "<b>" not in page


def test_a_detector_beside_a_reference_is_studied_too_and_a_frame_it_does_not_explain_is_undecided(
    tmp_path: Path,
) -> None:
    golden = pattern(seed=3)
    strange = StudyPart("strange", Truth.GOOD, (pattern(seed=77),))
    given = [part(golden, name="good"), strange, part(with_square(golden, 20, 30), Truth.DEFECT, "square")]
    with engine_of(make_detector(tmp_path, compares=True)) as engine:
        rules = recipe(BundleKind.DETECTOR, "bright", "dark")
        found = study(ComparingEngine(engine, golden), rules, given, 0, SilentProgress())
    got = {one.name: {look.verdict.value for look in one.repeats} for one in found.made.parts}
    assert got["strange"] == {"UNDECIDED"}
    assert got["square"] == {"REJECT"}
    assert section(found)


def test_a_classifier_is_studied_too(tmp_path: Path) -> None:
    with engine_of(make_classifier(tmp_path)) as engine:
        rules = recipe(BundleKind.CLASSIFIER, *engine.spec.classes)
        found = study(engine, rules, [part(flat(128), name=str(n)) for n in range(4)], 0, SilentProgress())
    assert found.synthetic
    assert len(found.flips) == 12


def textured(seed: int, size: tuple[int, int] = (160, 120)) -> Picture:
    small = np.random.default_rng(seed).integers(80, 160, (size[1] // 8, size[0] // 8), np.uint8)
    grey = cv2.resize(small, size, interpolation=cv2.INTER_CUBIC)
    return np.dstack([grey] * 3).astype(np.uint8)


def test_a_shift_moves_the_picture_by_whole_pixels_and_blurs_nothing() -> None:
    disturber, image = Disturber(Sizes(3, 0.05, 2, ""), 0), textured(1)
    for _ in range(10):
        moved = disturber.disturb(image, Kind.SHIFT, 2)
        inner = image[12:-12, 12:-12]
        likeness = cv2.matchTemplate(moved, inner, cv2.TM_SQDIFF)
        _, _, (x, y), _ = cv2.minMaxLoc(likeness)
        assert np.array_equal(moved[y : y + inner.shape[0], x : x + inner.shape[1]], inner)
        assert np.hypot(x - 12, y - 12) == pytest.approx(6, abs=0.8)


def test_noise_is_as_strong_as_it_says_and_grey_stays_grey() -> None:
    disturber = Disturber(Sizes(1, 0.05, 2, ""), 0)
    noisy = disturber.disturb(flat(128, (300, 200)), Kind.NOISE, 2).astype(np.float64)
    assert noisy.std() == pytest.approx(4, rel=0.05)
    assert np.array_equal(noisy[..., 0], noisy[..., 2])
    coloured = flat(128, (300, 200))
    coloured[..., 0] = 100
    apart = disturber.disturb(coloured, Kind.NOISE, 2).astype(np.float64)
    assert abs(np.corrcoef(apart[..., 0].ravel(), apart[..., 2].ravel())[0, 1]) < 0.1


def test_light_is_a_share_and_stops_at_white() -> None:
    disturber = Disturber(Sizes(1, 0.1, 2, ""), 0)
    assert disturber.disturb(flat(100), Kind.BRIGHTER, 1).mean() == 110
    assert disturber.disturb(flat(100), Kind.DARKER, 4).mean() == 60
    assert disturber.disturb(flat(240), Kind.BRIGHTER, 4).mean() == 255


def test_another_look_stays_within_the_first_steps() -> None:
    disturber = Disturber(Sizes(2, 0.1, 1, ""), 0)
    means = [disturber.again(flat(100)).mean() for _ in range(40)]
    assert 89 < min(means) < 95
    assert 105 < max(means) < 111


def test_sizes_come_from_the_frames_own_spread() -> None:
    """Frames of one texture, up to 12 px apart, light spread by 5 %, noise of three grey levels."""
    random, world = np.random.default_rng(0), textured(5, (700, 520))
    frames = []
    for _ in range(24):
        right, down = random.integers(0, 13, 2)
        view = world[down : down + 480, right : right + 640].astype(np.float64) * random.normal(1, 0.05)
        frames.append(np.clip(view + random.normal(0, 3, (480, 640, 1)), 0, 255).astype(np.uint8))
    found = sizes_of(frames)
    assert 5 <= found.shift_px <= 12
    assert found.light_share == pytest.approx(0.05, rel=0.35)
    assert found.noise_levels == pytest.approx(3, rel=0.2)


def test_frames_that_show_no_spread_get_the_least_that_is_usual() -> None:
    found = sizes_of([flat(128, (640, 480))] * 8)
    assert (found.shift_px, found.light_share, found.noise_levels) == (1, 0.02, 1.0)
    assert "cannot be seen" in found.origin


def test_repeats_are_cut_to_the_cameras_roi_and_named_by_what_they_show(tmp_path: Path) -> None:
    """Whole pictures of repeats were judged by a model that had learned cut ones; changed ones were not looked at."""
    folder = tmp_path / "repeats"
    folder.mkdir()
    for name in ("17-1", "17-2", "18-1", "18-2"):
        cv2.imwrite(str(folder / f"{name}.png"), np.full((60, 80, 3), 90, np.uint8))
    parts = study_parts([], (), folder, Cropping((10, 10, 50, 40), tmp_path / "cut"))
    assert [cv2.imread(str(image)).shape for part in parts for image in part.images] == [(30, 40, 3)] * 4
    before = digest_of(parts)
    assert digest_of(study_parts([], (), folder, Cropping((10, 10, 50, 40), tmp_path / "cut"))) == before
    cv2.imwrite(str(folder / "18-2.png"), np.full((60, 80, 3), 91, np.uint8))
    assert digest_of(study_parts([], (), folder, Cropping((10, 10, 50, 40), tmp_path / "cut"))) != before
    cv2.imwrite(str(folder / "18-2.png"), np.full((50, 80, 3), 91, np.uint8))
    with pytest.raises(ConfigError, match=r"18-2\.png: size"):
        study_parts([], (), folder, Cropping((10, 10, 50, 40), tmp_path / "cut"))
