"""What the demo found out, as figures and as a table."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from edge.demo.cells import LICENCE
from edge.demo.compare import Comparison
from edge.demo.judged import VERDICTS, interval, percent
from edge.demo.loop import LoopResult
from models.evaluate import Estimate


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
    loop: LoopResult | None = None

    def as_json(self) -> dict[str, object]:
        """Plain values, for `--json` and summary.json."""
        plain: dict[str, object] = json.loads(json.dumps(asdict(self), default=str))
        return plain | {"licence": LICENCE}


def show(result: DemoResult, comparison: Comparison, console: Console) -> None:
    """Print the closing table."""
    table = Table(
        title="inspectd demo: solar cells through simulator, station, broker and collector", show_header=False
    )
    table.add_row("parts", f"{result.parts}")
    table.add_row("PASS / REJECT / UNDECIDED", " / ".join(str(result.verdicts.get(name, 0)) for name in VERDICTS))
    for level, counts in result.verdicts_by_level.items():
        table.add_row(f"  {level}", " / ".join(str(counts.get(name, 0)) for name in VERDICTS))
    table.add_row(f"overkill, aim at most {result.overkill_target:.0%}", percent(result.overkill))
    table.add_row("escape: p = 1 passed", percent(result.escape))
    table.add_row("AUROC, p = 1 against p = 0", interval(result.auroc, 1, 3))
    table.add_row("trigger to told", f"p50 {result.told_p50_ms:.1f} ms, p99 {result.told_p99_ms:.1f} ms")
    table.add_row("parts per second", f"{result.parts_per_s:.1f}")
    for precision, ms in result.speed_ms.items():
        ratio = result.speed_ms["FP32"] / ms
        table.add_row(f"{precision} on this machine", f"{ms:.2f} ms a frame, {ratio:.2f} times as fast as FP32")
    table.add_row("what ran", f"{result.precision}; the gate of INT8 says: {result.gate}")
    table.add_row("broker", result.broker)
    table.add_row("line = station = cloud", _verdict_on(comparison, result.parts))
    console.print(table)


def show_paths(result: DemoResult, console: Console) -> None:
    """Print where to look."""
    for what, path in (("report", result.report), ("images", result.images), ("all", result.folder)):
        console.print(f"{what:>7}: {path}", soft_wrap=True, highlight=False)
    console.print(LICENCE)


def _verdict_on(comparison: Comparison, parts: int) -> str:
    if comparison.equal:
        return f"[green]yes[/green]: {parts} records, once each, equal content hashes"
    return f"[red]NO[/red]: {comparison.differences()}"
