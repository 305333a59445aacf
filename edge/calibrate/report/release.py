"""What was found of a released bundle at this station, on one page that needs no other file."""

import html
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from edge.calibrate.pictures import LearnedChecks, checks_section
from edge.calibrate.release_trial import Trial
from models.bundle import Bundle
from models.detections import FloatArray
from models.page import BAD, GOOD, LINE, page, svg, table

_HIGHEST = 5


def write_release_report(
    path: Path,
    title: str,
    release: Bundle,
    speed_ms: dict[str, float],
    trial: Trial | None,
    checks: LearnedChecks | None,
) -> None:
    """Write the page."""
    gate = release.manifest.gate
    facts = [
        ("Release", f"{release.model_id.id} v{release.model_id.version}"),
        ("Its digest", release.model_id.sha256),
        ("Classes", ", ".join(release.spec.classes)),
        ("Gate", f"{gate.outcome}: {gate.reason}"),
        ("Self-test", "as expected on this machine"),
        *((f"{name}, milliseconds per frame", f"{value:.2f}") for name, value in speed_ms.items()),
    ]
    body = f"<h1>{html.escape(title)}</h1>{table(('', ''), facts)}{_good_parts(trial)}"
    if trial is not None:
        body += f"<h2>Pictures</h2>{checks_section(checks)}"
    path.write_text(page(f"{title}: taken", body), encoding="utf-8")


def _good_parts(trial: Trial | None) -> str:
    if trial is None:
        return '<p class="verdict weak">Overkill was not measured: no frames of good parts were given.</p>'
    highest = np.argsort(-np.nan_to_num(trial.scores, nan=-1.0))[:_HIGHEST]
    rows = [(trial.collected.frames[index].path.name, f"{trial.scores[index]:.3f}") for index in highest]
    refused = [(refusal.name, refusal.reason) for refusal in trial.collected.refused]
    tone = "good" if trial.proof.meets_target else "weak"
    return f"""<h2>Good parts</h2><p class="verdict {tone}">{html.escape(str(trial.proof))}</p>
<p>{trial.rejected} rejected by the recipe, {trial.misaligned} that their reference does not fit. Independent parts are
assumed.</p>{svg(_plot(trial.scores))}
<p>The highest scores. Look at these frames: is every one of them a good part?</p>{table(("frame", "score"), rows)}
{table(("refused", "why"), refused) if refused else "<p>No frame was refused.</p>"}"""


def _plot(scores: FloatArray) -> Figure:
    figure = Figure(figsize=(7.2, 2.8), layout="constrained")
    axes = figure.subplots()
    known = scores[np.isfinite(scores)]
    bins = np.linspace(0, 1, 41).tolist()
    axes.hist(known[known < 0.5], bins, color=GOOD, label="below the bundle's threshold")  # noqa: PLR2004 - that one
    axes.hist(known[known >= 0.5], bins, color=BAD, label="above")  # noqa: PLR2004 - likewise
    axes.axvline(0.5, color=LINE, linestyle=":", linewidth=1)
    axes.set(xlabel="highest score on a good frame", ylabel="frames")
    axes.legend(frameon=False, fontsize=8)
    return figure
