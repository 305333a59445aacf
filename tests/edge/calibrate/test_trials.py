"""What a draft is put through: it must say of the master parts what is known of them, or it does not become active."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from masters_kit import masters_station
from station_kit import bad_frame, good_frame, make_bundle

from edge.calibrate.frames.defects import read_defects
from edge.calibrate.gauge.study_parts import StudyPart, Truth
from edge.calibrate.report.facts import Slot
from edge.calibrate.trials import Draft, meet_masters, read_section, repeat, too_many_escapes, weigh, write_section
from edge.config import ProductSection, StationConfig, load_config
from models.progress import SilentProgress
from models.tradeoff import at_threshold


@pytest.fixture
def config(tmp_path: Path) -> StationConfig:
    """A station with a good and a bad master part."""
    return load_config(masters_station(tmp_path).config)


def draft(config: StationConfig, blindness: float = 1) -> Draft:
    made = make_bundle(config.bundles_dir, version=2, blindness=blindness)
    return Draft(made, config.product[0], threads=1)


def test_a_draft_that_knows_its_masters_may_become_active(config: StationConfig) -> None:
    found = meet_masters(config, draft(config), SilentProgress())
    assert found.against == ""
    (section,) = found.sections
    assert section.slot is Slot.MASTERS
    assert section.json["outcome"] == "passed"
    assert "fine" in section.html


def test_a_draft_that_passes_a_bad_master_must_not(config: StationConfig) -> None:
    found = meet_masters(config, draft(config, blindness=50), SilentProgress())
    assert "blot" in found.against
    assert found.sections[0].json["outcome"] == "failed"


def test_without_masters_there_is_nothing_to_meet(config: StationConfig, tmp_path: Path) -> None:
    station = config.station.model_copy(update={"data_dir": tmp_path / "elsewhere"})
    found = meet_masters(config.model_copy(update={"station": station}), draft(config), SilentProgress())
    assert found.sections == ()


@pytest.mark.parametrize(
    ("passed", "of", "most", "says"),
    [
        pytest.param(0, 20, 0.05, "", id="enough defects, none passes"),
        pytest.param(2, 20, 0.05, "At most 5.0% was asked", id="too many pass"),
        pytest.param(0, 1, 0.05, "At most 5.0% was asked", id="one defect shows nothing"),
        pytest.param(20, 20, None, "", id="nobody asked"),
    ],
)
def test_escapes_that_were_asked_for_need_enough_defects(passed: int, of: int, most: float | None, says: str) -> None:
    scores = np.array([0.4] * passed + [0.9] * (of - passed), np.float32)
    trade = at_threshold([str(index) for index in range(of)], [""] * of, scores, np.full(30, 0.2, np.float32))
    found = too_many_escapes(trade, most)
    assert says in found
    assert bool(says) is bool(found)


def test_without_defects_no_escape_rate_is_kept() -> None:
    assert "--defects" in too_many_escapes(None, 0.05)


def test_repeats_are_kept_with_what_they_do_not_prove(config: StationConfig, tmp_path: Path) -> None:
    parts = [StudyPart(f"good{seed}", Truth.GOOD, (good_frame(seed=seed),)) for seed in range(6)]
    parts += [StudyPart(f"bad{seed}", Truth.DEFECT, (bad_frame(seed=seed),)) for seed in range(3)]
    section = repeat(draft(config), parts, 0, SilentProgress(), fast=True)
    assert section.slot is Slot.REPEATABILITY
    assert any("--repeats" in line for line in section.unproven)
    write_section(tmp_path, section)
    assert read_section(tmp_path) == section


def ruled(made: Draft, **rule: object) -> Draft:
    plain = made.product.model_dump(mode="json")
    plain["recipe"]["classes"]["anomaly"] |= rule
    return replace(made, product=ProductSection.model_validate(plain))


def test_escapes_are_those_of_the_recipe_not_of_the_score_alone(config: StationConfig, tmp_path: Path) -> None:
    """A recipe that counts large regions only passed 24 of 24; "0 of 24 pass" was reported, and it went live."""
    good, bad = tmp_path / "good", tmp_path / "bad"
    for folder, frame in ((good, good_frame), (bad, bad_frame)):
        folder.mkdir()
        for seed in range(6):
            cv2.imwrite(str(folder / f"{seed}.png"), frame(seed=seed))
    frames, made = (sorted(good.iterdir()), read_defects(bad)), draft(config)
    for rule, passed in (({}, 0), ({"min_area_px": 10**6}, 6), ({"zones": [[0, 0, 1, 1]]}, 6), ({"max_count": 9}, 6)):
        found = weigh(ruled(made, **rule), "top", frames, (0.02, 0.95), SilentProgress())
        assert found.trade is not None
        assert (int(found.trade.defects.passed.sum()), int(found.trade.rejected.sum())) == (passed, 0), rule
        assert found.overkill is None


def test_a_recipe_that_asks_for_less_than_the_threshold_proves_its_own_overkill(
    config: StationConfig, tmp_path: Path
) -> None:
    cv2.imwrite(str(tmp_path / "good.png"), good_frame(seed=1))
    strict, frames = ruled(draft(config), min_score=0.4), ([tmp_path / "good.png"], None)
    found = weigh(strict, "top", frames, (0.02, 0.95), SilentProgress())
    assert found.trade is None
    assert found.overkill is not None
    assert (found.overkill.held_out, found.overkill.fixed, found.overkill.meets_target) == (1, True, False)
