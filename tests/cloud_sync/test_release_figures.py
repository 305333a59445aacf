"""What Prometheus is told of releases, out of a store as workers and stations leave it."""

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from rollout_kit import RELEASE

from cloud_sync.hub.files.blobs import FolderBlobs
from cloud_sync.hub.files.releases import offer
from cloud_sync.hub.metrics import CollectorMetrics
from cloud_sync.hub.release_figures import add_release_figures
from cloud_sync.hub.rollout.plan import RolloutPlan
from cloud_sync.hub.rollout.starting import start_rollout, stop_rollout
from cloud_sync.hub.store.engine import open_engine
from cloud_sync.hub.store.file_tables import jobs
from cloud_sync.hub.store.rollout_tables import rollout_stations, rollouts
from cloud_sync.hub.trust.publishing import begin
from models.trust.keys import TrustKeys

DAY_S = 86_400.0


class Store:
    def __init__(self, folder: Path) -> None:
        self.place = str(folder / "cloud.db")
        self.engine = open_engine(self.place, create=True)
        self.blobs = FolderBlobs(folder / "blobs")
        self.folder = folder

    def figure(self, name: str) -> float:
        """As a collector that has just started is asked."""
        metrics = CollectorMetrics()
        add_release_figures(metrics, self.place)
        found = metrics.registry.get_sample_value(f"inspectd_collector_{name}")
        assert found is not None
        return found

    def done(self, *stations: str) -> None:
        """A release that decides at these stations, and its rollout is done."""
        file = self.folder / RELEASE
        file.write_bytes(b"release")
        offered = offer(self.place, self.blobs, file, list(stations))
        start_rollout(self.place, RELEASE, "cell", RolloutPlan(stations=stations, live_parts=10))
        with self.engine.begin() as connection:
            connection.execute(sa.update(rollouts).values(state="done"))
            connection.execute(sa.update(jobs).values(state="live", figures='{"parts": 10}'))
            for station, job in offered:
                mine = rollout_stations.c.station == station
                connection.execute(sa.update(rollout_stations).where(mine).values(asked="live", job=job.job))

    def says(self, station: str, **word: str) -> None:
        with self.engine.begin() as connection:
            connection.execute(sa.update(jobs).where(jobs.c.station == station).values(**word))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path)
    yield made
    made.engine.dispose()


def test_how_long_what_is_signed_still_holds_is_told_by_role(store: Store, tmp_path: Path) -> None:
    assert math.isnan(store.figure("signed_timestamp_left_seconds"))
    begin(store.place, TrustKeys(tmp_path / "keys", b"secret words"))
    assert 6 * DAY_S < store.figure("signed_timestamp_left_seconds") < 8 * DAY_S
    assert 80 * DAY_S < store.figure("signed_targets_left_seconds") < 100 * DAY_S
    assert store.figure("signed_root_left_seconds") > 300 * DAY_S


def test_stations_against_a_release_in_use_and_those_that_have_not_proven_it_are_counted(store: Store) -> None:
    names = ("release_stations_against", "release_stations_unproven", "rollouts_stopped")
    assert [store.figure(name) for name in names] == [0, 0, 0]
    store.done("press-1", "press-2", "press-3")
    assert [store.figure(name) for name in names] == [0, 0, 0]
    store.says("press-2", figures='{"parts": 3}')
    assert [store.figure(name) for name in names] == [0, 1, 0]
    store.says("press-3", state="back", why="it rejects too much")
    assert [store.figure(name) for name in names] == [1, 2, 0]
    stop_rollout(store.place, RELEASE, "the line complains")
    assert [store.figure(name) for name in names] == [0, 0, 1]
