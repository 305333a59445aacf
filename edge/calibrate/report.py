"""What was done and what it proves, on one page that needs no other file."""

import html
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from edge.calibrate.collect import Collected
from edge.calibrate.pictures import LearnedChecks, checks_section
from models.anomaly.bench import Choice, Trial, Workbench
from models.anomaly.statistics import Vectors
from models.gate import GateResult, Outcome
from models.letterbox import Image
from models.networks.anomaly import score_of
from models.page import BAD, GOOD, LINE, page, svg, table
from models.scoring import model_input
from models.spec import Precision

_EXAMPLES = 3
_HIGHEST = 5
_MAP_ALPHA = 0.45


@dataclass(frozen=True, slots=True, eq=False)
class ReportFacts:
    """What the page tells."""

    bundle_id: str
    collected: Collected
    split: dict[str, int]
    choice: Choice
    fast: bool
    checks: LearnedChecks | None = None


def write_report(path: Path, facts: ReportFacts, version: int, bench: Workbench) -> None:
    """Write the page: one HTML file, plots as inline SVG, no scripts, no links to elsewhere."""
    plots = (_held_out_plot(facts.choice), _gate_plot(facts.choice), _maps_plot(facts.choice.chosen, bench))
    path.write_text(_page(facts, version, bench, *(svg(plot) for plot in plots)), encoding="utf-8")


def _held_out_plot(choice: Choice) -> Figure:
    figure = Figure(figsize=(7.2, 3.2), layout="constrained")
    axes = figure.subplots()
    trial = choice.chosen
    held_out = _as_scores(trial)
    bins = np.linspace(*_limits(held_out, trial.scores.defective), 41).tolist()
    axes.hist(held_out, bins, color=GOOD, alpha=0.8, label=f"held-out good parts ({len(held_out)})")
    label = f"good frames with a synthetic defect ({len(trial.scores.defective)})"
    axes.hist(trial.scores.defective, bins, color=BAD, alpha=0.55, label=label)
    _mark_threshold(axes)
    axes.set(xlabel=f"score, {choice.precision}", ylabel="parts")
    axes.legend(frameon=False, fontsize=8)
    return figure


def _gate_plot(choice: Choice) -> Figure:
    figure = Figure(figsize=(4.4, 4.2), layout="constrained")
    axes = figure.subplots()
    fp32, int8 = choice.trials[Precision.FP32].scores, choice.trials[Precision.INT8].scores
    axes.scatter(fp32.good, int8.good, s=12, color=GOOD, label="good")
    axes.scatter(fp32.defective, int8.defective, s=12, color=BAD, marker="x", label="synthetic defect")
    limits = _limits(fp32.good, fp32.defective, int8.good, int8.defective)
    axes.plot(limits, limits, color=LINE, linewidth=0.6)
    axes.axhline(0.5, color=LINE, linestyle=":", linewidth=1)
    _mark_threshold(axes)
    axes.set(xlabel="score, FP32", ylabel="score, INT8", xlim=limits, ylim=limits, aspect="equal")
    axes.legend(frameon=False, fontsize=8)
    return figure


def _maps_plot(trial: Trial, bench: Workbench) -> Figure:
    """The gate's frames with the highest scores: as they are, and with a synthetic defect."""
    figure = Figure(figsize=(7.2, 5.0), layout="constrained")
    grid = figure.subplots(2, _EXAMPLES, squeeze=False)
    defective = bench.defects()
    good = [model_input(path, bench.spec) for path in bench.sets.gate]
    for row, (images, scored) in enumerate(((good, trial.good), (defective, trial.defective))):
        highest = np.argsort(-scored.scores)[:_EXAMPLES]
        for axes, index in zip(grid[row], highest, strict=False):
            title = f"{'good' if row == 0 else 'synthetic defect'}: {scored.scores[index]:.3f}"
            _show(axes, model_input_image(images[index], bench), scored.maps[index], title)
    return figure


def model_input_image(image: Image, bench: Workbench) -> Image:
    """The image as the model sees it, RGB, for showing."""
    return np.ascontiguousarray(model_input(image, bench.spec)[..., ::-1])


def _show(axes: Axes, image: Image, heat: np.ndarray[tuple[int, ...], np.dtype[np.float32]], title: str) -> None:
    height, width = image.shape[:2]
    axes.imshow(image)
    axes.imshow(
        heat,
        cmap="inferno",
        interpolation="bilinear",
        vmin=0.3,
        vmax=0.6,
        alpha=_MAP_ALPHA,
        extent=(0, width, height, 0),
    )
    axes.set_title(title, fontsize=8)
    axes.set_axis_off()


def _mark_threshold(axes: Axes) -> None:
    axes.axvline(0.5, color=LINE, linestyle=":", linewidth=1)


def _limits(*scores: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> tuple[float, float]:
    everything = np.concatenate([*scores, [0.5]])
    return float(everything.min()) - 0.02, float(everything.max()) + 0.02


def _page(facts: ReportFacts, version: int, bench: Workbench, held_out: str, gate: str, maps: str) -> str:
    title = f"{facts.bundle_id} v{version}"
    body = f"""<h1>{html.escape(title)}</h1>
<p class="verdict {_tone(facts)}">{html.escape(_headline(facts))}</p>
<h2>Threshold</h2><p>{html.escape(str(facts.choice.chosen.candidate.proof))}. Independent parts are assumed: frames of
one part, or of parts from one bad batch, prove less.</p>{held_out}
<p>The highest held-out scores set the threshold. Look at these frames: is every one of them a good part?</p>
{_highest_table(facts.choice.chosen, bench)}
<h2>INT8 against FP32</h2><p>{html.escape(facts.choice.gate.outcome)}: {html.escape(facts.choice.gate.reason)}.</p>
<div class="row">{gate}<div>{_precision_table(facts.choice)}</div></div>
<h2>Where it looked</h2><p>The gate's frames with the highest scores; a synthetic defect is painted on the lower ones.
0.5 is the threshold.</p>{maps}
<h2>Pictures</h2>{checks_section(facts.checks)}
<h2>Frames</h2>{_frames_table(facts)}"""
    return page(f"{title}: calibration", body)


def _headline(facts: ReportFacts) -> str:
    choice = facts.choice
    ran = {
        Outcome.PASSED: "INT8 passed its gate",
        Outcome.NOT_PROVEN: f"INT8 is used; its gate is not proven: {choice.gate.images} images are too few",
        Outcome.FAILED: f"INT8 failed its gate: {choice.precision} runs instead",
    }[choice.gate.outcome]
    met = choice.chosen.candidate.proof.meets_target
    return (
        f"{ran}. The overkill target is {'met' if met else 'not proven'}.{' Fast calibration.' if facts.fast else ''}"
    )


def _tone(facts: ReportFacts) -> str:
    good = facts.choice.gate.outcome is Outcome.PASSED and facts.choice.chosen.candidate.proof.meets_target
    return "good" if good else "weak"


def _precision_table(choice: Choice) -> str:
    rows = [
        (str(precision), f"{choice.speed_ms[precision]:.2f}", str(trial.candidate.proof.rejected))
        for precision, trial in choice.trials.items()
    ]
    gate, estimates = choice.gate, [("drop", choice.gate.drop)]
    if isinstance(gate, GateResult):
        estimates += [("AUROC FP32", gate.fp32), ("AUROC INT8", gate.int8), ("verdicts agree", gate.agreement)]
    figures = [(name, str(found), "") for name, found in estimates]
    return table(("", "ms per frame", "held-out rejected"), rows) + table(("synthetic defects", "", ""), figures)


def _highest_table(trial: Trial, bench: Workbench) -> str:
    scores = _as_scores(trial)
    highest = np.argsort(-scores)[:_HIGHEST]
    rows = [(bench.sets.threshold[index].name, f"{scores[index]:.3f}") for index in highest]
    return table(("held-out frame", "score"), rows)


def _as_scores(trial: Trial) -> Vectors:
    """The held-out parts' scores, 0.5 being the threshold."""
    return score_of(trial.candidate.held_out, trial.candidate.proof.value)


def _frames_table(facts: ReportFacts) -> str:
    odd = [(path.name, "not learned from") for path in facts.choice.left_out]
    odd += [(path.name, "counts for the threshold") for path in facts.choice.doubtful]
    used = table(("use", "frames"), [(name, str(count)) for name, count in facts.split.items()])
    refused = [(refusal.name, refusal.reason) for refusal in facts.collected.refused]
    told = table(("looks like no other: is it a good part?", ""), odd) if odd else ""
    return used + told + (table(("refused", "why"), refused) if refused else "<p>No frame was refused.</p>")
