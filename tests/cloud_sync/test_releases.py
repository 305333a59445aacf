"""Releases down the sync, both ends in one thread: real database, real folders, a way that loses what it is told to."""

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from file_kit import LIMITS, STATION, Cloud, Way, picture, sha256_of
from typer.testing import CliRunner

from cloud_sync.hub.cli import app
from cloud_sync.hub.files.blobs import FolderBlobs
from cloud_sync.hub.files.release_desk import ReleaseDesk
from cloud_sync.hub.files.releases import JobRow, OfferError, job_rows, offer
from cloud_sync.station.downlink import Downlink, DownPace
from cloud_sync.station.keeping import Word
from cloud_sync.station.retelling import FIGURES_EVERY_S
from cloud_sync.wire import topics
from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.messages import BLOCK_BYTES, Job, JobState, Want

SHADOW = {"parts": 10.0}
BUNDLE = picture(9 * BLOCK_BYTES + 5)
NAME = "cells-v7.bundle"
PACE = DownPace(2.0, 8.0)


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    made = Cloud(tmp_path / "cloud.db", lambda place: [ReleaseDesk(place, FolderBlobs(tmp_path / "blobs"))])
    yield made
    made.close()


def offered(tmp_path: Path, cloud: Cloud, content: bytes = BUNDLE, *stations: str) -> Job:
    source = tmp_path / "made" / NAME
    source.parent.mkdir(exist_ok=True)
    source.write_bytes(content)
    return offer(cloud.place, FolderBlobs(tmp_path / "blobs"), source, stations or (STATION,))[0][1]


def way_to(tmp_path: Path, cloud: Cloud, job: Job, pace: DownPace = PACE) -> Way:
    way = Way(Downlink(STATION, tmp_path / "releases", pace), cloud)
    way.passenger.hear("job", job.pack())
    return way


class Listening:
    """Implements `Keeper`: what it was asked, and what it is to say."""

    def __init__(self) -> None:
        self.asks: list[Job | None] = []
        self.files: list[Path] = []
        self.to_say: list[Word] = []

    def asked(self, job: Job | None) -> None:
        self.asks.append(job)

    def fetched(self, job: Job, file: Path) -> None:
        assert self.asks[-1] == job
        self.files.append(file)

    def words(self) -> list[Word]:
        said, self.to_say = self.to_say, []
        return said


def kept_way(tmp_path: Path, cloud: Cloud, job: Job) -> tuple[Way, Listening]:
    """As `way_to`, with somebody who takes the release further."""
    keeper = Listening()
    way = Way(Downlink(STATION, tmp_path / "releases", PACE, keeper=keeper), cloud)
    way.passenger.hear("job", job.pack())
    return way, keeper


def row(cloud: Cloud) -> JobRow:
    return next(row for row in job_rows(cloud.place) if row.station == STATION)


def told(way: Way) -> list[str]:
    return [JobState.model_validate_json(payload).state for topic, payload in way.sent if "/up/job/" in topic]


def test_a_release_arrives_whole_and_the_cloud_knows_how_far_it_came(tmp_path: Path, cloud: Cloud) -> None:
    job = offered(tmp_path, cloud)
    assert row(cloud).state == "asked"
    way = way_to(tmp_path, cloud, job, DownPace(1000.0, 1000.0))
    way.until(lambda: row(cloud).state == "verified")
    assert (tmp_path / "releases" / NAME).read_bytes() == BUNDLE
    assert sorted(path.name for path in (tmp_path / "releases").iterdir()) == [NAME]
    assert told(way) == ["offered", "downloading", "verified"]
    wants = [Want.model_validate_json(payload) for topic, payload in way.sent if topic.endswith("/want")]
    assert {want.count for want in wants} == {4, 2}  # few at a time, and no block asked for twice
    assert sum(want.count for want in wants) == 10


def test_whatever_gets_lost_on_the_way_the_release_arrives(tmp_path: Path, cloud: Cloud) -> None:
    chance = Random(5)
    way = way_to(tmp_path, cloud, offered(tmp_path, cloud))
    way.loses = lambda _topic: chance.random() < 0.3
    way.until((tmp_path / "releases" / NAME).exists)
    assert (tmp_path / "releases" / NAME).read_bytes() == BUNDLE


def test_killed_at_any_byte_it_goes_on_at_the_last_whole_block(tmp_path: Path, cloud: Cloud) -> None:
    job = offered(tmp_path, cloud)
    chance = Random(2)
    part = tmp_path / "releases" / f".{NAME}.part"
    way = way_to(tmp_path, cloud, job)
    kills = 0
    while not (tmp_path / "releases" / NAME).exists():
        way.step()
        if part.exists() and part.stat().st_size and chance.random() < 0.3:
            kills += 1
            with part.open("r+b") as half:  # what a kill in mid-write leaves
                half.truncate(part.stat().st_size - chance.randrange(BLOCK_BYTES))
            way.passenger = Downlink(STATION, tmp_path / "releases", PACE)
            way.passenger.begin(LIMITS)
            way.passenger.hear("job", job.pack())
            cloud.restart()
    assert kills > 1
    assert (tmp_path / "releases" / NAME).read_bytes() == BUNDLE


def test_a_part_that_was_damaged_on_the_disk_is_fetched_once_more(tmp_path: Path, cloud: Cloud) -> None:
    job = offered(tmp_path, cloud)
    (tmp_path / "releases").mkdir()
    (tmp_path / "releases" / f".{NAME}.part").write_bytes(bytes(5 * BLOCK_BYTES + 17))
    way = way_to(tmp_path, cloud, job)
    way.until(lambda: row(cloud).state == "verified")
    assert (tmp_path / "releases" / NAME).read_bytes() == BUNDLE


def test_a_flipped_byte_is_refused_and_no_file_appears(tmp_path: Path, cloud: Cloud) -> None:
    job = offered(tmp_path, cloud)
    blob = tmp_path / "blobs" / job.sha256[:2] / job.sha256
    damaged = bytearray(BUNDLE)
    damaged[100_000] ^= 1
    blob.write_bytes(damaged)
    way_to(tmp_path, cloud, job).until(lambda: row(cloud).state == "rejected")
    assert row(cloud).why == "its bytes are not what its name says"
    assert not (tmp_path / "releases" / NAME).exists()
    blob.write_bytes(BUNDLE)
    again = offered(tmp_path, cloud)
    assert again.job != job.job
    way_to(tmp_path, cloud, again).until(lambda: job_rows(cloud.place)[0].state == "verified")


def test_a_verified_release_is_checked_again_after_a_restart_and_not_fetched(tmp_path: Path, cloud: Cloud) -> None:
    job = offered(tmp_path, cloud)
    way_to(tmp_path, cloud, job).until(lambda: row(cloud).state == "verified")
    again = way_to(tmp_path, cloud, job)
    again.until(lambda: "verified" in told(again))
    assert not [topic for topic, _ in again.sent if topic.endswith("/want")]


def test_each_connection_hears_again_how_far_it_came(tmp_path: Path, cloud: Cloud) -> None:
    way = way_to(tmp_path, cloud, offered(tmp_path, cloud))
    way.loses = lambda topic: "/up/job/" in topic
    way.until(lambda: "verified" in told(way))
    assert row(cloud).state == "asked"
    way.loses = lambda _topic: False
    way.passenger.begin(LIMITS)
    way.until(lambda: row(cloud).state == "verified")


def test_a_file_of_other_size_under_the_name_is_left_alone(tmp_path: Path, cloud: Cloud) -> None:
    (tmp_path / "releases").mkdir()
    (tmp_path / "releases" / NAME).write_bytes(b"what was here before")
    way_to(tmp_path, cloud, offered(tmp_path, cloud)).until(lambda: row(cloud).state == "rejected")
    assert "is here already" in row(cloud).why
    assert (tmp_path / "releases" / NAME).read_bytes() == b"what was here before"


def test_a_disk_without_room_rejects_the_offer_and_says_so(tmp_path: Path, cloud: Cloud) -> None:
    job = offered(tmp_path, cloud)
    way = Way(Downlink(STATION, tmp_path / "releases", PACE, spare_bytes=2**60), cloud)
    way.passenger.hear("job", job.pack())
    way.until(lambda: row(cloud).state == "rejected")
    assert "the disk has" in row(cloud).why
    assert not list((tmp_path / "releases").iterdir())


def test_a_folder_that_cannot_be_made_is_tried_again_until_it_can(tmp_path: Path, cloud: Cloud) -> None:
    (tmp_path / "releases").write_text("in the way")
    way = Way(Downlink(STATION, tmp_path / "releases", PACE), cloud)
    way.passenger.hear("job", offered(tmp_path, cloud).pack())
    with pytest.raises(OSError, match="releases"):
        way.step()
    (tmp_path / "releases").unlink()
    way.until(lambda: row(cloud).state == "verified")


def test_a_newer_offer_takes_the_place_of_one_under_way(tmp_path: Path, cloud: Cloud) -> None:
    way = way_to(tmp_path, cloud, offered(tmp_path, cloud))
    way.until((tmp_path / "releases" / f".{NAME}.part").exists)
    other = tmp_path / "made" / "cells-v8.bundle"
    other.write_bytes(BUNDLE[:100_000])
    [(_, newer)] = offer(cloud.place, FolderBlobs(tmp_path / "blobs"), other, [STATION])
    way.passenger.hear("job", newer.pack())
    way.until((tmp_path / "releases" / other.name).exists)
    assert [path.name for path in (tmp_path / "releases").iterdir()] == [other.name]  # no half file is left


def test_an_offer_that_was_withdrawn_is_fetched_no_more_and_leaves_nothing_on_the_disk(
    tmp_path: Path, cloud: Cloud
) -> None:
    way = way_to(tmp_path, cloud, offered(tmp_path, cloud))
    way.until((tmp_path / "releases" / f".{NAME}.part").exists)
    way.passenger.hear("job", b"")
    assert list((tmp_path / "releases").iterdir()) == []
    before = len(way.sent)
    for _ in range(20):
        way.step()
    assert len(way.sent) == before


def test_blocks_go_only_to_a_station_that_was_offered_them(tmp_path: Path, cloud: Cloud) -> None:
    offered(tmp_path, cloud, BUNDLE, "another")
    way = Way(Downlink(STATION, tmp_path / "releases", PACE), cloud)
    job = Job(job="stolen", kind="release", name=NAME, size_bytes=len(BUNDLE), sha256=sha256_of(BUNDLE))
    way.passenger.hear("job", job.pack())
    cloud.take(topics.want(STATION), Want(name=NAME, offset=0, count=4).pack())
    cloud.take(topics.want("another"), Want(name=NAME, offset=0, count=1).pack())
    heard: list[str] = []
    while not heard:
        cloud.work()
        heard += [reply.topic for reply in cloud.said]
    assert heard == [topics.block("another", NAME, 0)]


@pytest.mark.parametrize(
    ("subject", "payload"),
    [
        pytest.param("want", b"{}", id="a want of nothing"),
        pytest.param("want", Want(name=NAME, offset=0, count=1).pack().replace(b":0", b":7"), id="between two blocks"),
        pytest.param("want", Want(name=NAME, offset=0, count=1).pack().replace(b"cells", b"../up"), id="a path"),
        pytest.param("job/unknown", b"{}", id="no state"),
    ],
)
def test_what_is_no_word_of_a_release_is_refused(cloud: Cloud, subject: str, payload: bytes) -> None:
    with pytest.raises(LinkError, match="expected"):
        cloud.take(f"inspectd/v1/{STATION}/up/{subject}", payload)


@pytest.mark.parametrize("name", ["../../etc/passwd", ".hidden", "UPPER", "a/b", "x" * 129, ""])
def test_no_offer_names_a_path(tmp_path: Path, name: str) -> None:
    job = Job(job="j", kind="release", name=NAME, size_bytes=1, sha256=sha256_of(b"x")).pack()
    downlink = Downlink(STATION, tmp_path / "releases")
    with pytest.raises(LinkError):
        downlink.hear("job", job.replace(NAME.encode(), name.encode()))
    assert not (tmp_path / "releases").exists()


def test_a_name_has_one_content_for_ever(tmp_path: Path, cloud: Cloud) -> None:
    first = offered(tmp_path, cloud)
    assert offered(tmp_path, cloud) == first  # the same words again do nothing twice
    with pytest.raises(OfferError, match="other content"):
        offered(tmp_path, cloud, b"something else")


def test_the_command_says_what_is_wrong_and_makes_no_store_by_a_slip(tmp_path: Path, cloud: Cloud) -> None:
    (tmp_path / "Bad Name").write_bytes(b"x")
    (tmp_path / "fine").write_bytes(b"x")
    common = ["--station", STATION, "--broker", "mqtt://127.0.0.1:1", "--store"]
    runner = CliRunner()
    assert runner.invoke(app, ["release", "offer", str(tmp_path / "Bad Name"), *common, cloud.place]).exit_code == 2
    assert runner.invoke(app, ["release", "offer", str(tmp_path / "absent"), *common, cloud.place]).exit_code == 2
    assert (
        runner.invoke(app, ["release", "offer", str(tmp_path / "fine"), *common, str(tmp_path / "no")]).exit_code == 3
    )
    assert not (tmp_path / "no").exists()
    offered(tmp_path, cloud)
    done = runner.invoke(app, ["release", "status", "--store", cloud.place, "--json"])
    assert json.loads(done.stdout)["state"] == "asked"


def test_the_same_offer_further_on_is_handed_over_and_never_fetched_twice(tmp_path: Path, cloud: Cloud) -> None:
    job = offered(tmp_path, cloud)
    way, keeper = kept_way(tmp_path, cloud, job)
    way.until(lambda: bool(keeper.files))
    wanted = [topic for topic, _ in way.sent if topic.endswith("/want")]
    further = job.model_copy(update={"stage": "shadow"})
    way.passenger.hear("job", further.pack())
    for _ in range(20):
        way.step()
    assert keeper.asks == [job, further]
    assert keeper.files == [tmp_path / "releases" / NAME]
    assert [topic for topic, _ in way.sent if topic.endswith("/want")] == wanted
    assert told(way) == ["offered", "downloading", "verified"]


def test_a_withdrawn_offer_is_withdrawn_from_its_keeper_too(tmp_path: Path, cloud: Cloud) -> None:
    way, keeper = kept_way(tmp_path, cloud, offered(tmp_path, cloud))
    way.passenger.hear("job", b"")
    assert keeper.asks[-1] is None


def test_each_change_is_told_at_once_and_figures_now_and_then(tmp_path: Path, cloud: Cloud) -> None:
    job = offered(tmp_path, cloud)
    way, keeper = kept_way(tmp_path, cloud, job)
    way.until(lambda: bool(keeper.files))
    keeper.to_say = [Word(job.job, "selftest"), Word(job.job, "shadow", figures=SHADOW)]
    way.step()
    assert told(way)[-2:] == ["selftest", "shadow"]
    told_at_s, before = way.now_s, len(told(way))
    for number in range(5):
        keeper.to_say = [Word(job.job, "shadow", figures={"parts": 11.0 + number})]
        way.step()
    said = [JobState.model_validate_json(payload) for topic, payload in way.sent if "/up/job/" in topic]
    assert len(said) - before <= (way.now_s - told_at_s) / FIGURES_EVERY_S + 1
    way.step()
    way.step()
    last = [JobState.model_validate_json(payload) for topic, payload in way.sent if "/up/job/" in topic][-1]
    assert last.figures == {"parts": 15.0}


def test_each_connection_hears_again_what_the_keeper_said_last(tmp_path: Path, cloud: Cloud) -> None:
    job = offered(tmp_path, cloud)
    way, keeper = kept_way(tmp_path, cloud, job)
    way.until(lambda: bool(keeper.files))
    keeper.to_say = [Word(job.job, "shadow", figures=SHADOW)]
    way.step()
    way.passenger.begin(LIMITS)
    way.step()
    assert told(way)[-2:] == ["shadow", "shadow"]


def test_after_a_restart_what_was_taken_further_is_not_told_as_offered_again(tmp_path: Path, cloud: Cloud) -> None:
    job = offered(tmp_path, cloud)
    way_to(tmp_path, cloud, job).until((tmp_path / "releases" / NAME).exists)
    way, keeper = kept_way(tmp_path, cloud, job.model_copy(update={"stage": "live"}))
    keeper.to_say = [Word(job.job, "live", figures=SHADOW)]
    way.until(lambda: bool(keeper.files))
    for _ in range(5):
        way.step()
    assert told(way) == ["live"]
    assert not [topic for topic, _ in way.sent if topic.endswith("/want")]
