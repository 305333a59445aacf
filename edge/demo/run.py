"""The demo, top-down: cells, broker, collector, calibration, station, line, and the proof that nothing was lost."""

import json
import shutil
import subprocess
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import cast

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from cloud_sync.wire.broker import Kind, LocalBroker, available_kinds, free_port
from edge.demo.cells import FAST, FULL, LICENCE, link_cells, load_cells, split_cells
from edge.demo.compare import Comparison, compare, parse_cloud, read_station, read_told
from edge.demo.summary import DemoResult, by_level, join_cells, latencies_ms, rates, show
from edge.domain.errors import ConfigError, OutputError
from edge.processes import ask, ask_json, follow, running
from models.bundle import open_bundle
from models.bundle_store import active_bundle

STATION = "demo"
PRODUCT = "cell"
OVERKILL = 0.05  # few hundred good cells cannot prove much less without passing most defects
_IN_FLIGHT = 2
_DRAIN_S = 60.0
_MARKER = ".inspectd-demo"
_CONFIG = """\
[station]
id = "{station}"
data_dir = "station"

[[camera]]
id = "top"
source = "inspect"
trigger = "software"
timeout_ms = 500
max_age_ms = 1000
# The cells are pictures of many modules, each lit in its own way: what one camera sees cannot be learned from them.
checks.off = ["exposure", "clipped", "blurred"]

[[product]]
id = "{product}"
bundle = "{product}"

[line]
port = "tcp://127.0.0.1:{port}"
deadline_ms = 1000

[sync]
broker = "{broker}"
resend_s = 5
"""


def run_demo(folder: Path, *, fast: bool, broker: str | None) -> DemoResult:
    """Run everything in `folder`, which is emptied first if an earlier demo made it.

    Raises:
        ConfigError: the folder holds something else, or a package of the demo is missing.
        OutputError: one of the product's own commands failed.
    """
    started_s = time.monotonic()
    console = Console(stderr=True)
    kind = _choose_broker(broker)
    folder = _fresh(folder)
    console.print(f"[bold]inspectd demo[/bold] in {folder}. {LICENCE}")
    console.print("1/4 cells: choosing, with no near-twins between what is learned and what is inspected")
    split = split_cells(load_cells(), FAST if fast else FULL)
    link_cells(split.learn, folder / "good")
    probabilities = link_cells(split.inspect, folder / "inspect")
    console.print(f"2/4 calibrate: learning from {len(split.learn)} good cells")
    config = folder / "station.toml"
    port, broker_port = free_port(), free_port()
    config.write_text(
        _CONFIG.format(station=STATION, product=PRODUCT, port=port, broker=f"mqtt://127.0.0.1:{broker_port}")
    )
    calibration = _calibrate(config, folder / "good", fast=fast)
    console.print(f"3/4 inspect: {len(split.inspect)} other cells through simulator, station, {kind} and collector")
    line = _inspect(folder, kind, port, broker_port, len(split.inspect), console)
    console.print("4/4 check and measure")
    return _conclude(folder, kind, probabilities, (calibration, line), time.monotonic() - started_s)


def _choose_broker(wanted: str | None) -> Kind:
    kinds = available_kinds()
    if not kinds or (wanted and wanted not in kinds):
        raise ConfigError(
            f"the demo needs a broker; asked for {wanted or 'any'}, here are {list(kinds)}: "
            "install mosquitto, or pip install 'inspectd[demo]' for iotcore"
        )
    return next((kind for kind in kinds if kind == wanted), kinds[0])


def _fresh(folder: Path) -> Path:
    folder = folder.absolute()
    if folder.exists() and any(folder.iterdir()):
        if not (folder / _MARKER).exists():
            raise ConfigError(f"{folder} holds something that no demo made: name another with --folder")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _MARKER).touch()
    return folder


def _calibrate(config: Path, good: Path, *, fast: bool) -> dict[str, object]:
    arguments = [
        "edge",
        "calibrate",
        "--config",
        str(config),
        "--from",
        str(good),
        "--overkill",
        f"{OVERKILL}",
        "--json",
    ]
    return ask_json(arguments + (["--fast", "--tune-s", "4"] if fast else []))


def _inspect(folder: Path, kind: Kind, port: int, broker_port: int, parts: int, console: Console) -> dict[str, object]:
    logs = folder / "logs"
    logs.mkdir()
    address, store, config = f"mqtt://127.0.0.1:{broker_port}", str(folder / "cloud.db"), str(folder / "station.toml")
    with ExitStack() as stack:
        stack.enter_context(LocalBroker(kind, folder / "broker", broker_port))
        collect = ["cloud", "collect", "--broker", address, "--store", store, "--json"]
        stack.enter_context(running(collect, logs / "collector.log", wait_for_line=True))
        stack.enter_context(running(["edge", "run", "--config", config, "--json"], logs / "station.log"))
        log = folder / "line.jsonl"
        simulate = ["edge", "simulate", "--product", PRODUCT, "--parts", str(parts), "--log", str(log), "--json"]
        simulate += ["--port", f"tcp://127.0.0.1:{port}", "--in-flight", str(_IN_FLIGHT)]
        line = stack.enter_context(running(simulate, logs / "line.log"))
        _watch(line, log, parts, console)
        result: dict[str, object] = json.loads(line.stdout.read() if line.stdout else "{}")
        _await_drained(config)
    return result


def _watch(line: "subprocess.Popen[str]", log: Path, parts: int, console: Console) -> None:
    columns = (TextColumn("  parts told"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("told", total=parts)

        def step() -> None:
            told = log.read_bytes().count(b'"event": "told"') if log.exists() else 0
            progress.update(task, completed=told)

        code = follow(line, step)
        step()
    if code not in {0, 1}:
        raise OutputError(f"the simulated line ended with exit code {code}: see {log.parent / 'logs'}")


def _await_drained(config: str) -> None:
    until_s = time.monotonic() + _DRAIN_S
    while time.monotonic() < until_s:
        status = ask_json(["edge", "status", "--config", config, "--json"], may_refuse=True)
        database = cast("dict[str, dict[str, int]]", status["database"])
        if not database["outbox"] and "open" not in database["outcomes"]:
            return
    raise OutputError(f"the outbox was not acknowledged within {_DRAIN_S:g} s: see the logs")


def _conclude(
    folder: Path, kind: Kind, probabilities: dict[str, float], said: tuple[dict[str, object], ...], seconds: float
) -> DemoResult:
    calibration, line = said
    told = read_told(folder / "line.jsonl")
    station = read_station(folder / "station" / "station.db", STATION)
    records = ask(["cloud", "status", "--store", str(folder / "cloud.db"), "--records", "--json"])
    shas = {identity: sha256 for identity, (sha256, _payload) in station.items()}
    comparison = compare(told, shas, parse_cloud(records.splitlines()))
    inspected = join_cells(station, probabilities)
    overkill, escape, roc = rates(inspected)
    p50_ms, p99_ms = latencies_ms(told)
    path = active_bundle(folder / "station" / "bundles", PRODUCT)
    complete = len(told) == len(probabilities) and not line["untold"]
    result = DemoResult(
        ok=comparison.equal and complete,
        parts=len(told),
        verdicts=dict(Counter(each.verdict for each in told)),
        verdicts_by_level=by_level(inspected),
        overkill_target=OVERKILL,
        overkill=overkill,
        escape=escape,
        auroc=roc,
        told_p50_ms=p50_ms,
        told_p99_ms=p99_ms,
        parts_per_s=cast("float", line["parts_per_s"]),
        precision=open_bundle(path).precision.value,
        gate=str(cast("dict[str, object]", calibration["gate"])["outcome"]),
        speed_ms=cast("dict[str, float]", calibration["speed_ms"]),
        broker=kind,
        comparison=comparison.differences(),
        report=path / "report.html",
        images=folder / "station" / "images",
        folder=folder,
        seconds=seconds,
    )
    (folder / "summary.json").write_text(json.dumps(result.as_json(), indent=1))
    _print(result, comparison)
    return result


def _print(result: DemoResult, comparison: Comparison) -> None:
    show(result, comparison, Console(stderr=True))
