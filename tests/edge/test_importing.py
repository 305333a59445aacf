"""`edge bundle import`: what others trained runs on the line as it is, or is refused and changes nothing."""

import tomllib
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from daemon_kit import daemon, line_to
from detector_kit import make_detector
from foreign_kit import (
    BLUE,
    CLASSES,
    RED,
    YOLO5,
    YOLO8,
    Wants,
    grey,
    head_toml,
    heat,
    with_square,
    write_model,
    write_samples,
    yolo5,
)
from onnx_kit import write_yolo8_onnx
from station_kit import Station, run_json, ungated_int8

from edge.domain.errors import ConfigError
from edge.importing import ImportRequest, ImportResult, take_import
from models.bundle import open_bundle
from models.bundle_store import active_bundle, list_bundles
from models.compile import compile_bundle
from models.errors import GateError, ModelError
from models.foreign.head import read_head
from models.manifest import DeclaredThreshold, DetectorThreshold
from models.progress import SilentProgress
from models.selftest import run_selftest

RECIPE = """
[product.recipe]
kind = "detector"
[product.recipe.classes.red]
[product.recipe.classes.blue]
max_count = 1
"""
HEAT = '[outputs]\nmap = "anomaly_map"\n[decode]\nthreshold = 4\nvalues = "distance"\n'


@pytest.fixture
def station(tmp_path: Path) -> Station:
    made = Station(tmp_path / "station", settings={"camera": {"loop": False}})
    made.write_config()
    return made


def request(folder: Path, made: Station, model: Path, text: str = "", **more: object) -> ImportRequest:
    (folder / "head.toml").write_text(text or head_toml(*YOLO5))
    samples = folder / "samples"
    if not samples.exists():
        write_samples(samples)
    asked = ImportRequest(model, made.bundles, "blob", folder / "head.toml", samples)
    return replace(asked, **more)  # type: ignore[arg-type]


def imported(folder: Path, made: Station, model: Path, text: str = "", **more: object) -> ImportResult:
    return take_import(request(folder, made, model, text, **more), SilentProgress())


def told(made: Station, frames: list[np.ndarray]) -> list[tuple[str, list[str]]]:
    (made.folder / "frames").mkdir()
    for number, frame in enumerate(frames):
        cv2.imwrite(str(made.folder / "frames" / f"{number:03}.png"), frame)
    answers = []
    with daemon(made), line_to(made) as line:
        line.hear_ready(ready=True)
        for number in range(len(frames)):
            line.trigger(f"p-{number}")
            answers.append(line.hear())
            line.ack(f"p-{number}")
    return [(one["verdict"], one["reasons"]) for one in answers]


def test_a_line_is_told_what_an_imported_yolo_sees(station: Station, tmp_path: Path) -> None:
    station.config.write_text(station.config.read_text() + RECIPE)
    imported(tmp_path, station, write_model(tmp_path, yolo5()), activate=True)
    wide = grey((160, 120))
    red, blue = with_square(grey(), 40, 32, RED), with_square(grey(), 8, 8, BLUE)
    frames = [grey(), red, blue, with_square(wide, 80, 60, RED, 20)]
    assert told(station, frames) == [("PASS", []), ("REJECT", ["red:1"]), ("PASS", []), ("REJECT", ["red:1"])]


def test_a_line_is_told_what_an_imported_anomaly_graph_sees(station: Station, tmp_path: Path) -> None:
    head = f'kind = "anomaly"\n{Wants().toml()}{HEAT}'
    imported(tmp_path, station, write_model(tmp_path, heat()), head, activate=True)
    frames = [grey(), with_square(grey(), 40, 32, RED)]
    assert told(station, frames) == [("PASS", []), ("REJECT", ["anomaly:1"])]


def test_an_onnx_file_is_read_as_its_exporter_wrote_it(station: Station, tmp_path: Path) -> None:
    model = write_yolo8_onnx(tmp_path / "best.onnx")
    result = imported(tmp_path, station, model, head_toml(*YOLO8))
    assert (result.samples, result.with_findings, result.warnings) == (3, 2, ())
    opened = write_yolo8_onnx(tmp_path / "open.onnx", open_sizes=True)
    with pytest.raises(ConfigError, match="leaves height open"):
        imported(tmp_path, station, opened, head_toml(*YOLO8))
    sized = head_toml(*YOLO8).replace("[outputs]", "height = 64\nwidth = 64\n[outputs]")
    assert imported(tmp_path, station, opened, sized).with_findings == 2


def test_the_bundle_says_where_it_comes_from_and_proves_itself(station: Station, tmp_path: Path) -> None:
    result = imported(tmp_path, station, write_model(tmp_path, yolo5()))
    bundle = open_bundle(result.bundle.path)
    said = bundle.manifest
    assert (said.id, said.version, said.kind, said.precision) == ("blob", 1, "detector", "FP32")
    assert tuple(said.classes) == CLASSES
    assert (said.gate.outcome, said.gate.reason) == ("not run", "imported, FP32")
    assert said.imported is not None
    assert said.imported.file == "theirs.xml"
    limits = {"raw_score": 0.25, "chosen_by": "head.toml", "lowest_raw_score": 0.02, "most_findings": 100}
    assert said.thresholds == {"fp32": DetectorThreshold(**limits)}
    assert (bundle.path / "head.toml").read_text() == head_toml(*YOLO5)
    results = run_selftest(bundle, compile_bundle(bundle, threads=1))
    assert [one.passed for one in results] == [True] * 3
    assert sorted(one.expected >= 0.5 for one in results) == [False, True, True]
    page = (bundle.path / "report.html").read_text()
    assert page.count("data:image/jpeg;base64") == 3
    assert said.imported.sha256 in page


def test_an_anomaly_bundle_keeps_the_raw_threshold(station: Station, tmp_path: Path) -> None:
    head = f'kind = "anomaly"\n{Wants().toml()}{HEAT}'
    said = imported(tmp_path, station, write_model(tmp_path, heat()), head).bundle.manifest
    assert said.classes == ["anomaly"]
    expected = DeclaredThreshold(raw_value=4, values="distance", chosen_by="head.toml")
    assert said.thresholds == {"fp32": expected}


def test_nothing_becomes_active_unless_it_is_asked_for(station: Station, tmp_path: Path) -> None:
    model = write_model(tmp_path, yolo5())
    imported(tmp_path, station, model, activate=True)
    second = imported(tmp_path, station, model)
    assert second.bundle.model_id.version == 2
    assert active_bundle(station.bundles, "blob").name == "v1"


@pytest.mark.parametrize(
    ("head", "more", "error", "complaint"),
    [
        pytest.param(head_toml(*YOLO5), {"head": None}, ConfigError, "--head", id="no head"),
        pytest.param(head_toml(*YOLO5), {"samples": None}, ConfigError, "--samples", id="no samples"),
        pytest.param(head_toml(*YOLO5), {"samples": Path("gone")}, ConfigError, "gone is no folder", id="samples gone"),
        pytest.param(head_toml(*YOLO5), {"bundle_id": ""}, ConfigError, "--id", id="no id"),
        pytest.param(head_toml(*YOLO5), {"bundle_id": "../x"}, ConfigError, "--id is", id="an id that leads out"),
        pytest.param(head_toml(*YOLO8), {}, ConfigError, "expected", id="a head for another graph"),
        pytest.param("[", {}, ConfigError, "no TOML", id="no TOML"),
        pytest.param(head_toml(*YOLO5).replace("pixels", "normalised"), {}, GateError, "box_unit", id="samples say no"),
        pytest.param(head_toml(*YOLO5), {"head": Path("gone.toml")}, ModelError, "gone.toml", id="head gone"),
    ],
)
def test_what_is_refused_leaves_the_store_as_it_was(
    station: Station, tmp_path: Path, head: str, more: dict[str, object], error: type[Exception], complaint: str
) -> None:
    with pytest.raises(error, match=complaint):
        imported(tmp_path, station, write_model(tmp_path, yolo5()), head, **more)
    assert not list_bundles(station.bundles)
    assert not (station.bundles / "blob").exists() or not list((station.bundles / "blob").iterdir())


def test_a_folder_without_pictures_is_refused(station: Station, tmp_path: Path) -> None:
    (tmp_path / "samples").mkdir()
    with pytest.raises(ConfigError, match="holds no picture"):
        imported(tmp_path, station, write_model(tmp_path, yolo5()))


def test_a_bundle_from_elsewhere_is_copied_with_its_digest_as_parent(station: Station, tmp_path: Path) -> None:
    made = make_detector(tmp_path / "cloud", "boards", active=False)
    result = take_import(ImportRequest(made.path, station.bundles, "blob", activate=True), SilentProgress())
    assert active_bundle(station.bundles, "blob") == result.bundle.path
    assert result.bundle.manifest.parent == made.model_id.sha256
    assert result.bundle.manifest.files == made.manifest.files
    assert take_import(ImportRequest(made.path, station.bundles), SilentProgress()).bundle.model_id.id == "boards"


def test_a_bundle_that_no_line_may_run_is_refused(station: Station, tmp_path: Path) -> None:
    make_detector(tmp_path / "cloud", "boards", active=False)
    ungated = ungated_int8(tmp_path / "cloud", "boards", 2, "failed")
    broken = make_detector(tmp_path / "broken", wrong_selftest=True, active=False).path
    for source, error, complaint in ((ungated, GateError, "gate: failed"), (broken, ModelError, "self-test")):
        with pytest.raises(error, match=complaint):
            take_import(ImportRequest(source, station.bundles), SilentProgress())
    with pytest.raises(ConfigError, match="leave --head"):
        take_import(ImportRequest(broken, station.bundles, head=tmp_path / "h.toml"), SilentProgress())
    with pytest.raises(ConfigError, match=r"without bundle\.json"):
        take_import(ImportRequest(tmp_path, station.bundles), SilentProgress())
    assert not list_bundles(station.bundles)


def test_the_command_says_who_must_act(station: Station, tmp_path: Path) -> None:
    asked = request(tmp_path, station, write_model(tmp_path, yolo5()))
    options = ["--head", str(asked.head), "--samples", str(asked.samples), "--id", "blob", "-c", str(station.config)]
    base = ["edge", "bundle", "import", str(asked.source), *options, "--json"]
    code, said = run_json(base)
    assert (code, said["ok"], said["activated"]) == (0, True, False)
    assert (said["samples"], said["samples_with_findings"]) == (3, 2)
    assert said["model_id"]["version"] == 1
    assert open_bundle(Path(said["bundle"])).model_id.sha256 == said["model_id"]["sha256"]
    (tmp_path / "head.toml").write_text(head_toml(*YOLO5).replace("pixels", "normalised"))
    assert run_json(base)[0] == 1
    (tmp_path / "head.toml").write_text(head_toml(*YOLO8))
    assert run_json(base)[0] == 2
    asked.source.unlink()
    (tmp_path / "head.toml").write_text(head_toml(*YOLO5))
    code, said = run_json(base)
    assert (code, said["kind"]) == (3, "ModelError")
    assert len(list_bundles(station.bundles)) == 1


def test_the_readmes_head_is_one(tmp_path: Path) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    start = readme.index('    kind = "detector"')
    block = readme[start : readme.index("\n\n", start)]
    text = "\n".join(line.removeprefix("    ") for line in block.splitlines())
    (tmp_path / "head.toml").write_text(text)
    assert read_head(tmp_path / "head.toml").model_dump(exclude_unset=True) == tomllib.loads(text)
