"""`edge bench` end to end on a bundle that is quick to run: real daemon, line and broker, and nothing left behind."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from brokers import eventually
from daemon_kit import daemon
from station_kit import Station, make_bundle, run_json, write_frames
from typer.testing import CliRunner

from cloud_sync.wire.broker import available_kinds
from edge.bench.bench import _disturbances, _swings
from edge.bench.figures import latency
from edge.bench.frames import prepare_frames
from edge.bench.result import Alone, Row
from edge.bench.serving import Copying, Effort, Yardstick, measure, serving
from edge.bench.settings import BrokerState, Pace, Setting
from edge.cli import app
from edge.config import load_config
from edge.domain.errors import exit_code
from edge.processes import command

pytestmark = pytest.mark.long

TOP = {
    "schema",
    "ok",
    "verdict",
    "station",
    "product",
    "model",
    "machine",
    "frames",
    "rows",
    "missing",
    "warnings",
    "seconds",
}
ROW = {
    "cameras",
    "images",
    "broker",
    "pace",
    "rate_hz",
    "in_flight",
    "seconds",
    "parts",
    "parts_per_s",
    "ratio_to_openvino",
    "openvino_alone",
    "told",
    "verdicts",
    "undecided_reasons",
    "untold",
    "tail",
    "undecided",
    "late",
}
TOLD = {"parts", "p50_ms", "p90_ms", "p99_ms", "p99_9_ms", "max_ms"}
ALONE = {"images_per_s", "median_ms", "threads", "streams", "requests"}


@pytest.fixture
def station(tmp_path: Path) -> Station:
    made = Station(tmp_path / "station")
    made.write_config()
    make_bundle(made.bundles)
    write_frames(made.folder / "frames", 4, bad_every=2)
    return made


def bench(station: Station, *options: str) -> list[str]:
    out = str(station.folder / "out")
    return ["edge", "bench", "-c", str(station.config), "--quick", "--cameras", "1", "--out", out, *options]


def test_a_quick_bench_measures_every_setting_and_leaves_a_report_and_nothing_else(station: Station) -> None:
    frames = station.folder / "frames"
    code, said = run_json(bench(station, "--seconds", "0.5", "--from", str(frames), "--json"), 120)
    out = station.folder / "out"
    assert (code, said.get("schema")) == (0, "inspectd.bench.v1"), said
    assert said == json.loads((out / "bench.json").read_text())
    assert set(said) == TOP
    for row in said["rows"]:
        assert set(row) == ROW
        assert set(row["told"]) == TOLD
        assert set(row["openvino_alone"]) == ALONE
        assert row["parts"] == row["told"]["parts"] == sum(row["verdicts"].values()) > 0
        assert row["parts"] < 2000, "--seconds ends a run before --parts does"
        assert row["untold"] == row["undecided"] == row["late"] == 0
        assert row["told"]["p50_ms"] <= row["told"]["max_ms"]
        assert (row["ratio_to_openvino"] is None) == (row["pace"] == "paced")
    brokers = ["up"] if available_kinds() else []
    settings = [(row["images"], row["broker"]) for row in said["rows"][::2]]
    assert settings == [("none", "none"), ("all", "none"), *(("none", broker) for broker in brokers)]
    assert set(said["missing"]) == (set() if brokers else {"broker up"})
    assert said["frames"] == {"source": str(frames), "count": 4, "size": [80, 60]}
    page = (out / "bench.html").read_text()
    assert "<svg" in page
    assert "src=" not in page
    assert sorted(path.name for path in out.iterdir()) == ["bench.html", "bench.json"]
    assert [path.name for path in (station.folder / "data").iterdir()] == ["bundles"]


def test_a_bench_whose_parts_are_not_judged_says_so_and_ends_with_1(station: Station) -> None:
    black = station.folder / "black"
    black.mkdir()
    cv2.imwrite(str(black / "1.png"), np.zeros((60, 80, 3), np.uint8))
    code, said = run_json(bench(station, "--from", str(black), "--json"), 120)
    assert (code, said["ok"], said["kind"]) == (1, False, "GateError")
    assert "none of 20 parts was judged (camera_black)" in said["error"]
    assert not list((station.folder / "out").glob(".bench-*"))


@pytest.mark.parametrize(
    ("options", "code", "complaint"),
    [
        pytest.param(["--product", "other"], 2, "--product must be one of blob, got 'other'", id="no such product"),
        pytest.param(["--cameras", "99"], 2, "--cameras is a list of 1 to 16", id="too many cameras"),
        pytest.param(["--cameras", "none"], 2, "--cameras is a list of 1 to 16", id="no number of cameras"),
        pytest.param(["-c", "gone.toml"], 2, "edge init", id="no configuration"),
        pytest.param(["-c", "gone/station.toml"], 2, "edge init", id="no folder"),
    ],
)
def test_what_cannot_be_asked_for_is_named(station: Station, options: list[str], code: int, complaint: str) -> None:
    found = CliRunner().invoke(app, [*bench(station)[1:], *options]).exception
    assert isinstance(found, Exception)
    assert exit_code(found) == code
    assert complaint in str(found)


@pytest.mark.parametrize(
    ("options", "code", "complaint"),
    [
        pytest.param(["--from", "nowhere"], 2, "name a folder of images with --from", id="no frames"),
        pytest.param(["--out", "/proc/bench"], 3, "name another folder with --out", id="a folder nobody can write"),
    ],
)
def test_what_cannot_be_read_or_written_is_named(
    station: Station, options: list[str], code: int, complaint: str
) -> None:
    found, said = run_json([*bench(station), *options, "--json"], 60)
    assert (found, said["exit_code"]) == (code, code)
    assert complaint in said["error"]


def test_a_product_without_a_bundle_and_more_cameras_than_requests_are_refused(station: Station) -> None:
    config = station.config.read_text()
    station.config.write_text(config.replace("[inference]\n", "[inference]\nrequests = 1\n"))
    code, said = run_json([*bench(station), "--cameras", "1,2", "--json"])
    assert (code, "a part has 2 cameras" in said["error"]) == (2, True)
    station.config.write_text(config.replace("bundle = 'blob'", "bundle = 'gone'"))
    code, said = run_json([*bench(station), "--json"])
    assert (code, "gone" in said["error"]) == (3, True)


def test_a_station_that_runs_on_this_machine_is_a_warning(station: Station) -> None:
    checked = load_config(station.config)
    assert not [text for text in _disturbances(checked) if "is running" in text]
    with daemon(station):
        eventually(checked.status_path.is_file)
        assert [text for text in _disturbances(checked) if "is running on this machine" in text]


@pytest.mark.parametrize("broker", [BrokerState.DOWN, BrokerState.HUNG])
def test_a_broker_that_is_gone_or_hangs_costs_no_part_its_verdict(
    station: Station, tmp_path: Path, broker: BrokerState
) -> None:
    if broker is BrokerState.HUNG and not available_kinds():
        pytest.skip("no broker on this machine")
    config = load_config(station.config)
    frames = prepare_frames(make_bundle(tmp_path / "others"), station.folder / "frames", tmp_path / "bitmaps")
    yardstick = Yardstick(Alone(1000, 1, 1, 1, 2), images_per_part=2)
    setting = Setting(2, broker=broker)
    with serving(Copying(config, config.product[0], frames, tmp_path / "scratch"), setting) as copy:
        rows = measure(copy, setting, Effort(30, 5, 50), yardstick)
    assert [(row.pace, row.rate_hz, row.parts) for row in rows] == [("as told", None, 30), ("paced", 50, 30)]
    for row in rows:
        assert (row.undecided, row.untold, row.told.parts) == (0, 0, 30)
    assert rows[0].ratio_to_openvino == round(rows[0].parts_per_s / 500, 3)


def test_a_yardstick_that_swings_is_a_warning() -> None:
    def row(images_per_s: float, cameras: int = 1) -> Row:
        alone = Alone(images_per_s, 1, 1, 1, 2)
        return Row(Setting(cameras), Pace.PACED, 1, 1, 1, 1, 1, alone, None, latency([1.0]), {"PASS": 1}, {}, 0)

    assert _swings([row(100), row(115), row(50, 2)]) == []
    (warning,) = _swings([row(100), row(130), row(50, 2)])
    assert "100 to 130 images/s for 1 cam" in warning


def in_session(session: int) -> Iterator[int]:
    """Processes of a session that have not ended."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                said = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(said[3]) == session and said[0] != "Z":
                yield int(folder.name)


@pytest.mark.parametrize(
    ("how", "whole_group"),
    [
        pytest.param(signal.SIGINT, True, id="Ctrl-C, which every process of a terminal gets"),
        pytest.param(signal.SIGTERM, False, id="SIGTERM to the bench alone"),
    ],
)
def test_an_interrupted_bench_leaves_no_process_port_or_folder(
    station: Station, how: signal.Signals, *, whole_group: bool
) -> None:
    arguments = bench(station, "--seconds", "60", "--from", str(station.folder / "frames"))
    started = [command("edge"), *arguments[1:]]
    child = subprocess.Popen(started, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    out = station.folder / "out"
    try:
        eventually(lambda: child.poll() is not None or list(out.glob(".bench-*/*/as-told.jsonl")), 60)
        assert len(list(in_session(child.pid))) >= 3
        (os.killpg if whole_group else os.kill)(child.pid, how)
        _, errors = child.communicate(timeout=30)
    finally:
        for left in in_session(child.pid):
            os.kill(left, signal.SIGKILL)
    assert child.returncode == 130, errors
    assert b"stopped: everything that was started has ended" in errors
    assert list(in_session(child.pid)) == []
    assert list(out.iterdir()) == []


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="util-linux' setpriv is not here")
def test_a_killed_bench_takes_its_station_with_it(station: Station) -> None:
    arguments = bench(station, "--seconds", "60", "--from", str(station.folder / "frames"))
    started, out = [command("edge"), *arguments[1:]], station.folder / "out"
    child = subprocess.Popen(started, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        eventually(lambda: child.poll() is not None or list(out.glob(".bench-*/*/as-told.jsonl")), 60)
        child.kill()
        assert child.wait(30) == -signal.SIGKILL
        eventually(lambda: not any("edge run" in _command_line(left) for left in in_session(child.pid)))
    finally:
        for left in in_session(child.pid):
            os.kill(left, signal.SIGKILL)


def _command_line(process: int) -> str:
    try:
        return (Path("/proc") / str(process) / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""
