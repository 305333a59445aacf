"""What was done and what it proves: one page that needs no other file, and the same facts as JSON beside it."""

import html
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from edge.calibrate.frames.refused_section import refused_json, refused_section
from edge.calibrate.pictures import LearnedChecks, checks_section
from edge.calibrate.report.decisions import Decisions, decide, decisions_section
from edge.calibrate.report.examples import examples_section
from edge.calibrate.report.facts import ExtraSection, ReportFacts, Slot
from edge.calibrate.report.identity import files_json, files_section, identity_section
from edge.calibrate.report.precisions import precision_json, precision_section
from edge.calibrate.report.threshold import threshold_json, threshold_section
from models import tradeoff_page
from models.anomaly.bench import Workbench
from models.page import listed, page, section, table
from models.tradeoff import UNKNOWN, TradeOff

PAGE, DATA = "report.html", "report.json"
SCHEMA = "inspectd/calibration-report/1"


def write_report(folder: Path, facts: ReportFacts, bench: Workbench, extra: Sequence[ExtraSection] = ()) -> None:
    """Write `report.html`, plots inline and no scripts or links to elsewhere, and `report.json`.

    Args:
        folder: the bundle in the making; its other files are named with their hashes.
        facts: what was found.
        bench: what the candidates were tried on.
        extra: what other stages tell, each in its slot.
    """
    decisions = decide(facts, [line for one in extra for line in one.unproven])
    title = f"{facts.title}: calibration"
    (folder / DATA).write_text(_json(folder, facts, bench, decisions, extra), encoding="utf-8")
    (folder / PAGE).write_text(page(title, _body(folder, facts, bench, decisions, extra)), encoding="utf-8")


def _body(
    folder: Path, facts: ReportFacts, bench: Workbench, decisions: Decisions, extra: Sequence[ExtraSection]
) -> str:
    def slot(name: Slot) -> str:
        return "".join(section(one.title, one.html) for one in extra if one.slot is name)

    candidate, labelled = facts.chosen.candidate, facts.chosen.labelled
    painted = ("good frames with a painted defect", facts.chosen.defective.scores)
    defective = painted if labelled is None else ("labelled defects", labelled.scores)
    names = [path.name for path in bench.sets.threshold]
    return "".join(
        [
            head(f"Calibration of {facts.title}", facts.identity.made_at.strftime("%d %B %Y")),
            decisions_section(decisions),
            identity_section(facts.identity, _bundle_rows(facts)),
            section("Frames", frames_html(facts)),
            slot(Slot.COLLECT),
            slot(Slot.POSE),
            threshold_section(candidate.proof, names, candidate.scores, defective),
            section("Escapes", tradeoff_page.section(facts.trade)),
            precision_section(facts.choice),
            *(slot(name) for name in (Slot.SPEED, Slot.REPEATABILITY, Slot.MASTERS, Slot.OTHER)),
            examples_section(facts, bench),
            section("Checks of every picture", checks_section(facts.checks)),
            tail(folder, decisions),
        ]
    )


def head(title: str, when: str) -> str:
    """The page's first lines."""
    return f'<h1>{html.escape(title)}</h1><p class="lead">inspectd, {html.escape(when)}</p>'


def tail(folder: Path, decisions: Decisions) -> str:
    """What every page ends with: what was not proven, files, signature. Call before the page itself is written."""
    signature = "".join(f"<div>{what}</div>" for what in ("Name, role", "Signature", "Date"))
    return (
        section("What was not proven", listed(decisions.unproven))
        + files_section(folder)
        + f'<div class="signature">{signature}</div>'
    )


def frames_html(facts: ReportFacts) -> str:
    """What the good frames were used for, which are like no other, and which were refused."""
    odd = [(path.name, "not learned from") for path in facts.choice.left_out]
    odd += [(path.name, "counts for the threshold") for path in facts.choice.doubtful]
    used = table(("use", "frames"), [(name, str(count)) for name, count in facts.split.items()])
    told = table(("looks like no other: is it a good part?", ""), odd) if odd else ""
    refused = refused_section(facts.collected)
    if facts.defects is not None:
        refused += _defects_html(facts)
    return f'<div class="row"><div>{used}{told}</div><div>{refused}</div></div>'


def _defects_html(facts: ReportFacts) -> str:
    if facts.defects is None:
        return ""
    kinds = facts.defects.kinds
    counted = [(kind or "no class named", str(kinds.count(kind))) for kind in dict.fromkeys(kinds)]
    refused = [(refusal.name, refusal.reason) for refusal in facts.defects.refused]
    return table(("labelled defects", "frames"), counted) + (table(("refused", "why"), refused) if refused else "")


def _bundle_rows(facts: ReportFacts) -> list[tuple[str, str]]:
    return [
        ("Bundle", f"{facts.title}, anomaly, {facts.choice.precision}"),
        ("Made from", facts.parent or "good parts alone"),
        ("Digest of the good frames", facts.collected.digest),
    ]


def _json(
    folder: Path, facts: ReportFacts, bench: Workbench, decisions: Decisions, extra: Iterable[ExtraSection]
) -> str:
    candidate = facts.chosen.candidate
    names = [path.name for path in bench.sets.threshold]
    plain = {
        "schema": SCHEMA,
        "bundle": {
            "id": facts.bundle_id,
            "version": facts.version,
            "kind": "anomaly",
            "precision": str(facts.choice.precision),
            "parent": facts.parent,
            "dataset_sha256": facts.collected.digest,
        },
        **facts.identity.as_json(),
        "decisions": decisions.as_json(),
        "frames": _frames_json(facts),
        "threshold": threshold_json(candidate.proof, names, candidate.scores),
        "escapes": escapes_json(facts.trade),
        "precisions": precision_json(facts.choice),
        "checks": checks_json(facts.checks),
        "sections": [{"slot": str(one.slot), "title": one.title, "facts": one.json} for one in extra],
        "files": files_json(folder),
    }
    return json.dumps(plain, indent=1) + "\n"


def escapes_json(trade: TradeOff | None) -> dict[str, object]:
    """Labelled defects, plain."""
    return {"known": False, "claim": UNKNOWN} if trade is None else {"known": True, **trade.as_json()}


def checks_json(checks: LearnedChecks | None) -> dict[str, object] | None:
    """The camera's checks, plain."""
    return None if checks is None else checks.as_json()


def _frames_json(facts: ReportFacts) -> dict[str, object]:
    return {
        "used": facts.split,
        "refused": {refusal.name: refusal.reason for refusal in facts.collected.refused},
        "collected": refused_json(facts.collected),
        "left_out": [path.name for path in facts.choice.left_out],
        "doubtful": [path.name for path in facts.choice.doubtful],
        "fast": facts.fast,
    }
