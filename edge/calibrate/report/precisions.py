"""The section on precisions: what was tried, what the gate said of each, and how fast each is here."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from edge.calibrate.report.threshold import limits, plain_score
from models.anomaly.bench import Choice, Trial
from models.detections import FloatArray
from models.evaluate import plain
from models.gate import GateResult, Outcome
from models.page import BAD, GOOD, LINE, figure, note, section, svg, table
from models.spec import Precision

_AS_VECTORS = 1500
_INCH = 3.6


def precision_section(choice: Choice) -> str:
    """As HTML."""
    rows = [_row(choice, precision) for precision in choice.trials]
    head = ("tried", "ms per frame", "times FP32", "overkill proven", "gate")
    reasons = [(f"{precision}", f"{gate.outcome}: {gate.reason}") for precision, gate in choice.gates.items()]
    judged = "labelled defects" if choice.labelled else "defects painted on good frames"
    plots = figure(svg(scatter_plot(choice)), f"Scores on the same frames; {judged}. Off the line the two differ.")
    speed = figure(svg(speed_plot(choice)), "Milliseconds per frame, one request at a time: shorter is better.")
    return section(
        "INT8 and BF16 against FP32",
        f"""{note(_said(choice), good=choice.gate.outcome is Outcome.PASSED)}{table(head, rows)}
<p>The gate judges by {judged} and by {len(choice.chosen.good.scores)} good frames of no other use. The fastest
precision that it lets through runs; INT8 does unless another is faster by more than a twentieth.</p>
{table(("gate", ""), reasons)}{_figures(choice)}<div class="row">{plots}{speed}</div>""",
    )


def precision_json(choice: Choice) -> dict[str, object]:
    """The same, plain, with every score behind the plots."""
    return {
        "chosen": str(choice.precision),
        "judged_by_labels": choice.labelled,
        "tried": {str(precision): _plain(choice, precision) for precision in choice.trials},
    }


def scatter_plot(choice: Choice) -> Figure:
    """Each other precision's scores over those of FP32."""
    others = [precision for precision in choice.trials if precision is not Precision.FP32]
    drawn = Figure(figsize=(_INCH * len(others), _INCH + 0.3), layout="constrained")
    for axes, precision in zip(drawn.subplots(1, len(others), squeeze=False)[0], others, strict=True):
        _scatter(axes, choice.trials[Precision.FP32], choice.trials[precision])
        axes.set(xlabel="score, FP32", ylabel=f"score, {precision}")
    return drawn


def speed_plot(choice: Choice) -> Figure:
    """A bar for each precision; what runs is filled."""
    drawn = Figure(figsize=(4.4, 0.6 + 0.45 * len(choice.speed_ms)), layout="constrained")
    axes = drawn.subplots()
    for precision, speed_ms in choice.speed_ms.items():
        runs = precision is choice.precision
        bar = axes.barh(str(precision), speed_ms, color=GOOD if runs else "none", edgecolor=GOOD, height=0.6)
        axes.bar_label(bar, [f"{speed_ms:.2f} ms{', runs' if runs else ''}"], padding=5, fontsize=8)
    axes.set_xlim(0, 1.35 * max(choice.speed_ms.values()))
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)
    return drawn


def _scatter(axes: Axes, fp32: Trial, other: Trial) -> None:
    raster = len(fp32.scores) > _AS_VECTORS
    before, after = fp32.scores, other.scores
    axes.scatter(before.good, after.good, s=10, color=GOOD, label="good", rasterized=raster)
    axes.scatter(before.defective, after.defective, s=12, color=BAD, marker="x", label="defective", rasterized=raster)
    shown = limits(before.good, before.defective, after.good, after.defective)
    axes.plot(shown, shown, color=LINE, linewidth=0.6)
    axes.axhline(0.5, color=LINE, linestyle=":", linewidth=1)
    axes.axvline(0.5, color=LINE, linestyle=":", linewidth=1)
    axes.set(xlim=shown, ylim=shown, aspect="equal")
    axes.legend(frameon=False, fontsize=8)


def _row(choice: Choice, precision: Precision) -> tuple[str, ...]:
    proof, gate = choice.trials[precision].candidate.proof, choice.gates.get(precision)
    speed = choice.speed_ms
    name = f"{precision}, runs" if precision is choice.precision else str(precision)
    said = "what others are compared with" if gate is None else str(gate.outcome)
    ratio = speed[Precision.FP32] / speed[precision]
    return name, f"{speed[precision]:.2f}", f"{ratio:.2f}", f"at most {proof.proven_rate:.2%}", said


def _said(choice: Choice) -> str:
    ran = {
        Outcome.PASSED: "INT8 passed its gate",
        Outcome.NOT_PROVEN: f"INT8's gate is not proven: {choice.gate.images} images are too few",
        Outcome.FAILED: "INT8 failed its gate",
    }[choice.gate.outcome]
    return f"{ran}. {choice.precision} runs."


def _figures(choice: Choice) -> str:
    gate = choice.gate
    rows = [("AUROC lost by INT8", str(gate.drop))]
    if isinstance(gate, GateResult):
        rows += [
            ("AUROC FP32", str(gate.fp32)),
            ("AUROC INT8", str(gate.int8)),
            ("verdicts agree", str(gate.agreement)),
        ]
    return table(("figure", ""), rows)


def _plain(choice: Choice, precision: Precision) -> dict[str, object]:
    trial, gate = choice.trials[precision], choice.gates.get(precision)
    judged = None if gate is None else {"outcome": str(gate.outcome), "reason": gate.reason, "drop": plain(gate.drop)}
    return {
        "ms_per_frame": round(choice.speed_ms[precision], 4),
        "gate": judged,
        "overkill_proven": trial.candidate.proof.proven_rate,
        "held_out_rejected": trial.candidate.proof.rejected,
        "scores_good": _scores(trial.scores.good),
        "scores_defective": _scores(trial.scores.defective),
    }


def _scores(scores: FloatArray) -> list[float | None]:
    return [plain_score(score) for score in np.asarray(scores, np.float32)]
