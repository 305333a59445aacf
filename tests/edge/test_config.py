import math
import re
from importlib import resources
from pathlib import Path

import pytest

from edge.capture.open import make_camera
from edge.capture.opencv import OpenCvCamera
from edge.capture.replay import ReplayCamera
from edge.config import CameraSection, ProductSection, load_config
from edge.domain.errors import ConfigError
from edge.fitting import make_recipe

GOOD = """
[station]
id = "s-1"
[[camera]]
id = "top"
source = "frames"
[[product]]
id = "cell"
bundle = "cells"
[product.recipe.classes.anomaly]
min_score = 0.6
[line]
"""

PLC = '[[output]]\nid = "plc"\nkind = "modbus"\nhost = "plc"\n'
MAP = """[output.map]
trigger = "coil:0"
ready = "coil:1"
busy = "coil:2"
result_valid = "coil:3"
pass_bit = "coil:4"
fail_bit = "coil:5"
"""
LAMP = '[[output]]\nid = "lamp"\nkind = "gpio"\npass_line = 1\n'


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "station.toml"
    path.write_text(text)
    return path


def test_a_good_file_and_paths_relative_to_it(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, GOOD))
    assert config.camera[0].source == str(tmp_path / "frames")
    assert config.database_path == tmp_path / "data" / "station.db"
    assert config.line.deadline_ms == 500


def test_the_example_that_init_writes_is_good(tmp_path: Path) -> None:
    example = resources.files("edge").joinpath("station.example.toml").read_text()
    assert load_config(write(tmp_path, example.replace("{id}", "s-1"))).station.id == "s-1"


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        pytest.param("[line]", "[line]\ndeadline_m = 5", "'line.deadline_m'.*did you mean 'deadline_ms'", id="in line"),
        pytest.param("[line]", "[lien]", "'lien'.*did you mean 'line'", id="a section"),
        pytest.param("source", "sauce", "'camera.0.sauce'.*did you mean 'source'", id="in a list"),
        pytest.param("min_score", "min_scor", "anomaly.min_scor'.*did you mean 'min_score'", id="deep inside"),
        pytest.param('id = "s-1"', 'id = "S 1"', "station.id: .*pattern", id="a bad id"),
        pytest.param('id = "s-1"', "", "station.id: Field required", id="a missing id"),
        pytest.param("[line]", "[line]\ndeadline_ms = nan", "line.deadline_ms", id="NaN"),
        pytest.param("min_score = 0.6", "min_area_px = inf", "min_area_px: .*finite", id="an area nothing reaches"),
        pytest.param("min_score = 0.6", "min_score = 1.5", "min_score", id="a score above 1"),
        pytest.param("min_score = 0.6", "zones = [[30, 30, 0, 0]]", "holds nothing", id="a zone that is empty"),
        pytest.param("min_score = 0.6", "zones = [[0, 0, 5]]", "zones", id="a zone of three"),
        pytest.param("[line]", "[line]\ncommit_margin_ms = 500", "must be below deadline_ms", id="no time to decide"),
        pytest.param('source = "frames"', "source = 0\nlatency_ms = 440", "no part could be decided", id="latency"),
        pytest.param(
            "[line]", '[[camera]]\nid = "top"\nsource = 1\n[line]', "two cameras are called 'top'", id="twice"
        ),
        pytest.param("[line]", '[line]\nport = "tcp://0.0.0.0:1"', "line.port", id="an open port"),
        pytest.param("[line]", "[line", "not valid TOML", id="no TOML"),
        pytest.param("[line]", "[line]\nx = " + "1" * 5000, "not valid TOML", id="a number too long"),
        pytest.param("[line]", "[line]\nx = " + "[" * 2000, "not valid TOML", id="nested too deep"),
        pytest.param("[line]", "[retention]\nquota_bytes = 5", "quota_bytes", id="a quota nothing fits in"),
        pytest.param("[line]", "[metrics]\nlisten = '127.0.0.1:99999'", "metrics.listen: .*65535", id="no such port"),
        pytest.param("[line]", "[metrics]\nlisten = '127.0.0.1:0'", "metrics.listen: .*65535", id="any port"),
        pytest.param("[line]", "[metrics]\nlisten = 'everywhere'", "metrics.listen: .*pattern", id="no port"),
        pytest.param("[line]", "[sync]\nbroker = 'cloud:70000'", "sync.broker: .*65535", id="a broker nowhere"),
        pytest.param("[line]", "[sync]\nresend_s = 1e-9", "sync.resend_s", id="a storm of resends"),
        pytest.param("[line]", f"{PLC}hots = 1\n", "'output.0.modbus.hots'.*did you mean 'host'", id="in an output"),
        pytest.param(
            "[line]", f"{PLC}{MAP}busi = 'coil:1'", "'output.0.modbus.map.busi'.*did you mean 'busy'", id="in its map"
        ),
        pytest.param("[line]", '[[output]]\nid = "x"\nkind = "lamp"', "output.0: .*'modbus'", id="an unknown output"),
        pytest.param("[line]", f"{PLC}{MAP}product = 'holding:3'", "set products", id="numbers that mean nothing"),
        pytest.param("[line]", f"{PLC}product = 'sell'\n{MAP}", "no such product", id="an output's unknown product"),
        pytest.param("[line]", f"{PLC}{MAP}", "set product", id="an output without product"),
        pytest.param(
            "[line]",
            f"{PLC}product = 'cell'\n{MAP.replace('4', '3')}",
            "two signals stand at coil:3",
            id="one coil twice",
        ),
        pytest.param("[line]", f"{LAMP}fail_line = 1", "a line of its own", id="one GPIO line twice"),
        pytest.param("[line]", f"{LAMP}fail_line = 2\n{LAMP}fail_line = 2", "two outputs are", id="output twice"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        load_config(write(tmp_path, GOOD.replace(old, new, 1)))


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="edge init"):
        load_config(tmp_path / "station.toml")


def test_areas_in_square_millimetres_become_pixels() -> None:
    section = ProductSection.model_validate(
        {
            "id": "p",
            "bundle": "b",
            "recipe": {"mm_per_px": 0.5, "classes": {"anomaly": {"min_area_mm2": 2, "zones": [[0, 0, 9, 9]]}}},
        }
    )
    rule = make_recipe(section).rules["anomaly"]
    assert math.isclose(rule.min_area_px, 8)
    assert rule.zones_xyxy.shape == (1, 4)


@pytest.mark.parametrize(
    ("source", "trigger", "kind"),
    [
        pytest.param(0, "free", OpenCvCamera, id="index"),
        pytest.param("1", "free", OpenCvCamera, id="index as text"),
        pytest.param("/dev/video0", "free", OpenCvCamera, id="device path"),
        pytest.param("/somewhere/frames", "software", ReplayCamera, id="folder"),
    ],
)
def test_sources_and_their_drivers(source: int | str, trigger: str, kind: type) -> None:
    section = CameraSection.model_validate({"id": "c", "source": source, "trigger": trigger})
    assert isinstance(make_camera(section), kind)


@pytest.mark.parametrize(
    ("source", "trigger"),
    [
        pytest.param("ftp://camera/1", "free", id="an address of no camera"),
        pytest.param(0, "software", id="a device cannot be triggered"),
    ],
)
def test_sources_that_are_refused(source: int | str, trigger: str) -> None:
    with pytest.raises(ConfigError):
        make_camera(CameraSection.model_validate({"id": "c", "source": source, "trigger": trigger}))


def test_a_reference_is_found_beside_the_file_that_names_it(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, GOOD))
    assert config.product[0].reference is None
    named = GOOD.replace("[[product]]", "[[product]]\nreference = 'golden.png'", 1)
    assert load_config(write(tmp_path, named)).product[0].reference == tmp_path / "golden.png"


def test_the_outputs_of_the_example_are_good(tmp_path: Path) -> None:
    """Its commented sections are taken in as they stand there."""
    example = resources.files("edge").joinpath("station.example.toml").read_text().replace("{id}", "s-1")
    before, outputs = example.split("# Outputs: ")
    lines = [line.removeprefix("# ") for line in outputs.splitlines() if re.match(r"# (\[|\w+ = )", line)]
    config = load_config(write(tmp_path, before + "\n".join(lines)))
    assert [output.kind for output in config.output] == ["modbus", "opcua", "gpio", "mqtt"]


@pytest.mark.parametrize(
    ("output", "is_good"),
    [
        pytest.param("broker = 'hub:8883'", False, id="the station's identity"),
        pytest.param("broker = 'mqtts://hub:8883'\nidentity = 'who'", False, id="the same by name"),
        pytest.param("broker = 'hub:8883'\nidentity = 'bus'", True, id="one of its own"),
        pytest.param("broker = 'bus:8883'", True, id="another broker"),
    ],
)
def test_an_output_does_not_put_the_sync_off_the_line(tmp_path: Path, output: str, *, is_good: bool) -> None:
    text = f"{GOOD}\n[sync]\nbroker = 'hub:8883'\nidentity = 'who'\n"
    text += f"[[output]]\nid = 'bus'\nkind = 'mqtt'\ntopic = 'verdicts'\n{output}\n"
    if is_good:
        assert load_config(write(tmp_path, text)).output[0].id == "bus"
    else:
        with pytest.raises(ConfigError, match="would put the sync off the line"):
            load_config(write(tmp_path, text))
