"""The bench as a page that needs no other file, and as rows for a terminal."""

import html
import importlib.util
from typing import TYPE_CHECKING

from edge.bench.figures import PERCENTILES, text_ms
from edge.bench.result import BenchResult, Row
from edge.bench.settings import BrokerState, Pace
from models.page import BAD, GOOD, LINE, page, svg, table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COUNTS = ("late", "untold", "UNDECIDED", "parts")
HEAD = ("station", "pace", "parts/s", "of OpenVINO", "p50", "p90", "p99", "p99.9", "max", *_COUNTS)
SHORT_HEAD = ("station", "pace", "parts/s", "of OV", "p50", "p90", "p99", "p99.9", "max", "missed", "parts")
_STYLE = """.bench{overflow-x:auto}.bench table{font-size:11px;width:100%}
.bench td,.bench th{padding-right:.4rem}.bench td:nth-child(-n+2){white-space:nowrap}
.bench td:nth-child(n+3),.bench th:nth-child(n+3){text-align:right}"""
SHORT_NOTE = (
    "Milliseconds from trigger to told; (n): not measured, of n parts; missed: UNDECIDED (late among them) or untold; "
    "of OV: of what OpenVINO alone reaches."
)
_BAR = "#9fc9b0"
_COLOURS = (LINE, GOOD, BAD, "#d08a1d", "#6b4fa0", "#1f7fa8", "#8a8f94")


def rows_of(result: BenchResult) -> list[tuple[str, ...]]:
    """A row of text for each run, and one for each that could not be."""
    blank = ("",) * (len(HEAD) - 2)
    return [_cells(row) for row in result.rows] + [
        (name, f"not measured: {why}", *blank) for name, why in result.missing.items()
    ]


def short_rows_of(result: BenchResult) -> list[tuple[str, ...]]:
    """The same in few columns, for a terminal."""
    blank = ("",) * (len(SHORT_HEAD) - 1)
    return [_short_cells(row) for row in result.rows] + [(f"{name}: none here", *blank) for name in result.missing]


def bench_page(result: BenchResult) -> str:
    """The whole report."""
    title = f"edge bench: {result.product} at {result.station}"
    return page(title, f"<h1>{html.escape(title)}</h1>{_verdict(result)}{section(result)}")


def section(result: BenchResult) -> str:
    """Plots, table and what one must know, as HTML for any page."""
    notes = "".join(f"<li>{html.escape(text)}</li>" for text in (*_notes(result), *result.warnings))
    return (
        f"<style>{_STYLE}</style>{_plots(result)}"
        f"<h2>Every run, milliseconds from trigger to told</h2><div class='bench'>{table(HEAD, rows_of(result))}</div>"
        f"<h2>How it was measured</h2><ul>{notes}</ul>{_facts(result)}"
    )


def _cells(row: Row) -> tuple[str, ...]:
    times = (text_ms(getattr(row.told, name), row.told.parts) for name in PERCENTILES)
    counts = (str(getattr(row, name.lower())) for name in _COUNTS)
    return (row.setting.text, _pace(row), f"{row.parts_per_s:.1f}", _ratio(row), *times, *counts)


def _short_cells(row: Row) -> tuple[str, ...]:
    known = (getattr(row.told, name) for name in PERCENTILES)
    times = (f"({row.told.parts})" if value is None else f"{value:.3g}" for value in known)
    missed = row.undecided + row.untold
    return (row.setting.text, _pace(row), f"{row.parts_per_s:.1f}", _ratio(row), *times, str(missed), str(row.parts))


def _pace(row: Row) -> str:
    return row.pace if row.rate_hz is None else f"{row.rate_hz:g}/s"


def _ratio(row: Row) -> str:
    return "" if row.ratio_to_openvino is None else f"{row.ratio_to_openvino:.2f}"


def _verdict(result: BenchResult) -> str:
    look = "good" if result.ok and not result.warnings else "weak"
    warned = "".join(f"<br>{html.escape(text)}" for text in result.warnings)
    return f"<p class='verdict {look}'>{html.escape(result.verdict)}{warned}</p>"


def _notes(result: BenchResult) -> tuple[str, ...]:
    first = {row.setting.cameras: row.alone for row in reversed(result.rows)}
    alone = "; ".join(
        f"{count} cam: {one.images_per_s:.1f} images/s ({one.threads} threads, {one.streams} streams, "
        f"{one.requests} requests)"
        for count, one in sorted(first.items())
    )
    return (
        (
            "Milliseconds are from trigger to told, as a simulated line in a process of its own saw them; "
            "a part is told once its record is on disk. Every part is a frame of each camera."
        ),
        (
            "Cameras are replayed bitmaps: decoding, network and exposure are not in these figures. Simulator, broker "
            "and collector share the CPUs with the station."
        ),
        f"OpenVINO alone: its benchmark_app, before each station, with the same graph and plan: {alone}.",
        (
            "`as told`: up to 4 parts wait at once, fewer where that alone would pass the deadline. "
            "Paced: at half of that rate unless --rate says otherwise."
        ),
        "p99 needs 100 parts told, p99.9 needs 1,000; with fewer it says so.",
    )


def _facts(result: BenchResult) -> str:
    model = result.model
    facts = {"bundle": f"{model.id} v{model.version}, {model.precision}, sha256 {model.sha256}"}
    facts |= {name.replace("_", " "): str(value) for name, value in (*result.machine.items(), *result.frames.items())}
    return table(("what", "is"), tuple(facts.items()))


def _plots(result: BenchResult) -> str:
    if importlib.util.find_spec("matplotlib") is None:
        return "<p>No plots: matplotlib is not here (pip install 'inspectd[calibrate]').</p>"
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.5, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    _plot_tails(left, result)
    _plot_throughput(right, result)
    return svg(figure)


def _plot_tails(axes: "Axes", result: BenchResult) -> None:
    paced = [row for row in result.rows if row.pace is Pace.PACED and row.tail]
    for row, colour in zip(paced, _COLOURS * 4, strict=False):
        floor = 0.5 / row.told.parts
        times, shares = zip(*((ms, max(share, floor)) for ms, share in row.tail), strict=True)
        axes.step(times, shares, color=colour, where="post", label=row.setting.text)
    axes.set(xscale="log", yscale="log", xlabel="ms from trigger to told", ylabel="share of parts that waited longer")
    axes.set_title("Paced: how long the line waits")
    axes.grid(visible=True, which="both", alpha=0.25)
    for each in (axes.xaxis.set_major_formatter, axes.xaxis.set_minor_formatter):
        each("{x:g}")
    axes.tick_params(axis="x", which="both", labelsize=7)
    if paced:
        axes.legend(fontsize=7, loc="lower left")


def _plot_throughput(axes: "Axes", result: BenchResult) -> None:
    plain = [
        row
        for row in result.rows
        if row.pace is Pace.AS_TOLD and (row.setting.images, row.setting.broker) == ("none", BrokerState.NONE)
    ]
    places = range(len(plain))
    bars = axes.bar(places, [row.parts_per_s * row.setting.cameras for row in plain], color=_BAR, width=0.6)
    axes.bar_label(bars, [f"{row.parts_per_s:.0f} parts/s" for row in plain], fontsize=7, padding=2)
    alone = [row.parts_per_s * row.setting.cameras / row.ratio_to_openvino for row in plain if row.ratio_to_openvino]
    if len(alone) == len(plain):
        axes.plot(places, alone, "_", color=LINE, markersize=20, markeredgewidth=2, label="OpenVINO alone")
        axes.legend(fontsize=7, loc="upper right")
    axes.set_xticks(list(places), [str(row.setting.cameras) for row in plain])
    axes.set(xlabel="cameras", ylabel="frames per second", title="As fast as told")
    axes.margins(y=0.3)
