"""The page that a quality manager files, and the JSON beside it."""

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from report_kit import made_facts

from edge.calibrate.frames.collect import Refusal
from edge.calibrate.laying import Laid
from edge.calibrate.report.decisions import decide
from edge.calibrate.report.facts import ExtraSection, Slot
from edge.calibrate.report.page import SCHEMA, write_report
from models.evaluate import clopper_pearson

pytestmark = pytest.mark.long


def write(folder: Path, **what: int) -> tuple[str, dict[str, Any]]:
    facts, bench = made_facts(folder / "frames", **what)
    bundle = folder / "bundle"
    bundle.mkdir()
    (bundle / "model.bin").write_bytes(b"weights")
    write_report(bundle, facts, bench)
    return (bundle / "report.html").read_text(), json.loads((bundle / "report.json").read_text())


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any]]:
    return write(tmp_path_factory.mktemp("labelled"), held_out=160, defects=24)


@pytest.fixture(scope="module")
def unlabelled(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any]]:
    return write(tmp_path_factory.mktemp("unlabelled"))


def test_the_page_needs_nothing_else_and_shows_what_it_is_told_as_text(
    labelled: tuple[str, dict[str, Any]],
) -> None:
    page, _ = labelled
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)
    assert "<script" not in page
    assert "url(http" not in page
    assert "odd &lt;b&gt;.png" in page
    assert page.count("<svg") == 4


def test_page_and_json_name_every_other_file_of_the_bundle_with_its_hash(
    unlabelled: tuple[str, dict[str, Any]],
) -> None:
    page, plain = unlabelled
    entry = plain["files"]["model.bin"]
    assert isinstance(entry, dict)
    assert entry["size_bytes"] == 7
    assert entry["sha256"] == hashlib.sha256(b"weights").hexdigest()
    assert entry["sha256"] in page


def test_json_holds_the_figures_of_the_page(labelled: tuple[str, dict[str, Any]]) -> None:
    page, plain = labelled
    assert plain["schema"] == SCHEMA
    threshold, escapes, tried = plain["threshold"], plain["escapes"], plain["precisions"]["tried"]
    assert threshold["held_out"] == 160 == len(threshold["scores"])
    assert f"at most {threshold['proven_rate']:.2%}" in page
    assert escapes["known"] is True
    assert escapes["good"] == 6, "how many of the threshold's own frames are rejected was chosen, and proves nothing"
    rate = clopper_pearson(int(str(escapes["missed"])), 24, 0.9)
    assert f"{rate.value:.1%}</td><td>{rate.low:.1%} to {rate.high:.1%}" in page
    assert isinstance(tried, dict)
    assert {name: one["ms_per_frame"] for name, one in tried.items()} == {"FP32": 8.0, "INT8": 3.0, "BF16": 4.0}
    assert {name: one["gate"] and one["gate"]["outcome"] for name, one in tried.items()} == {
        "FP32": None,
        "INT8": "not proven",
        "BF16": "not proven",
    }


def test_without_labels_escapes_are_not_known_and_too_few_parts_name_the_number(
    unlabelled: tuple[str, dict[str, Any]],
) -> None:
    page, plain = unlabelled
    assert "Escapes: NOT known" in page
    assert "Escapes are NOT known: no labelled defect was given" in page
    assert plain["escapes"]["known"] is False
    assert "2.00% needs 89 more held-out good parts, 149 in all (about 332 good frames of different parts)" in page


def test_few_defects_are_reported_and_claimed_nothing_of(tmp_path: Path) -> None:
    page, plain = write(tmp_path, defects=5)
    assert "Too few defects to claim an escape rate" in page
    assert plain["precisions"]["judged_by_labels"] is False
    assert any("Too few defects" in line for line in plain["decisions"]["unproven"])


def test_sections_of_other_stages_stand_in_their_slots_and_their_doubts_in_the_list(tmp_path: Path) -> None:
    facts, bench = made_facts(tmp_path / "frames")
    extra = [
        ExtraSection(Slot.MASTERS, "Master parts", "<p>two of two</p>", {"parts": 2}),
        ExtraSection(Slot.COLLECT, "Refused <frames>", "<p>sheet</p>", {"refused": 1}, ("The light flickered.",)),
    ]
    write_report(tmp_path, facts, bench, extra)
    page, plain = (tmp_path / "report.html").read_text(), json.loads((tmp_path / "report.json").read_text())
    headings = re.findall(r"<h2>(.*?)</h2>", page)
    assert headings.index("Refused &lt;frames&gt;") < headings.index("Threshold and overkill")
    assert headings.index("Master parts") > headings.index("INT8 and BF16 against FP32")
    assert page.count("The light flickered.") == 2, "on the first sheet, and in the list of what was not proven"
    assert [one["facts"] for one in plain["sections"]] == [{"parts": 2}, {"refused": 1}]


def test_a_page_of_300_frames_stays_small(tmp_path: Path) -> None:
    page, _ = write(tmp_path, held_out=300, defects=40)
    assert len(page) < 2_000_000


def test_what_is_met_is_proven_and_asks_for_nothing_more_of_it(tmp_path: Path) -> None:
    facts, _ = made_facts(tmp_path, held_out=160, defects=24)
    decisions = decide(facts)
    assert any(line.startswith("Overkill: at most") for line in decisions.proven)
    assert not any("good parts" in line and "Grab" in line for line in decisions.todo)
    assert not decisions.fine, "twelve images prove nothing of INT8"


def test_good_frames_that_cannot_be_laid_are_not_left_out_of_what_is_claimed(tmp_path: Path) -> None:
    """The line rejects UNDECIDED parts too: a page once said "target met" beside a third of the parts thrown out."""
    facts, _ = made_facts(tmp_path, held_out=160, defects=24)
    lost = tuple(Refusal(f"{index}.png", "misaligned: 30 px beside") for index in range(20))
    whole = replace(facts.collected, refused=lost)
    decisions = decide(replace(facts, collected=whole))
    assert not any(line.startswith("Overkill") for line in decisions.proven)
    assert "20 of 186 good frames would be UNDECIDED besides" in decisions.headline
    assert "cannot be laid" in Laid(whole, None, aligned=True).against((0.02, 0.95))
    assert Laid(whole, None, aligned=True).against((0.2, 0.95)) == ""
    assert Laid(facts.collected, None, aligned=True).against((0.02, 0.95)) == ""


def test_a_model_that_passes_most_defects_is_called_unfit_in_the_first_line(tmp_path: Path) -> None:
    facts, bench = made_facts(tmp_path, held_out=60, defects=24)
    labelled = facts.chosen.labelled
    assert labelled is not None
    labelled.scores[:] = 0.2
    decisions = decide(facts)
    assert "100.0% of 24 labelled defects, more than half: as it stands not fit for a line" in decisions.headline
    write_report(tmp_path, facts, bench)
    page = (tmp_path / "report.html").read_text()
    assert "MISSED: labelled defects with the lowest scores (24 of 24 missed)" in page
