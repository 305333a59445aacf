"""The demo, top-down: cells, calibration, station, line, collector, the proof that nothing was lost; then the loop."""

import json
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from cloud_sync.wire.broker import Kind, available_kinds, free_port
from edge.demo.cells import FAST, FULL, LICENCE, Cell, Split, link_cells, load_cells, split_cells
from edge.demo.compare import read_told
from edge.demo.judged import by_level, join_cells, latencies_ms, rates
from edge.demo.loop import Truth, run_loop, show_loop
from edge.demo.pages import open_pages, show_pages
from edge.demo.plant import FIRST_PARTS, Plant, ended_well
from edge.demo.records import compare_all, read_records
from edge.demo.settings import FAST_LOOP, FIRST, FULL_LOOP, OVERKILL, PRODUCT, UNSEEN, DemoSettings
from edge.demo.summary import DemoResult, show, show_paths
from edge.domain.errors import ConfigError
from edge.processes import ask_json, follow
from models.bundle import open_bundle
from models.bundle_store import active_bundle

_MARKER = ".inspectd-demo"


def run_demo(folder: Path, *, fast: bool, broker: str | None, stay: bool = False) -> DemoResult:
    """Run everything in `folder`, which is emptied first if an earlier demo made it.

    Args:
        folder: where everything goes.
        fast: fewer cells.
        broker: mosquitto or iotcore; None: the first that is here.
        stay: at the end the pages stay until Ctrl-C.

    Raises:
        ConfigError: the folder holds something else, or a package of the demo is missing.
        OutputError: one of the product's own commands failed.
    """
    started_s = time.monotonic()
    console = Console(stderr=True)
    loop = FAST_LOOP if fast else FULL_LOOP
    plant = Plant(_fresh(folder), _choose_broker(broker), free_port(), free_port(), DemoSettings(loop))
    console.print(f"[bold]inspectd demo[/bold] in {plant.folder}. {LICENCE}")
    console.print("1/9 cells: choosing, with no near-twins between what is learned and what is inspected")
    split = split_cells(load_cells(), FAST if fast else FULL)
    link_cells(split.learn, plant.folder / "good")
    truth = Truth(*(link_cells(cells, plant.folder / name) for name, cells in _shown(split)))
    plant.found_cloud()
    plant.configure(FIRST)
    console.print(f"2/9 calibrate: learning from {len(split.learn)} good cells")
    calibration = _calibrate(plant.config, plant.folder / "good", fast=fast)
    with plant.collecting():
        console.print(
            f"3/9 inspect: {len(truth.inspected)} other cells through simulator, station, {plant.kind}, cloud"
        )
        line = _inspect(plant, len(truth.inspected), console)
        console.print("4/9 check and measure")
        first = _conclude(plant, truth.inspected, (calibration, line), time.monotonic() - started_s)
        round_ = run_loop(plant, loop, truth, console)
        result = replace(first, loop=round_, ok=first.ok and round_.live, seconds=time.monotonic() - started_s)
        (plant.folder / "summary.json").write_text(json.dumps(result.as_json(), indent=1))
        show_loop(round_, plant, console)
        show_paths(result, console)
        with open_pages(plant) as pages:
            show_pages(pages, console, stay=stay)
    return result


def _shown(split: Split) -> tuple[tuple[str, tuple[Cell, ...]], ...]:
    return (FIRST.source, split.inspect), (UNSEEN.source, split.unseen)


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


def _inspect(plant: Plant, parts: int, console: Console) -> dict[str, object]:
    with plant.inspecting(FIRST):
        with plant.line(parts) as line:
            result = ended_well(line, _watch(line, plant.told(FIRST_PARTS), parts, console), plant.folder / "logs")
        plant.await_drained()
    return result


def _watch(line: "subprocess.Popen[str]", log: Path, parts: int, console: Console) -> int:
    columns = (TextColumn("  parts told"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("told", total=parts)

        def step() -> None:
            told = log.read_bytes().count(b'"event": "told"') if log.exists() else 0
            progress.update(task, completed=told)

        code = follow(line, step)
        step()
    return code


def _conclude(
    plant: Plant, probabilities: Mapping[str, float], said: tuple[dict[str, object], ...], seconds: float
) -> DemoResult:
    calibration, line = said
    told, comparison = read_told(plant.told(FIRST_PARTS)), compare_all(plant)
    inspected = join_cells(read_records(plant, FIRST_PARTS), probabilities)
    overkill, escape, roc = rates(inspected)
    p50_ms, p99_ms = latencies_ms(told)
    path = active_bundle(plant.folder / "station" / "bundles", PRODUCT)
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
        broker=plant.kind,
        comparison=comparison.differences(),
        report=path / "report.html",
        images=plant.folder / "station" / "images",
        folder=plant.folder,
        seconds=seconds,
    )
    show(result, comparison, Console(stderr=True))
    return result
