"""The study of repeatability as a section of the report: what it found in words, tables and two plots."""

import html

import numpy as np
from matplotlib.figure import Figure

from edge.calibrate.gauge.disturbances import STEPS, Kind
from edge.calibrate.gauge.repeatability import Repeatability
from edge.calibrate.gauge.study_looks import Agreement
from edge.calibrate.gauge.study_parts import Truth
from models.agreement import Kappa, Rate
from models.page import BAD, GOOD, LINE, svg, table

TITLE = "Repeatability"
_MOST_NAMED = 8
_SHADES = {1: "#9fb6c9", 2: "#5f83a3", 4: "#274b69"}
_WIDTH = 0.26
_NAMES = {Kind.SHIFT: "a shift", Kind.BRIGHTER: "more light", Kind.DARKER: "less light", Kind.NOISE: "noise"}
_NO_REPEATS = "No real repeats were given: made disturbances do not prove how camera, fixture and loading repeat."
_PAINTED = (
    " No labelled defect was given: defects are painted on good parts, plain ones, so figures on them prove nothing of "
    "real defects."
)


def section(study: Repeatability) -> str:
    """HTML with both plots; says what was not studied and what a figure does not mean."""
    made = study.made
    body = [
        f'<p class="verdict {_tone(made)}">{html.escape(headline(study))}</p>',
        f"<p>{html.escape(_what(study))}</p>",
        _figures(made),
        _cautions(made),
        svg(_spread_plot(study)),
        f"<p>{html.escape(_margin(study))}</p>",
        svg(_flips_plot(study)),
        _tolerances(study),
        _unsteady(made),
    ]
    if study.real is not None:
        body += [f"<h3>Real repeats</h3><p>{len(study.real.parts)} parts whose pictures a camera repeated.</p>"]
        body += [_figures(study.real), _cautions(study.real), _unsteady(study.real)]
    else:
        body.append(f"<p>{_NO_REPEATS}</p>")
    return "\n".join(part for part in body if part)


def headline(study: Repeatability) -> str:
    """The study in a sentence."""
    made, worst = study.made, study.worst
    same = f"{made.within.estimate.value:.0%} of {made.within.count} parts got the same verdict at every look"
    kappas = f"kappa between repeats {_kappa(made.between_repeats)}, against the truth {_kappa(made.against_truth)}"
    flips = (
        "no disturbance that was tried changes a verdict" if worst is None else f"{_NAMES[worst]} changes most verdicts"
    )
    return f"{same} ({made.within.word}); {kappas}; {flips}."


def _tone(found: Agreement) -> str:
    against = found.against_truth
    good = found.within.word == "acceptable" and found.between_repeats.word in {"good", "excellent"}
    return "good" if good and (against is None or against.word in {"good", "excellent"}) else "weak"


def _what(study: Repeatability) -> str:
    parts, looks = study.made.parts, len(study.made.parts[0].repeats)
    counts = {truth: sum(part.truth is truth for part in parts) for truth in Truth}
    kinds = ", ".join(f"{count} {truth}" for truth, count in counts.items() if count)
    text = f"{len(parts)} parts ({kinds}), {looks} looks each at what a fixture and a camera usually do; sizes "
    text += f"{study.sizes.origin}."
    if study.synthetic:
        text += _PAINTED
    if study.offered > sum(part.truth is not Truth.SYNTHETIC for part in parts):
        text += f" Drawn by chance from {study.offered}."
    return text + (" The time ran out before all that were drawn had been looked at." if study.cut_short else "")


def _figures(found: Agreement) -> str:
    rows = [
        _rate("same verdict at every look (within appraiser)", found.within, "90 % acceptable, 80 % marginal"),
        _kappa_row("kappa between repeats (Fleiss)", found.between_repeats),
        _kappa_row("kappa against the truth (Cohen)", found.against_truth),
        _rate("right verdict at every look (effectiveness)", found.effectiveness, "90 % acceptable, 80 % marginal"),
        _rate("looks at bad parts that passed them", found.missed, "2 % acceptable, 5 % marginal"),
        _rate("looks at good parts that did not pass them", found.false_alarms, "5 % acceptable, 10 % marginal"),
    ]
    source = (
        "<p>Limits after AIAG, Measurement Systems Analysis, 4th edition (2010); a kappa above 0.75 is good, below "
        "0.40 poor; above 0.9 is called excellent in common use. 95 % intervals: Clopper and Pearson for rates, "
        "parts resampled for kappa; looks at one part are not independent, so the last two are too narrow.</p>"
    )
    return table(("", "found", "interval", "by the usual limits", "limits"), rows) + source


def _rate(name: str, rate: Rate | None, limits: str) -> tuple[str, ...]:
    if rate is None:
        return name, "not measured", "", "no such part", limits
    found = rate.estimate
    return name, f"{found.value:.1%} of {rate.count}", f"{found.low:.1%} to {found.high:.1%}", rate.word, limits


def _kappa_row(name: str, kappa: Kappa | None) -> tuple[str, ...]:
    limits = "above 0.9 excellent, 0.75 good, below 0.4 poor"
    if kappa is None:
        return name, "not measured", "", "needs good and bad parts", limits
    if kappa.value is None:
        return name, "not defined", "", kappa.word, limits
    interval = "" if kappa.interval is None else f"{kappa.interval[0]:.2f} to {kappa.interval[1]:.2f}"
    return name, f"{kappa.value:.3f}", interval, kappa.word, limits


def _cautions(found: Agreement) -> str:
    texts = [
        f"{name}: {kappa.caution}."
        for name, kappa in (
            ("kappa between repeats", found.between_repeats),
            ("kappa against the truth", found.against_truth),
        )
        if kappa is not None and kappa.caution
    ]
    return "".join(f"<p>{html.escape(text)}</p>" for text in texts)


def _margin(study: Repeatability) -> str:
    made = study.made
    if made.deviation is None:
        return "No good part has scores to take a spread from."
    scores = [part.scores.mean() for part in made.parts if part.truth is Truth.GOOD and len(part.scores)]
    distance = study.threshold - float(np.median(scores))
    ratio = (
        f", {distance / made.deviation:.1f} of which fit between the middle good part and the threshold"
        if made.deviation
        else ""
    )
    return (
        f"A good part's score repeats with a standard deviation of {made.deviation:.4f}{ratio}. {made.near} of "
        f"{made.good} good parts lie within three of them of the threshold, {study.threshold:g}."
    )


def _tolerances(study: Repeatability) -> str:
    rows = []
    for kind in Kind:
        last, first = study.tolerable(kind)
        found = ", ".join(f"{each.size}: {each.flipped}" for each in study.flips if each.kind is kind)
        until = "none of those tried" if last is None else f"up to {last.size}"
        rows.append((kind.value, found, until, "not reached" if first is None else first.size))
    head = (
        "disturbance",
        f"parts of {len(study.made.parts)} with another verdict",
        "tolerable",
        f"above {study.limits.flips:.0%} from",
    )
    return table(head, rows)


def _unsteady(found: Agreement) -> str:
    unsteady = [part for part in found.parts if not part.steady]
    rows = [
        (part.name, part.truth.value, ", ".join(look.verdict.value for look in part.repeats), _span(part.scores))
        for part in unsteady[:_MOST_NAMED]
    ]
    more = f"<p>And {len(unsteady) - _MOST_NAMED} more.</p>" if len(unsteady) > _MOST_NAMED else ""
    return table(("part whose verdict changed", "it is", "verdicts", "scores"), rows) + more if rows else ""


def _span(scores: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]") -> str:
    return f"{scores.min():.3f} to {scores.max():.3f}" if len(scores) else ""


def _kappa(kappa: Kappa | None) -> str:
    if kappa is None:
        return "not measured"
    return "not defined" if kappa.value is None else f"{kappa.value:.2f} ({kappa.word})"


def _spread_plot(study: Repeatability) -> Figure:
    """Each part's scores over its repeats, beside the threshold, in the order of their middles."""
    figure = Figure(figsize=(7.2, 3.0), layout="constrained")
    axes = figure.subplots()
    parts = sorted(
        (part for part in study.made.parts if len(part.scores)), key=lambda part: float(np.median(part.scores))
    )
    for truths, color, label in (
        ((Truth.GOOD,), GOOD, "good"),
        ((Truth.DEFECT, Truth.SYNTHETIC), BAD, _bad_label(study)),
    ):
        places = [place for place, part in enumerate(parts) if part.truth in truths]
        chosen = [parts[place].scores for place in places]
        axes.vlines(
            places,
            [each.min() for each in chosen],
            [each.max() for each in chosen],
            color=color,
            linewidth=3,
            alpha=0.5,
        )
        axes.plot(places, [float(np.median(each)) for each in chosen], "o", color=color, markersize=3.5, label=label)
    axes.axhline(study.threshold, color=LINE, linestyle=":", linewidth=1)
    axes.annotate("threshold", (0, study.threshold), xytext=(0, 3), textcoords="offset points", fontsize=8)
    axes.set(xlabel="part, lowest score first", ylabel="score: least, middle, greatest")
    axes.set_xlim(-1, len(parts))
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(0, 0.92))
    return figure


def _bad_label(study: Repeatability) -> str:
    return "synthetic defect" if study.synthetic else "labelled defect"


def _flips_plot(study: Repeatability) -> Figure:
    """The share of parts whose verdict each disturbance changes, by step, with its interval."""
    figure = Figure(figsize=(7.2, 2.8), layout="constrained")
    axes = figure.subplots()
    for number, step in enumerate(STEPS):
        chosen = [each for each in study.flips if each.step == step]
        places = np.arange(len(chosen)) + (number - 1) * _WIDTH
        shares = np.array([each.share.value for each in chosen])
        reach = np.array([(each.share.value - each.share.low, each.share.high - each.share.value) for each in chosen]).T
        axes.bar(places, shares * 100, _WIDTH * 0.9, color=_SHADES[step], label=f"step {step}")
        axes.errorbar(
            places, shares * 100, np.maximum(reach, 0) * 100, fmt="none", ecolor=LINE, elinewidth=0.8, capsize=2
        )
        for place, each in zip(places, chosen, strict=True):
            axes.annotate(
                each.size.replace(" grey levels", ""),
                (place, each.share.high * 100),
                xytext=(0, 2),
                textcoords="offset points",
                ha="center",
                fontsize=7,
            )
    axes.axhline(study.limits.flips * 100, color=BAD, linestyle=":", linewidth=1)
    names = {Kind.NOISE: "noise (grey levels)"}
    axes.set_xticks(range(len(Kind)), [names.get(kind, kind.value) for kind in Kind])
    axes.set(ylabel="% of parts with\nanother verdict", ylim=(0, None))
    axes.margins(y=0.15)
    return figure
