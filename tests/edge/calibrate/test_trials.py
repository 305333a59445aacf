"""What a draft is put through: it must say of the master parts what is known of them, or it does not become active."""

from pathlib import Path

import pytest
from masters_kit import masters_station
from station_kit import bad_frame, good_frame, make_bundle

from edge.calibrate.report.facts import Slot
from edge.calibrate.study_parts import StudyPart, Truth
from edge.calibrate.trials import Draft, meet_masters, read_section, repeat, write_section
from edge.config import StationConfig, load_config
from models.progress import SilentProgress


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


def test_repeats_are_kept_with_what_they_do_not_prove(config: StationConfig, tmp_path: Path) -> None:
    parts = [StudyPart(f"good{seed}", Truth.GOOD, (good_frame(seed=seed),)) for seed in range(6)]
    parts += [StudyPart(f"bad{seed}", Truth.DEFECT, (bad_frame(seed=seed),)) for seed in range(3)]
    section = repeat(draft(config), parts, 0, SilentProgress(), fast=True)
    assert section.slot is Slot.REPEATABILITY
    assert any("--repeats" in line for line in section.unproven)
    write_section(tmp_path, section)
    assert read_section(tmp_path) == section
