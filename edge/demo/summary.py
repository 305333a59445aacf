"""What the demo found out, as figures and as a table."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from edge.demo.cells import LICENCE
from edge.demo.compare import Comparison, Told
from models.evaluate import Estimate, auroc, clopper_pearson

_LEVELS = {0.0: "good (p = 0)", 0.333: "p = 1/3", 0.667: "p = 2/3", 1.0: "defective (p = 1)"}


@dataclass(frozen=True, slots=True)
class Inspected:
    """One inspection joined with what experts said: score in [0, 1] or None, probability 0, 1/3, 2/3 or 1."""

    verdict: str
    score: float | None
    probability: float


@dataclass(frozen=True, slots=True)
class DemoResult:
    """Everything the table shows. Rates as (value, low, high) with 95 % confidence."""

    ok: bool
    parts: int
    verdicts: dict[str, int]
    verdicts_by_level: dict[str, dict[str, int]]
    overkill_target: float
    overkill: Estimate
    escape: Estimate
    auroc: Estimate
    told_p50_ms: float
    told_p99_ms: float
    parts_per_s: float
    precision: str
    gate: str
    speed_ms: dict[str, float]
    broker: str
    comparison: dict[str, int]
    report: Path
    images: Path
    folder: Path
    seconds: float

    def as_json(self) -> dict[str, object]:
        """Plain values, for `--json` and summary.json."""
        plain: dict[str, object] = json.loads(json.dumps(asdict(self), default=str))
        return plain | {"licence": LICENCE}


def join_cells(station: Mapping[str, tuple[str, bytes]], probabilities: Mapping[str, float]) -> list[Inspected]:
    """Join inspections with the experts' word by the replayed file's name; a part without frame has no name."""
    records = [json.loads(payload) for _sha256, payload in station.values()]
    return [
        Inspected(record["verdict"], view["score"], probabilities[view["source"]])
        for record in records
        for view in record["views"]
        if view["source"] in probabilities
    ]


def rates(inspected: list[Inspected]) -> tuple[Estimate, Estimate, Estimate]:
    """(overkill on p = 0: anything but PASS; escape on p = 1: PASS; AUROC of the scores between the two)."""
    good = [each for each in inspected if round(each.probability * 3) == 0]
    bad = [each for each in inspected if round(each.probability * 3) == 3]  # noqa: PLR2004 - three thirds
    overkill = clopper_pearson(sum(each.verdict != "PASS" for each in good), len(good))
    escape = clopper_pearson(sum(each.verdict == "PASS" for each in bad), len(bad))
    return overkill, escape, auroc(_scores(good), _scores(bad))


def by_level(inspected: list[Inspected]) -> dict[str, dict[str, int]]:
    """Verdict counts for each level of the experts' doubt."""
    counted = {name: Counter[str]() for name in _LEVELS.values()}
    names = list(_LEVELS.values())
    for each in inspected:
        counted[names[round(each.probability * 3)]][each.verdict] += 1
    return {name: dict(counts) for name, counts in counted.items()}


def latencies_ms(told: list[Told]) -> tuple[float, float]:
    """(p50, p99) from trigger to told, as the line saw it."""
    seen = [each.latency_ms for each in told if each.latency_ms is not None]
    return float(np.percentile(seen, 50)), float(np.percentile(seen, 99))


def show(result: DemoResult, comparison: Comparison, console: Console) -> None:
    """Print the closing table."""
    table = Table(
        title="inspectd demo: solar cells through simulator, station, broker and collector", show_header=False
    )
    table.add_row("parts", f"{result.parts}")
    table.add_row("PASS / REJECT / UNDECIDED", " / ".join(str(result.verdicts.get(name, 0)) for name in _VERDICTS))
    for level, counts in result.verdicts_by_level.items():
        table.add_row(f"  {level}", " / ".join(str(counts.get(name, 0)) for name in _VERDICTS))
    table.add_row(f"overkill, aim at most {result.overkill_target:.0%}", _percent(result.overkill))
    table.add_row("escape: p = 1 passed", _percent(result.escape))
    table.add_row("AUROC, p = 1 against p = 0", _interval(result.auroc, 1, 3))
    table.add_row("trigger to told", f"p50 {result.told_p50_ms:.1f} ms, p99 {result.told_p99_ms:.1f} ms")
    table.add_row("parts per second", f"{result.parts_per_s:.1f}")
    for precision, ms in result.speed_ms.items():
        ratio = result.speed_ms["FP32"] / ms
        table.add_row(f"{precision} on this machine", f"{ms:.2f} ms a frame, {ratio:.2f} times as fast as FP32")
    table.add_row("what ran", f"{result.precision}; the gate of INT8 says: {result.gate}")
    table.add_row("broker", result.broker)
    table.add_row("line = station = cloud", _verdict_on(comparison, result.parts))
    console.print(table)
    for what, path in (("report", result.report), ("images", result.images), ("all", result.folder)):
        console.print(f"{what:>7}: {path}", soft_wrap=True, highlight=False)
    console.print(LICENCE)


_VERDICTS = ("PASS", "REJECT", "UNDECIDED")


def _verdict_on(comparison: Comparison, parts: int) -> str:
    if comparison.equal:
        return f"[green]yes[/green]: {parts} records, once each, equal content hashes"
    return f"[red]NO[/red]: {comparison.differences()}"


def _percent(estimate: Estimate) -> str:
    return _interval(estimate, 100, 1, " %")


def _interval(estimate: Estimate, factor: float, digits: int, unit: str = "") -> str:
    value, low, high = (factor * each for each in (estimate.value, estimate.low, estimate.high))
    return f"{value:.{digits}f}{unit} (95 %: {low:.{digits}f} to {high:.{digits}f}{unit})"


def _scores(inspected: list[Inspected]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array([each.score for each in inspected if each.score is not None], np.float64)
