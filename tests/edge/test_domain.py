import itertools
from datetime import datetime

import numpy as np
import pytest
from edge_kit import MODEL, NOW, detections, frame, image, inspection, part, view

from edge.domain.errors import CameraError, ConfigError, StorageError
from edge.domain.frame import Frame
from edge.domain.inspection import FrameInfo, ImageRef, Inspection, View
from edge.domain.part import Part, Verdict, worst
from edge.domain.sample import Sample, SampleReason

P, R, U = Verdict.PASS, Verdict.REJECT, Verdict.UNDECIDED


def test_a_part_passes_only_if_every_camera_says_so() -> None:
    for count in (1, 2, 3):
        for verdicts in itertools.product(Verdict, repeat=count):
            whole = Inspection(part(), tuple(view(one, f"c{n}") for n, one in enumerate(verdicts)))
            assert (whole.verdict is P) == all(one is P for one in verdicts)
            assert (whole.verdict is U) == (U in verdicts)
            assert whole.verdict is worst(verdicts)


@pytest.mark.parametrize(
    "of",
    [
        pytest.param(Inspection(part(), ()), id="no camera saw it"),
        pytest.param(Inspection(part(), (view(P),), ("storage_failed",)), id="the part has a reason"),
    ],
)
def test_what_was_not_seen_or_not_kept_is_undecided_and_says_why(of: Inspection) -> None:
    assert of.verdict is U
    assert of.all_reasons


def test_reasons_are_said_once_in_order() -> None:
    whole = Inspection(part(), (view(U, "a"), view(U, "b"), view(R, "c")), ("late",))
    assert whole.all_reasons == ("late", "no_frame", "anomaly:1")
    assert inspection().all_reasons == ()


@pytest.mark.parametrize("verdict", [pytest.param(P, id="PASS"), pytest.param(R, id="REJECT")])
@pytest.mark.parametrize("lacking", [pytest.param("frame", id="no frame"), pytest.param("detections", id="no answer")])
def test_a_verdict_needs_a_frame_and_a_models_answer(verdict: Verdict, lacking: str) -> None:
    parts = {"frame": FrameInfo(1, NOW, ""), "detections": detections()} | {lacking: None}
    with pytest.raises(StorageError, match="without a frame"):
        View("top", verdict, ("why",), model=MODEL, **parts)  # type: ignore[arg-type]


def test_what_is_not_pass_says_why() -> None:
    with pytest.raises(StorageError, match="must say why"):
        View("top", U, ())


def test_a_frame_is_sealed_and_knows_its_age() -> None:
    sealed = frame()
    with pytest.raises(ValueError, match="read-only"):
        sealed.image[0, 0, 0] = 1
    assert sealed.size == (80, 60)
    assert sealed.age_ms(sealed.monotonic_s + 0.25) == pytest.approx(250)


@pytest.mark.parametrize(
    ("pixels", "seq", "at"),
    [
        pytest.param(image()[:, :, 0], 1, NOW, id="grey"),
        pytest.param(image().astype(np.float32), 1, NOW, id="float"),
        pytest.param(image()[:0], 1, NOW, id="empty"),
        pytest.param(image(), 0, NOW, id="seq 0"),
        pytest.param(image(), 1, datetime(2026, 1, 1), id="no zone"),  # noqa: DTZ001 - the fault itself
    ],
)
def test_a_frame_that_is_none_is_refused(pixels: np.ndarray, seq: int, at: datetime) -> None:  # type: ignore[type-arg]
    with pytest.raises(CameraError):
        Frame("top", seq, at, 0.0, pixels)


@pytest.mark.parametrize(
    ("part_id", "product"),
    [
        pytest.param("", "p", id="empty id"),
        pytest.param("x" * 129, "p", id="too long"),
        pytest.param("a\n", "p", id="unprintable"),
        pytest.param("a", "", id="no product"),
    ],
)
def test_a_part_that_cannot_be_named_is_refused(part_id: str, product: str) -> None:
    with pytest.raises(ConfigError):
        Part(part_id, product, NOW, 0.0)


def test_references_and_samples_name_what_they_refer_to() -> None:
    ref = ImageRef("0" * 64, 1, "image/png")
    assert Sample("s/e/1", "top", ref, (SampleReason.AUDIT,)).image is ref
    with pytest.raises(StorageError):
        ImageRef("0" * 63, 1, "image/png")
    with pytest.raises(StorageError):
        Sample("s/e/1", "top", ref, ())
