"""The whole way: signed in the cloud, fetched over a real broker, into use on a daemon that is killed meanwhile."""

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from brokers import eventually, local_broker
from line_kit import Line, make_line
from release_kit import OPEN
from station_kit import make_bundle, run_json

from cloud_sync.hub.files.blobs import FolderBlobs
from cloud_sync.hub.files.file_desks import blobs_beside
from cloud_sync.hub.files.releases import client_mark, job_rows, offer, publish
from cloud_sync.hub.trust.kept import read_state
from cloud_sync.hub.trust.publishing import begin, publish_release
from cloud_sync.wire.broker import LocalBroker, available_kinds
from cloud_sync.wire.link import Address
from cloud_sync.wire.messages import Job, Probation, Stage
from cloud_sync.wire.mqtt import MqttLink
from cloud_sync.wire.mqtt_settings import MqttSettings
from models.archive import SUFFIX, pack
from models.bundle import open_bundle
from models.bundle_store import active_bundle, list_bundles
from models.trust.about import about_of
from models.trust.keys import TrustKeys

pytestmark = pytest.mark.long
WITHIN_S = 120.0
PROBATION = Probation(parts=40, disagreement_most=0.1)


class Hub:
    """The cloud's end by hand: signs, offers, asks for more."""

    def __init__(self, line: Line, broker: LocalBroker, folder: Path) -> None:
        self.place, self.address = str(line.store), Address.parse(str(broker.address))
        self.blobs = FolderBlobs(Path(blobs_beside(self.place)))
        keys = TrustKeys(folder / "keys", b"secret words")
        begin(self.place, keys)
        bundle = make_bundle(folder / "trained", "blob", 7)
        self.file = folder / f"blob-v7{SUFFIX}"
        pack(bundle, self.file)
        publish_release(self.place, self.blobs, keys, self.file, about_of(bundle, "blob"))
        [(_, self.job)] = offer(self.place, self.blobs, self.file, ["test-1"])
        state = read_state(self.place)
        assert state is not None
        identity = line.station.folder / "data" / "identity"
        identity.mkdir(parents=True)
        (identity / "root.json").write_bytes(state.file("root"))

    def ask(self, stage: Stage) -> Job:
        job = self.job.model_copy(update={"stage": stage, "probation": PROBATION})
        publish(MqttLink(MqttSettings(self.address, f"hub-{client_mark()}")), [("test-1", job)])
        return job

    def state(self) -> str:
        return next(row.state for row in job_rows(self.place) if row.job == self.job.job)


def standing(line: Line) -> dict[str, object]:
    file = line.station.folder / "data" / "status.json"
    found = json.loads(file.read_text())["release"] if file.is_file() else None
    return found or {"state": "none", "figures": {}, "proven": False}


def until_killed(line: Line, check: Callable[[], bool]) -> None:
    """Run the daemon until the check says yes, then end it as a power cut would."""
    with line.daemon() as running:
        eventually(check, WITHIN_S)
        kill(running)


def kill(running: "subprocess.Popen[str]") -> None:
    os.kill(running.pid, signal.SIGKILL)
    running.wait(10)


def test_a_release_comes_into_use_and_goes_back_while_the_daemon_is_killed_at_every_stage(tmp_path: Path) -> None:
    with local_broker(available_kinds()[0], tmp_path) as broker:
        line = make_line(
            tmp_path, broker, settings={"line": {"deadline_ms": 4000}, "camera": {"timeout_ms": 3000}, "release": OPEN}
        )
        with line.collector(), line.simulator(100_000, "--rate", "20", "--in-flight", "4"):
            hub = Hub(line, broker, tmp_path / "hub")
            hub.ask("shadow")
            until_killed(line, lambda: standing(line)["state"] == "shadow")
            until_killed(line, lambda: standing(line)["figures"].get("parts", 0) >= 20)  # type: ignore[union-attr,attr-defined]
            hub.ask("live")
            until_killed(line, lambda: active_bundle(line.station.bundles, "blob").name == "v2")
            with line.daemon():
                eventually(lambda: bool(standing(line)["proven"]), WITHIN_S)
                eventually(lambda: hub.state() == "live", WITHIN_S)
                code, said = run_json(["edge", "status", "-c", str(line.station.config), "--json"])
                assert (code, said["release"]["state"], said["models"]["blob"]["version"]) == (0, "live", 2)
                hub.ask("back")
                eventually(lambda: hub.state() == "back", WITHIN_S)
                assert active_bundle(line.station.bundles, "blob").name == "v1"
    versions = [open_bundle(one.path).model_id.version for one in list_bundles(line.station.bundles)]
    assert versions == [1, 2], "adopted once, however often it was killed"
