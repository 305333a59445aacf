"""What an inspection of a master part proves: its own, by what judges now, through its own camera, and not of old."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import cast

import pytest

from cloud_sync.wire.records import InspectionRecord, ModelRecord, ViewRecord
from edge.domain.part import Verdict
from edge.masters.shown import judge_shown
from edge.masters.store import Master
from edge.pipeline import Product

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
START = NOW - timedelta(hours=9)
SHA = "a" * 64


def product() -> Product:
    runs = SimpleNamespace(
        product_id="blob",
        engine=SimpleNamespace(model_id=SimpleNamespace(sha256=SHA)),
        recipe=SimpleNamespace(version="1"),
    )
    return cast("Product", runs)


def master(*, good: bool = False) -> Master:
    return Master(name="blot", camera="top", good=good, sha256="b" * 64, size_bytes=1, added_at=START, added_by="anna")


def record(verdicts: dict[str, str], triggered_at: datetime = NOW - timedelta(minutes=5)) -> InspectionRecord:
    views = [
        ViewRecord(
            camera=camera,
            frame_seq=1,
            captured_at=triggered_at,
            source="file",
            verdict=verdict,  # type: ignore[arg-type]
            reasons=["anomaly"] if verdict == "REJECT" else [],
            score=0.9 if verdict == "REJECT" else 0.1,
            detections=[],
            detections_total=0,
            model=ModelRecord(id="blob", version=1, sha256=SHA, precision="FP32"),
        )
        for camera, verdict in verdicts.items()
    ]
    worst = next(word for word in ("UNDECIDED", "REJECT", "PASS") if word in verdicts.values())
    return InspectionRecord(
        station="s",
        epoch="0" * 32,
        seq=1,
        part_id="master:s1:blot",
        product="blob",
        triggered_at=triggered_at,
        verdict=worst,  # type: ignore[arg-type]
        reasons=[reason for view in views for reason in view.reasons],
        views=views,
        recipe_version="1",
        latency_ms={},
        image="none",
        replayed=False,
        master="blot",
    )


@pytest.mark.parametrize(
    ("good", "verdicts", "got"),
    [
        pytest.param(False, {"top": "REJECT", "side": "PASS"}, "REJECT", id="bad, its camera rejects it"),
        pytest.param(False, {"top": "PASS", "side": "REJECT"}, "PASS", id="bad, only another camera does"),
        pytest.param(False, {"top": "REJECT", "side": "UNDECIDED"}, "UNDECIDED", id="bad, and not judged as a whole"),
        pytest.param(True, {"top": "PASS", "side": "REJECT"}, "REJECT", id="good, and the part is rejected"),
        pytest.param(True, {"top": "PASS", "side": "PASS"}, "PASS", id="good"),
    ],
)
def test_a_bad_part_is_known_by_its_own_camera(good: bool, verdicts: dict[str, str], got: str) -> None:  # noqa: FBT001
    found = judge_shown(master(good=good), record(verdicts), product(), START, NOW)
    assert (found.got, found.ok) == (got, got == ("PASS" if good else "REJECT"))


@pytest.mark.parametrize(
    ("triggered_at", "since", "counts"),
    [
        pytest.param(NOW - timedelta(minutes=59), START, True, id="within the hour"),
        pytest.param(NOW - timedelta(minutes=61), START, False, id="of an earlier use of the session's name"),
        pytest.param(
            NOW - timedelta(minutes=5), NOW - timedelta(minutes=4), False, id="before the start or changeover"
        ),
        pytest.param(NOW + timedelta(hours=1), START, False, id="from the future: the clock was set back"),
    ],
)
def test_what_was_shown_at_another_time_proves_nothing(
    triggered_at: datetime,
    since: datetime,
    counts: bool,  # noqa: FBT001
) -> None:
    found = judge_shown(master(), record({"top": "REJECT"}, triggered_at), product(), since, NOW)
    assert found.ok is counts
    assert found.got == (Verdict.REJECT if counts else Verdict.UNDECIDED)
