"""The report's part on speed: what was chosen, against what, and what fits the machine."""

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING

from edge.calibrate.tuning.planning import best_by_cores, beyond
from edge.calibrate.tuning.scaling import Scaled
from edge.calibrate.tuning.tuned import HEAD, Planning, Tuned
from models.page import BAD, GOOD, LINE, svg, table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLE = "Speed on this machine"
_SIZE = (4.1, 3.0)
_GREY = "#9aa7b2"


def section(tuned: Tuned) -> str:
    """HTML for a report: text, tables and plots; whoever makes the page gives the frame."""
    verdict = "good" if tuned.fits else "weak"
    said = f"{tuned.plan}: {tuned.parts_per_s:.1f} parts a second in the whole station; {tuned.compared}"
    blocks = [
        f"<p class='verdict {verdict}'>{html.escape(said)}</p>",
        f"<p>{html.escape(_measured(tuned))}</p>",
        f"<div class='row'>{svg(_candidates_figure(tuned))}{_scaling_svg(tuned.planning)}</div>",
        "<h3>The whole station</h3>" + table(HEAD, tuned.rows(tuned.rehearsed)),
        "<h3>The model alone, letterboxing included</h3>" + table(HEAD, tuned.rows(tuned.searched)),
        "" if tuned.planning is None else _planning(tuned.planning, tuned.station.limit_ms),
        "<ul>" + "".join(f"<li>{html.escape(note)}</li>" for note in tuned.notes) + "</ul>",
    ]
    return "".join(blocks)


def _measured(tuned: Tuned) -> str:
    cameras = len(tuned.station.cameras)
    return (
        f"Measured in {tuned.seconds:.0f} s on {tuned.key.cpu}, {tuned.grant}, OpenVINO {tuned.key.openvino}, "
        f"{cameras} camera{'' if cameras == 1 else 's'} at once, p99 within {tuned.station.limit_ms:g} ms. The whole "
        "station: capture threads, checks, letterboxing, model, decision, durable records and stored images, as many "
        "parts as it takes; not the transfer of camera images and the connections to line and cloud."
    )


def _planning(planning: Planning, limit_ms: float) -> str:
    rooms = [
        (
            str(one.cameras),
            f"{one.most_per_minute:.0f}" if one.fits else "none in time",
            f"{one.advised_per_minute:.0f}",
            f"{one.p99_ms:.0f}",
        )
        for one in planning.rooms
    ]
    guesses, basis = beyond(planning.scaled)
    reckoned = [(f"{one.cores}", f"{one.low:g} to {one.high:g}") for one in guesses]
    return (
        f"<h3>What fits this machine within {limit_ms:g} ms</h3>"
        + table(("cameras", "parts a minute, at most", "advised (80 % load)", "p99 ms"), rooms)
        + "<h3>More cores than are here: reckoned, not measured</h3>"
        + table(("cores", "times the speed of those here"), reckoned)
        + f"<p>Reckoned {html.escape(basis)}.</p>"
    )


def _candidates_figure(tuned: Tuned) -> "Figure":
    figure, axes = _figure("p99 of a part, ms", "parts a second, whole station")
    for one, tally in tuned.rehearsed.items():
        colour = GOOD if one == tuned.chosen else LINE if one == tuned.default else BAD if one.hint else _GREY
        words = ["chosen" if one == tuned.chosen else "", "default" if one == tuned.default else "", one.hint or ""]
        label = ", ".join(filter(None, words))
        x, y = tally.latency_ms(), tally.parts_per_s
        axes.plot(x, y, "s" if one.hint else "o", color=colour)
        axes.annotate(label, (x, y), textcoords="offset points", xytext=(6, 4), color=colour)
    if max(tally.latency_ms() for tally in tuned.rehearsed.values()) > 0.5 * tuned.station.limit_ms:
        axes.axvline(tuned.station.limit_ms, color=BAD, linestyle="--", label="limit")
        axes.legend(frameon=False)
    axes.margins(x=0.25)
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    return figure


def _scaling_svg(planning: Planning | None) -> str:
    return "" if planning is None or not planning.scaled else svg(_scaling_figure(planning.scaled))


def _scaling_figure(scaled: Sequence[Scaled]) -> "Figure":
    figure, axes = _figure("cores", "parts a second, model alone")
    alone = [one for one in scaled if one.way.processes == 1]
    ways = {
        "a stream for each core": (GOOD, [one for one in alone if one.way.plan.streams == one.way.plan.threads]),
        "one stream of all cores": (BAD, [one for one in alone if one.way.plan.streams == 1]),
        "a process for each core": (LINE, [one for one in scaled if one.way.processes > 1 or one.way.cores == 1]),
    }
    for label, (colour, seen) in ways.items():
        axes.plot([one.way.cores for one in seen], [one.parts_per_s for one in seen], "o-", color=colour, label=label)
    best = best_by_cores(scaled)
    first = next(iter(best))
    ideal = [best[first].parts_per_s * cores / first for cores in best]
    axes.plot(list(best), ideal, ":", color=_GREY, label="as the first core")
    axes.set_xticks(list(best))
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    return figure


def _figure(x: str, y: str) -> "tuple[Figure, Axes]":
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE, layout="constrained")
    axes = figure.add_subplot()
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
