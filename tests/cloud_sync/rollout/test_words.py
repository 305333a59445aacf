"""What stations say of offers: late, repeated and hostile words change nothing that they should not."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from file_kit import STATION, Cloud

from cloud_sync.hub.files.blobs import FolderBlobs
from cloud_sync.hub.files.release_desk import ReleaseDesk
from cloud_sync.hub.files.releases import offer
from cloud_sync.hub.rollout.book import counts_in
from cloud_sync.hub.store.file_tables import jobs
from cloud_sync.wire import topics
from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.messages import Job, JobState

AT = datetime(2026, 7, 1, 12, tzinfo=UTC)


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    made = Cloud(tmp_path / "cloud.db", lambda place: [ReleaseDesk(place, FolderBlobs(tmp_path / "blobs"))])
    yield made
    made.close()


@pytest.fixture
def job(cloud: Cloud, tmp_path: Path) -> Job:
    source = tmp_path / "cells-v2.bundle"
    source.write_bytes(b"bundle")
    return offer(cloud.place, FolderBlobs(tmp_path / "blobs"), source, [STATION])[0][1]


def say(cloud: Cloud, job: Job, state: str, second: int = 0, **figures: float) -> None:
    word = {"job": job.job, "state": state, "at": AT + timedelta(seconds=second), "figures": figures, "why": ""}
    cloud.take(topics.job_state(STATION, job.job), JobState.model_validate(word).pack())


def row(cloud: Cloud) -> tuple[str, float]:
    with cloud.engine.connect() as connection:
        found = connection.execute(sa.select(jobs.c.state, jobs.c.figures)).one()
        connection.rollback()
    return found.state, counts_in(found.figures).parts


def test_a_station_goes_its_way_and_its_counts_begin_anew_with_each_state(cloud: Cloud, job: Job) -> None:
    for second, state in enumerate(("offered", "downloading", "verified", "selftest", "shadow")):
        say(cloud, job, state, second)
    say(cloud, job, "shadow", 10, parts=200)
    assert row(cloud) == ("shadow", 200)
    say(cloud, job, "live", 11, parts=0)
    assert row(cloud) == ("live", 0)
    say(cloud, job, "live", 12, parts=9)
    say(cloud, job, "back", 13)
    assert row(cloud) == ("back", 9)  # what it had counted when it ended


def test_late_and_repeated_words_set_nobody_back(cloud: Cloud, job: Job) -> None:
    say(cloud, job, "live", 20, parts=50)
    for state, second in (("shadow", 19), ("verified", 30), ("offered", 31)):
        say(cloud, job, state, second, parts=999)
    say(cloud, job, "live", 15, parts=3)
    assert row(cloud) == ("live", 50)


@pytest.mark.parametrize(("end", "other"), [("back", "rejected"), ("rejected", "back")])
def test_what_ended_stays_ended(end: str, other: str, cloud: Cloud, job: Job) -> None:
    say(cloud, job, end, 5)
    for state in ("shadow", "live", other):
        say(cloud, job, state, 9, parts=10)
    assert row(cloud)[0] == end


def test_a_clock_that_was_set_back_does_not_hide_new_parts(cloud: Cloud, job: Job) -> None:
    say(cloud, job, "shadow", 3600, parts=10)
    say(cloud, job, "shadow", 0, parts=11)
    assert row(cloud) == ("shadow", 11)


@pytest.mark.parametrize("value", [1e300, -1.0, 1e13])
def test_figures_that_nobody_can_have_counted_are_refused(value: float, cloud: Cloud, job: Job) -> None:
    say(cloud, job, "shadow", 1, parts=10)
    with pytest.raises(LinkError, match="figures"):
        say(cloud, job, "live", 2, parts=value)
    assert row(cloud) == ("shadow", 10)


@pytest.mark.parametrize("value", [b"NaN", b"Infinity", b"1e999", b'"many"', b"null"])
def test_figures_that_are_no_numbers_are_refused(value: bytes, cloud: Cloud, job: Job) -> None:
    raw = JobState(job=job.job, state="live", at=AT, figures={"parts": 7}).pack().replace(b"7.0", value)
    assert value in raw
    with pytest.raises(LinkError):
        cloud.take(topics.job_state(STATION, job.job), raw)
    assert row(cloud) == ("asked", 0)


def test_a_job_that_was_never_offered_to_it_is_refused(cloud: Cloud, job: Job) -> None:
    word = JobState(job=job.job, state="live", at=AT, figures={"parts": 1e6}).pack()
    with pytest.raises(LinkError, match="was never offered"):
        cloud.take(topics.job_state("press-99", job.job), word)
    with pytest.raises(LinkError, match="as the topic says"):
        cloud.take(topics.job_state(STATION, "other-1"), word)
    assert row(cloud) == ("asked", 0)


def test_a_date_that_no_clock_shows_is_no_fault_of_ours(cloud: Cloud, job: Job) -> None:
    for date in (b"0001-01-01T00:00:00", b"0001-01-01T00:00:00+14:00", b"9999-12-31T23:59:59-12:00"):
        raw = JobState(job=job.job, state="shadow", at=AT).pack().replace(b"2026-07-01T12:00:00Z", date)
        assert date in raw
        cloud.take(topics.job_state(STATION, job.job), raw)
    assert row(cloud)[0] == "shadow"
