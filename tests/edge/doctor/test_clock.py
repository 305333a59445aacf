"""Clocks that nobody keeps, that are wrong, and that went back."""

from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from doctor_kit import expect, station_around, well

from edge.doctor.around import Around
from edge.doctor.rooms import clock
from edge.doctor.rooms.clock import KernelClock, judged, kept, plausible, read_kernel_clock
from edge.record.database import open_database

NOW = datetime(2027, 3, 1, 12, 0, tzinfo=UTC)


def test_the_kernel_says_how_its_clock_is_kept() -> None:
    said = read_kernel_clock()
    assert said.error_s >= 0
    assert list(kept(Around(Path("data")))) == [judged(said)] or said.error_s > 0  # it may grow between the two


def test_a_clock_that_nobody_keeps_is_noted() -> None:
    expect([judged(KernelClock(is_kept=False, error_s=16.0))], "clock.not-kept")


def test_a_clock_that_is_kept_from_afar_is_noted() -> None:
    expect([judged(KernelClock(is_kept=True, error_s=2.5))], "clock.far-off", "2.5 s")
    well([judged(KernelClock(is_kept=True, error_s=0.004))])


def test_a_time_before_this_version_is_wrong(tmp_path: Path) -> None:
    around = Around(tmp_path, now=clock.MADE_AT - timedelta(days=1))
    expect(plausible(around), "clock.before-build", "2026-11-25")


def test_a_time_before_the_newest_inspection_is_found_and_nothing_is_left_beside_the_database(tmp_path: Path) -> None:
    around = replace(station_around(tmp_path), now=NOW)
    with closing(open_database(around.data_dir / "station.db")) as connection:
        connection.execute(
            "INSERT INTO inspections (part_id, product, verdict, triggered_at) VALUES ('a', 'blob', 'PASS', ?)",
            ((NOW + timedelta(days=3)).isoformat(),),
        )
    before = sorted(path.name for path in around.data_dir.iterdir())
    expect(plausible(around), "clock.went-back", "2027-03-04")
    well(plausible(replace(around, now=NOW + timedelta(days=4))))
    assert sorted(path.name for path in around.data_dir.iterdir()) == before == ["station.db"]
