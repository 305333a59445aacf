"""The fleet's page: 500 stations against 5, with records and without, on both databases; server time, in one run."""

import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from large_kit import PRODUCT, Size, bring_records, large_store, release_of
from pages_kit import let_in, visitor
from postgres_kit import Postgres, postgres

from cloud_sync.hub.retraining.cloud_toml import load_config
from cloud_sync.hub.web.site import make_fleet_pages
from cloud_sync.pages.serving import Listen

__all__ = ["postgres"]

RECORDS = 1_000_000
TIMES = 12
FEW = Size(stations=5, samples=1000, labels=100, runs=10, rollouts=2, days=2)
MANY = Size()
STATIONS_MOST = 20  # times as long for a hundred times the stations
RECORDS_MOST = 2  # times as long with records as without: none is read
PAGES = ("/", "/?show=attention", "/?order=yield&first=400", "/stations/press-001", "/review", "/labels", "/runs")
MORE = ("/rollouts", "/rollouts/{release}", "/triggers", "/health", "/labels/counts?product=cell")


def timed(name: str, place: str, folder: Path, size: Size) -> float:
    """Say of each page the median milliseconds, on the clock and of this process's processor; those of the fleet's."""
    folder.mkdir(exist_ok=True)
    config = folder / "cloud.toml"
    config.write_text(f'[cloud]\nstore = "{place}"\n[[product]]\nid = "{PRODUCT}"\nbundle = "cells"\n')
    app = make_fleet_pages(load_config(config), Listen())
    let_in(app)
    who = visitor(app, "operator")
    paths = [path.format(release=release_of(size.rollouts)) for path in (*PAGES, *MORE)]
    found = {path: _median_ms(partial(who.get, path)) for path in paths}
    app.state.hub.close()
    for path, (wall_ms, busy_ms) in found.items():
        sys.stdout.write(f"\n{name:28} {path:32} {wall_ms:7.1f} ms, {busy_ms:7.1f} ms of this process")
    return found["/"][1]


def _median_ms(ask: Callable[[], object]) -> tuple[float, float]:
    walls, busy = [], []
    for _ in range(TIMES):
        began_s, worked_s = time.perf_counter(), time.process_time()
        assert ask().status_code == 200  # type: ignore[attr-defined]
        walls.append(time.perf_counter() - began_s)
        busy.append(time.process_time() - worked_s)
    return statistics.median(walls[2:]) * 1000, statistics.median(busy[2:]) * 1000


@pytest.mark.benchmark
@pytest.mark.timeout(900)
def test_a_hundred_times_the_stations_take_few_times_as_long_whatever_was_recorded(
    postgres: Postgres, tmp_path: Path
) -> None:
    now_ms = time.time_ns() // 1_000_000
    few, many, far = str(tmp_path / "few.db"), str(tmp_path / "many.db"), postgres.new_database()
    for place, size in ((few, FEW), (many, MANY), (far, MANY)):
        large_store(place, now_ms, size)
    alone = timed("SQLite, 5 stations", few, tmp_path / "few", FEW)
    together = timed("SQLite, 500 stations", many, tmp_path / "many", MANY)
    timed("PostgreSQL, 500 stations", far, tmp_path / "far", MANY)
    bring_records(many, RECORDS, MANY.stations)
    recorded = timed(f"SQLite, 500, {RECORDS} records", many, tmp_path / "recorded", MANY)
    sys.stdout.write(
        f"\n500 stations over 5: {together / alone:.1f}; with records over without {recorded / together:.2f}\n"
    )
    assert together < STATIONS_MOST * alone
    assert recorded < RECORDS_MOST * together
