"""What is wrong, by what the daemon last said."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from cloud_sync.pages.words import OURS, Words
from edge.web import trouble
from edge.web.trouble import KNOWN, Weight, kind_of, troubles

RUNS: dict[str, object] = {"running": True, "faults": {}, "alarms": {}, "sync": None, "masters": {}}
SINCE = "2026-07-01T12:00:00+00:00"


def test_a_station_that_is_well_has_no_trouble() -> None:
    assert troubles(RUNS) == []


@pytest.mark.parametrize(
    ("changes", "name", "kind", "weight"),
    [
        pytest.param({"faults": {"camera:top": "lost"}}, "camera:top", "camera", Weight.FAULT, id="a camera"),
        pytest.param({"faults": {"camera:a:shifted": "b"}}, "camera:a:shifted", "picture", Weight.FAULT, id="picture"),
        pytest.param({"faults": {"masters:cell": "old"}}, "masters:cell", "masters", Weight.FAULT, id="master parts"),
        pytest.param({"alarms": {"disk_low": "full"}}, "disk_low", "disk_low", Weight.ALARM, id="the disk"),
        pytest.param({"alarms": {"of_tomorrow": "new"}}, "of_tomorrow", "other", Weight.ALARM, id="of a later version"),
        pytest.param(
            {"sync": {"connected": False, "last_error": "gone", "last_ack_at": SINCE}}, "link", "link", Weight.NOTE,
            id="the cloud",
        ),
        pytest.param(
            {"masters": {"cell": {"word": "due", "left_s": 600}}}, "masters:cell", "masters_due", Weight.NOTE, id="due"
        ),
        pytest.param({"running": False, "why": "daemon dead"}, "daemon", "daemon", Weight.FAULT, id="the daemon"),
    ],
)  # fmt: skip
def test_each_trouble_is_named_with_its_kind(changes: dict[str, object], name: str, kind: str, weight: Weight) -> None:
    (found,) = troubles(RUNS | changes)
    assert (found.name, found.kind, found.weight) == (name, kind, weight)


def test_a_drift_says_since_when_its_oldest_sign_is() -> None:
    signs = [{"alarm": True, "since": SINCE}, {"alarm": False, "since": None}, {"alarm": True, "since": None}]
    (found,) = troubles(RUNS | {"alarms": {"drift": "focus of cell top"}, "triage": {"drift": signs}})
    assert found.since == datetime(2026, 7, 1, 12, tzinfo=UTC)


def test_there_are_words_for_what_to_do_about_every_kind() -> None:
    words = Words([OURS, Path(trouble.__file__).parent / "words"])
    for language in ("en", "zh"):
        for kind in (*KNOWN, kind_of("never heard of")):
            assert words.say(language, f"alarms.kind_{kind}")
            assert words.say(language, f"alarms.todo_{kind}")
