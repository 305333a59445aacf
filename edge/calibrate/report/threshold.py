"""The section on the threshold: what good parts scored, what that proves, and how many more would prove more."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from edge.calibrate.report.decisions import INDEPENDENT, more_parts_said, overkill_said
from models.anomaly.more_parts import one_more, tightening
from models.anomaly.threshold import ThresholdProof
from models.detections import FloatArray
from models.gate import THRESHOLD
from models.page import BAD, GOOD, LINE, figure, listed, note, section, svg, table

_HIGHEST = 5
_BINS = 40
_ROUND = 5


def threshold_section(
    proof: ThresholdProof, names: Sequence[str], scores: FloatArray, defective: tuple[str, FloatArray] | None
) -> str:
    """As HTML.

    Args:
        proof: what the good parts prove.
        names: (N,) of their files.
        scores: (N,) of them; NaN where one could not be judged.
        defective: what the others are, and their scores, for the plot.
    """
    found = proof.interval()
    same = math.isclose(found.high, proof.proven_rate, abs_tol=1e-6)
    upper = f"; its upper end is what {proof.confidence * 100:.3g} % one-sided proves" if same else ""
    sure = f"{found.confidence * 100:.3g} % interval{upper}"
    interval = f"{found.value:.2%} expected, {found.low:.2%} to {found.high:.2%} ({sure})"
    facts = [
        ("Asked", f"at most {proof.target_rate:.2%} of good parts rejected, {proof.confidence:.0%} sure"),
        ("Proven", f"at most {proof.proven_rate:.2%}"),
        ("True overkill rate", interval),
        ("Rests on", f"{proof.held_out} good parts of no other use, {proof.rejected} of them rejected"),
        ("Needed for the target", f"{proof.needed} parts, none rejected"),
    ]
    highest = np.argsort(-np.nan_to_num(scores, nan=-1.0))[:_HIGHEST]
    rows = [(names[index], f"{scores[index]:.3f}") for index in highest]
    plot = figure(svg(histogram(scores, defective)), "Right of the dotted line a part is rejected.")
    body = f"""{note(overkill_said(proof), good=proof.meets_target)}{table(("", ""), facts)}
<h3>How many more good parts would tighten it</h3>{listed(more_parts_said(proof))}<p>{INDEPENDENT}</p>
<div class="row">{plot}<div><p>The highest scores of good parts. Look at these frames: is every one of them a good
part?</p>{table(("good frame", "score"), rows)}</div></div>"""
    return section("Threshold and overkill", body)


def threshold_json(proof: ThresholdProof, names: Sequence[str], scores: FloatArray) -> dict[str, object]:
    """The same, plain."""
    found = proof.interval()
    more = [{"rate": one.rate, "parts": one.parts, "more": one.more, "frames": one.frames} for one in tightening(proof)]
    step = one_more(proof)
    return {
        "target_rate": proof.target_rate,
        "confidence": proof.confidence,
        "proven_rate": proof.proven_rate,
        "meets_target": proof.meets_target,
        "value": proof.value,
        "held_out": proof.held_out,
        "rejected": proof.rejected,
        "needed": proof.needed,
        "interval": {"value": found.value, "low": found.low, "high": found.high, "confidence": found.confidence},
        "more_parts": more,
        "parts_for_a_lower_threshold": None if step is None else step.parts,
        "scores": {name: plain_score(score) for name, score in zip(names, scores, strict=True)},
    }


def plain_score(score: np.float32) -> float | None:
    """A score for JSON; None where a frame could not be judged."""
    return round(float(score), _ROUND) if np.isfinite(score) else None


def histogram(good: FloatArray, defective: tuple[str, FloatArray] | None) -> Figure:
    """Scores by kind; hatched, so that a grey print tells them apart."""
    drawn = Figure(figsize=(6.4, 3.2), layout="constrained")
    axes = drawn.subplots()
    known = [good[np.isfinite(good)]]
    if defective is not None:
        known.append(defective[1][np.isfinite(defective[1])])
    bins = _bins(*limits(*known))
    axes.hist(known[0], bins, color=GOOD, label=f"good parts ({len(good)})")
    if defective is not None:
        axes.hist(known[1], bins, histtype="step", color=BAD, hatch="////", label=f"{defective[0]} ({len(known[1])})")
    axes.axvline(THRESHOLD, color=LINE, linestyle=":", linewidth=1.2)
    axes.set(xlabel="score", ylabel="parts")
    axes.legend(frameon=False, fontsize=8)
    return drawn


def _bins(low: float, high: float) -> list[float]:
    """Edges of which one is the threshold, so that no bar straddles it."""
    step = (high - low) / _BINS
    below, above = (int(np.ceil(abs(THRESHOLD - end) / step)) for end in (low, high))
    return [THRESHOLD + step * index for index in range(-below, above + 1)]


def limits(*scores: FloatArray) -> tuple[float, float]:
    """Of an axis that shows these and the threshold."""
    everything = np.concatenate([*scores, [THRESHOLD]])
    return float(everything.min()) - 0.02, float(everything.max()) + 0.02
