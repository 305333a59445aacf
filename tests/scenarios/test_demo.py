"""The demo from the command line: both tables, one loop, and an exit code that says whether it ended live."""

import json
import subprocess
from pathlib import Path

import pytest

from edge.processes import command

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1500)]


def test_the_demo_goes_once_around_and_ends_live(tmp_path: Path) -> None:
    pytest.importorskip("elpv_dataset", reason="package elpv-dataset (extra: demo) is absent")
    words = [command("edge"), "demo", "--fast", "--folder", str(tmp_path / "run"), "--json"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    said = json.loads(done.stdout)
    assert said == json.loads((tmp_path / "run" / "summary.json").read_text())
    loop = said["loop"]
    assert (said["ok"], loop["live"], loop["comparison"], loop["untold"]) == (True, True, {}, 0)
    before, after = loop["unseen"]["before"], loop["unseen"]["after"]
    assert (before["models"], after["models"]) != (after["models"], before["models"])
    assert before["parts"] == after["parts"] == 400
    assert after["escape"]["value"] < before["escape"]["value"]
    assert "plays the reviewer" in " ".join(done.stderr.split())
