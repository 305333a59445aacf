"""The real thing: labels in the store, a trigger that fires, a probe classifier, its proof, a signed release."""

import json
import signal
import subprocess
from pathlib import Path

import pytest
from classifier_kit import painted_folders
from clouds import CLOUD
from retraining_kit import WorkerProcess, write_cloud

from cloud_sync.hub.files.blobs import open_blobs
from cloud_sync.hub.retraining.runs import Runs
from cloud_sync.hub.retraining.snapshots import Kept, fetch
from cloud_sync.hub.trust.kept import read_state
from models.archive import unpack

pytestmark = pytest.mark.long
MORE = """
new_labels = 40
[product.gate]
least_good = 4
least_bad = 8
overkill_most = 0.9
"""


def cloud(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*CLOUD, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.timeout(600)
def test_labels_become_a_signed_release_without_anybodys_word(tmp_path: Path) -> None:
    store = str(tmp_path / "cloud.db")
    config = write_cloud(tmp_path, store, more=MORE)
    images = painted_folders(tmp_path / "images", 24)
    words = ("--product", "cells", "--store", store, "--blobs", tmp_path / "blobs")
    assert cloud("import", images, *words).returncode == 0
    worker = WorkerProcess(config, quick=False)
    worker.start()
    begun, ended = worker.until("begun"), worker.until("ended")
    assert worker.end(signal.SIGTERM) == 0
    assert (begun["trigger"], ended["result"]) == ("new labels", "published"), ended
    assert "no station is known that inspects product 'cells'" in str(ended["reason"])
    with Runs(store) as runs:
        [run] = runs.of("cells")
    assert run.proof is not None
    assert run.proof["passed"] is True
    [product] = json.loads(cloud("status", "--config", config, "--json").stdout)["products"]
    assert product["last"]["reason"] == ended["reason"]
    blobs = open_blobs(str(tmp_path / "blobs"))
    assert blobs.holds(str(run.report_sha256))
    fetch(Kept(str(run.archive_sha256), run.archive_bytes or 0), blobs, tmp_path / "kept.bundle")
    kept = unpack(tmp_path / "kept.bundle", tmp_path / "kept")
    assert kept.model_id.sha256 == run.bundle_sha256
    state = read_state(store)
    assert state is not None
    assert list(state.targets.signed.targets) == ["cells-v1.bundle"]
