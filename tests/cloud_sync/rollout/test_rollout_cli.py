"""`cloud rollout` and `cloud release list` from a shell: what they write, say and refuse."""

import json
from pathlib import Path

import pytest
import sqlalchemy as sa
from rollout_kit import RELEASE
from typer.testing import CliRunner, Result

from cloud_sync.hub.cli import app
from cloud_sync.hub.files.blobs import FolderBlobs
from cloud_sync.hub.files.releases import offer
from cloud_sync.hub.rollout.runner import RolloutRunner
from cloud_sync.hub.store.engine import open_engine
from cloud_sync.hub.store.file_tables import jobs
from cloud_sync.hub.store.rollout_tables import rollouts


@pytest.fixture
def store(tmp_path: Path) -> str:
    place = str(tmp_path / "cloud.db")
    open_engine(place, create=True).dispose()
    source = tmp_path / RELEASE
    source.write_bytes(b"bundle" * 100)
    offer(place, FolderBlobs(tmp_path / "blobs"), source, [])
    return place


def cloud(*words: str) -> Result:
    return CliRunner().invoke(app, [*words])


def start(store: str, *more: str) -> Result:
    return cloud("rollout", "start", RELEASE, "--product", "cell", "--store", store, *more)


class Kept:
    """A link that keeps what it was given."""

    def __init__(self) -> None:
        self.jobs: dict[str, dict[str, object]] = {}

    def start(self, listener: object) -> None: ...

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        assert retain
        self.jobs[topic.split("/")[2]] = json.loads(payload)
        return True

    def acknowledge(self, message: object) -> None: ...

    def stop(self, timeout_s: float) -> bool:  # noqa: ARG002
        return True


def test_started_shown_stopped_and_resumed_from_a_shell(store: str) -> None:
    said = start(store, "--station", "press-1", "--station", "press-2", "--canary", "press-2", "--shadow-parts", "7")
    assert said.exit_code == 0, said.output
    assert f"{RELEASE} for cell: waiting, stage shadow" in said.output
    link = Kept()
    runner = RolloutRunner(store, link)
    runner.step(1_000_000)
    runner.close()
    assert (link.jobs["press-2"]["stage"], set(link.jobs)) == ("shadow", {"press-2"})
    assert link.jobs["press-2"]["probation"]["parts"] == 7  # type: ignore[index]
    shown = cloud("rollout", "show", RELEASE, "--store", store)
    assert "press-2" in shown.output
    assert "asked press-2" in shown.output
    content = json.loads(cloud("rollout", "show", RELEASE, "--store", store, "--json").output)
    assert [one["station"] for one in content["stations"]] == ["press-2", "press-1"]
    assert [one["what"] for one in content["decisions"]] == ["begin", "ask"]
    assert content["decisions"][1]["facts"][0]["station"] == "press-2"
    stopped = cloud("rollout", "stop", RELEASE, "--store", store, "--why", "the line complains", "--json")
    assert (json.loads(stopped.output)["state"], json.loads(stopped.output)["why"]) == ("stopped", "the line complains")
    assert cloud("rollout", "stop", RELEASE, "--store", store).exit_code == 0
    resumed = json.loads(cloud("rollout", "resume", RELEASE, "--store", store, "--json").output)
    assert (resumed["state"], resumed["attempt"]) == ("waiting", 2)
    assert RELEASE in cloud("rollout", "list", "--store", store).output


def test_what_cannot_be_is_wrong_usage_and_says_why(store: str) -> None:
    said = start(store, "--station", "press-1", "--step", "10")
    assert (said.exit_code, "steps_percent" in said.output) == (2, True)
    said = start(store)
    assert (said.exit_code, "no station is known that inspects" in said.output) == (2, True)
    said = start(store, "--station", "Press 1")
    assert (said.exit_code, "a station id is" in said.output) == (2, True)
    assert cloud("rollout", "show", "other", "--store", store).exit_code == 1
    assert cloud("rollout", "stop", "other", "--store", store).exit_code == 2
    assert cloud("rollout", "list", "--store", f"{store}.none").exit_code == 3


@pytest.mark.long
def test_stop_with_a_broker_that_is_not_there_is_written_all_the_same(store: str) -> None:
    start(store, "--station", "press-1")
    runner = RolloutRunner(store, Kept())
    runner.step(1_000_000)
    runner.close()
    said = cloud("rollout", "stop", RELEASE, "--store", store, "--broker", "mqtt://127.0.0.1:9")
    assert (said.exit_code, "was not published" in said.output) == (3, True)
    assert json.loads(cloud("rollout", "list", "--store", store, "--json").output)["state"] == "stopped"


def test_a_stations_words_reach_the_terminal_plain(store: str) -> None:
    start(store, "--station", "press-1")
    runner = RolloutRunner(store, Kept())
    runner.step(1_000_000)
    engine = open_engine(store, create=True)
    with engine.begin() as connection:
        connection.execute(sa.update(jobs).values(state="rejected", why="\x1b[2J gone"))
    engine.dispose()
    runner.step(1_002_000)
    runner.close()
    said = cloud("rollout", "show", RELEASE, "--store", store)
    assert "press-1 rejected it" in said.output
    assert "\x1b" not in said.output


def test_releases_are_listed_with_where_they_are(store: str) -> None:
    assert cloud("release", "list", "--store", store).output.endswith("offered to nobody\n")
    start(store, "--station", "press-1")
    runner = RolloutRunner(store, Kept())
    runner.step(1_000_000)
    runner.close()
    content = json.loads(cloud("release", "list", "--store", store, "--json").output)
    assert (content["states"], content["rollout"]) == ({"asked": 1}, "running")


def test_what_is_done_does_not_go_on_while_another_release_of_its_product_rolls_out(store: str, tmp_path: Path) -> None:
    start(store, "--station", "press-1")
    newer = tmp_path / RELEASE.replace("-v2", "-v3")
    newer.write_bytes(b"newer" * 100)
    offer(store, FolderBlobs(tmp_path / "blobs"), newer, [])
    cloud("rollout", "start", newer.name, "--product", "cell", "--store", store, "--station", "press-1")
    engine = open_engine(store, create=True)
    with engine.begin() as connection:
        for name, state in ((RELEASE, "done"), (newer.name, "running")):
            connection.execute(sa.update(rollouts).where(rollouts.c.release == name).values(state=state))
    engine.dispose()
    said = cloud("rollout", "resume", RELEASE, "--store", store)
    assert (said.exit_code, f"{newer.name} is rolling out" in said.output) == (2, True), said.output
