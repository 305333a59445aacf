"""What was found of a released bundle at this station, on one page that needs no other file, and as JSON beside it."""

import html
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from edge.calibrate.frames.refused_section import refused_section
from edge.calibrate.pictures import LearnedChecks, checks_section
from edge.calibrate.releases.requantize import Offer
from edge.calibrate.releases.trial import Trial
from edge.calibrate.report.decisions import (
    INDEPENDENT,
    SAME,
    Decisions,
    decisions_section,
    escapes_said,
    headline_rates,
    more_parts_said,
    overkill_said,
)
from edge.calibrate.report.identity import Identity, files_json, identity_section
from edge.calibrate.report.page import checks_json, escapes_json, head, tail
from edge.calibrate.report.threshold import threshold_json, threshold_section
from edge.calibrate.trials import NOTHING, Found
from models import tradeoff_page
from models.bundle import Bundle
from models.page import note, page, section, table
from models.tradeoff import ENOUGH_DEFECTS

REPORT, DATA = "station.html", "station.json"
SCHEMA = "inspectd/release-report/1"
NO_GOOD_PARTS = "Overkill was not measured: no frames of good parts were given."


@dataclass(frozen=True, slots=True, eq=False)
class ReleaseFacts:
    """What the page tells.

    Args:
        identity: what the figures belong to.
        release: as it came.
        offer: what is taken: the same, or the same in INT8.
        speed_ms: milliseconds per frame, by precision.
        trial: what the station's frames showed; None without any.
        checks: the camera's, if they were learned.
        tried: what else it was put through, and why it does not become active.
    """

    identity: Identity
    release: Bundle
    offer: Offer
    speed_ms: dict[str, float]
    trial: Trial | None
    checks: LearnedChecks | None
    tried: Found = NOTHING


def write_release_report(folder: Path, title: str, facts: ReleaseFacts) -> None:
    """Write `station.html` and `station.json` into the bundle in the making; its other files are named."""
    decisions = decide_release(facts)
    (folder / DATA).write_text(_json(folder, facts, decisions), encoding="utf-8")
    body = "".join(
        [
            head(f"Release taken as {title}", facts.identity.made_at.strftime("%d %B %Y")),
            decisions_section(decisions),
            identity_section(facts.identity, _bundle_rows(title, facts)),
            _good_parts(facts.trial),
            _speed(facts),
            *(section(one.title, one.html) for one in facts.tried.sections),
            section("Checks of every picture", checks_section(facts.checks)) if facts.trial is not None else "",
            tail(folder, decisions),
        ]
    )
    (folder / REPORT).write_text(page(f"{title}: taken", body), encoding="utf-8")


def decide_release(facts: ReleaseFacts) -> Decisions:
    """What was decided and what is proven, in plain words."""
    trial, bundle = facts.trial, facts.offer.bundle
    gate = f"The release's own INT8 gate: {facts.release.manifest.gate.outcome}: {facts.release.manifest.gate.reason}."
    runs = [f"{bundle.precision}: {facts.speed_ms[str(bundle.precision)]:.2f} ms per frame.", gate]
    proven = ["Every file is as it was released; the self-test gives what is expected, on this machine."]
    unproven, todo = [], []
    if trial is None:
        unproven.append(NO_GOOD_PARTS)
        todo.append("Give frames of good parts with --from.")
    else:
        (proven if trial.proof.meets_target else unproven).append(overkill_said(trial.proof))
        known = trial.trade is not None and len(trial.trade.defects) >= ENOUGH_DEFECTS
        (proven if known else unproven).append(escapes_said(trial.trade))
        if not trial.proof.meets_target:
            todo += [f"{line}." for line in more_parts_said(trial.proof)[:1]] + [trial.min_score.text]
    if facts.offer.quantized is not None:
        runs.append(_quantized_said(facts.offer))
        unproven += [] if facts.offer.quantized.gate.outcome == "passed" else ["INT8 at this station is not proven."]
    unproven += [line for one in facts.tried.sections for line in one.unproven]
    fine = trial is not None and trial.proof.meets_target and not facts.tried.against
    return Decisions(
        _headline(facts),
        fine,
        tuple(runs),
        tuple(proven),
        (*unproven, INDEPENDENT, SAME),
        tuple(todo),
    )


def _headline(facts: ReleaseFacts) -> str:
    if facts.tried.against:
        return f"NOT activated: {facts.tried.against}"
    if facts.trial is None:
        return f"Taken. {NO_GOOD_PARTS}"
    return f"Taken, {facts.offer.bundle.precision}. {headline_rates(facts.trial.proof, facts.trial.trade)}"


def _bundle_rows(title: str, facts: ReleaseFacts) -> list[tuple[str, str]]:
    release = facts.release
    return [
        ("Bundle", f"{title}, {release.spec.kind}, {facts.offer.bundle.precision}"),
        ("Release", f"{release.model_id.id} v{release.model_id.version}, {release.precision}"),
        ("Its digest", release.model_id.sha256),
        ("Its data's digest", release.manifest.dataset_sha256),
        ("Classes", ", ".join(release.spec.classes)),
    ]


def _good_parts(trial: Trial | None) -> str:
    if trial is None:
        return section("Good parts", note(NO_GOOD_PARTS, good=False))
    counted = (
        f"<p>{trial.rejected} rejected by the recipe, {trial.misaligned} that their reference does not fit, of "
        f"{len(trial.names)}.</p>"
    )
    bad = None if trial.trade is None else ("labelled defects", trial.trade.defects.scores)
    advice = f"<p>{html.escape(trial.min_score.text)}</p>{_cost(trial)}"
    return (
        section("Frames", f"{counted}{refused_section(trial.collected)}")
        + threshold_section(trial.proof, trial.names, trial.scores, bad)
        + section("What the recipe could ask", advice)
        + section("Escapes", tradeoff_page.section(trial.trade))
    )


def _cost(trial: Trial) -> str:
    if trial.trade is None or trial.min_score.value is None:
        return ""
    there = trial.trade.at(trial.min_score.value)
    return f"<p>By scores alone {there.escape:.1%} of the labelled defects would pass there.</p>"


def _speed(facts: ReleaseFacts) -> str:
    rows = [(name, f"{value:.2f}") for name, value in facts.speed_ms.items()]
    body = table(("precision", "ms per frame"), rows)
    found = facts.offer.quantized
    if found is not None:
        body = note(_quantized_said(facts.offer), good=not found.against) + body
        body += table(("gate", ""), [(str(found.gate.outcome), found.gate.reason)])
    return section("Speed and precision", body)


def _quantized_said(offer: Offer) -> str:
    if offer.quantized is None:
        return ""
    if offer.quantized.against:
        return f"The released graph stays: {offer.quantized.against}."
    by = "labelled defects" if offer.quantized.labelled else "painted defects"
    return (
        f"INT8, quantized here by {offer.ranges} good frames and judged by {len(offer.quantized.fp32.good)} others and "
        f"{len(offer.quantized.fp32.defective)} {by}: {offer.quantized.gate.outcome}."
    )


def _json(folder: Path, facts: ReleaseFacts, decisions: Decisions) -> str:
    trial, found = facts.trial, facts.offer.quantized
    quantized = None
    if found is not None:
        told = {"used": not found.against, "against": found.against, "outcome": str(found.gate.outcome)}
        quantized = {**told, "reason": found.gate.reason, "ranges": facts.offer.ranges, "labelled": found.labelled}
    plain = {
        "schema": SCHEMA,
        "release": asdict(facts.release.model_id) | {"kind": str(facts.release.spec.kind)},
        "precision": str(facts.offer.bundle.precision),
        **facts.identity.as_json(),
        "decisions": decisions.as_json(),
        "speed_ms": facts.speed_ms,
        "quantized": quantized,
        "threshold": None if trial is None else threshold_json(trial.proof, trial.names, trial.scores),
        "rejected": None if trial is None else trial.rejected,
        "misaligned": None if trial is None else trial.misaligned,
        "min_score": None if trial is None else trial.min_score.as_json(),
        "escapes": None if trial is None else escapes_json(trial.trade),
        "checks": checks_json(facts.checks),
        "sections": [{"slot": str(one.slot), "title": one.title, "facts": one.json} for one in facts.tried.sections],
        "files": files_json(folder),
    }
    return json.dumps(plain, indent=1) + "\n"
