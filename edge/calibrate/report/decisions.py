"""What was decided, what is proven, what is not, and what to do next, in plain words. Pure."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from edge.calibrate.report.facts import ReportFacts
from models.anomaly.bench import Choice
from models.anomaly.more_parts import MoreParts, one_more, tightening
from models.anomaly.threshold import ThresholdProof
from models.gate import PROOF_IMAGES, Outcome
from models.page import listed, note
from models.spec import Precision
from models.tradeoff import ENOUGH_DEFECTS, UNKNOWN, TradeOff

INDEPENDENT = (
    "Independent parts are assumed: frames of one part, or of parts from one bad batch, prove less than their number "
    "says."
)
UNFIT = ", more than half: as it stands not fit for a line"
UNLAID = " That is of parts that can be laid on the reference; the line rejects the others too."
_UNFIT = 0.5
SAME = "Nothing is said of another lighting, camera, lens or kind of part than these frames show."


@dataclass(frozen=True, slots=True)
class Decisions:
    """Sentences.

    Args:
        headline: the whole of it.
        fine: whether nothing that was asked for is unproven.
        runs: what runs, and why.
        proven: what may be claimed.
        unproven: what may not.
        todo: what to do about that.
    """

    headline: str
    fine: bool
    runs: tuple[str, ...]
    proven: tuple[str, ...]
    unproven: tuple[str, ...]
    todo: tuple[str, ...]

    def as_json(self) -> dict[str, object]:
        """Plain values."""
        return asdict(self)


def decide(facts: ReportFacts, extra: Sequence[str] = ()) -> Decisions:
    """Of a calibration.

    Args:
        facts: what it found.
        extra: what other stages could not prove.
    """
    choice, proof = facts.choice, facts.chosen.candidate.proof
    proven: list[str] = []
    unproven: list[str] = []
    undecided = facts.collected.misaligned
    met = proof.meets_target and not undecided and (facts.by_recipe is None or facts.by_recipe.meets_target)
    (proven if met else unproven).append(overkill_said(proof) + (UNLAID if undecided else ""))
    unproven += [] if facts.by_recipe is None else [stricter_said(facts.by_recipe)]
    (proven if choice.gate.outcome is Outcome.PASSED else unproven).append(gate_said(choice))
    known = facts.trade is not None and len(facts.trade.defects) >= ENOUGH_DEFECTS
    (proven if known else unproven).append(escapes_said(facts.trade))
    proven.append("No frame had two uses: learning, quantization, threshold and gate each had their own.")
    unproven += [*(["A fast calibration: from fewer frames, for a first look."] if facts.fast else []), *extra]
    fine = met and choice.gate.outcome is Outcome.PASSED and not facts.against
    headline = f"{choice.precision} runs. {headline_rates(facts.by_recipe or proof, facts.trade)}"
    if undecided:
        headline += f" {undecided} of {undecided + len(facts.collected.frames)} good frames would be UNDECIDED besides."
    return Decisions(
        f"NOT activated: {facts.against} {headline}" if facts.against else headline,
        fine,
        _runs(choice),
        tuple(proven),
        (*unproven, INDEPENDENT, SAME),
        _todo(facts),
    )


def overkill_said(proof: ThresholdProof) -> str:
    """What is known of good parts that are rejected."""
    if proof.meets_target:
        return f"Overkill: {proof}."
    return f"Overkill of {proof.target_rate:.2%} is not proven: {proof}."


def stricter_said(proof: ThresholdProof) -> str:
    """What is known of good parts that a recipe rejects below the model's threshold."""
    return (
        "The recipe's min_score lies below the model's threshold of 0.5, so it rejects more good parts than the "
        f"threshold's proof says; on the gate's good frames: {proof}."
    )


def escapes_said(trade: TradeOff | None) -> str:
    """What is known of defective parts that pass."""
    return UNKNOWN if trade is None else trade.claim


def gate_said(choice: Choice) -> str:
    """The INT8 gate's answer; its figures stand in its own section."""
    judged = f"{choice.gate.images} images"
    return {
        Outcome.PASSED: f"INT8 answers as FP32 does: its gate passed on {judged}.",
        Outcome.NOT_PROVEN: f"That INT8 answers as FP32 does: {judged} are too few, and show nothing against.",
        Outcome.FAILED: f"INT8: it failed its gate on {judged} and does not run.",
    }[choice.gate.outcome]


def more_parts_said(proof: ThresholdProof) -> list[str]:
    """How many more good parts would tighten the overkill rate."""
    said = [f"{one.text}{_frames(one)}" if one.more and not proof.fixed else one.text for one in tightening(proof)]
    if step := one_more(proof):
        said.append(
            f"{step.more} more held-out good parts, {step.parts} in all{_frames(step)}, let one more of them lie above "
            f"the threshold at the same {step.rate:.2%}: it falls, and fewer defects pass"
        )
    return said


def _frames(needed: MoreParts) -> str:
    return f" (about {needed.frames} good frames of different parts)"


def decisions_section(decisions: Decisions) -> str:
    """As HTML."""
    cards = (
        ("What runs", decisions.runs),
        ("What is proven", decisions.proven),
        ("What is NOT proven", decisions.unproven),
        ("What to do next", decisions.todo or ("Nothing: file this page.",)),
    )
    told = "".join(f"<div><h3>{title}</h3>{listed(items)}</div>" for title, items in cards)
    return f'{note(decisions.headline, good=decisions.fine)}<div class="cards">{told}</div>'


def headline_rates(proof: ThresholdProof, trade: TradeOff | None) -> str:
    """Overkill and escapes in one line."""
    met = "met" if proof.meets_target else "NOT proven"
    overkill = f"at most {proof.proven_rate:.1%} proven, {proof.target_rate:.1%} asked: target {met}"
    escapes = "NOT known" if trade is None else f"{trade.escape.value:.1%} of {len(trade.defects)} labelled defects"
    unfit = trade is not None and trade.escape.value > _UNFIT
    return f"Overkill: {overkill}. Escapes: {escapes}{UNFIT if unfit else ''}."


def _runs(choice: Choice) -> tuple[str, ...]:
    speed, own = choice.speed_ms, choice.precision
    ratio = speed[Precision.FP32] / speed[own]
    told = f"{own}: {speed[own]:.2f} ms per frame"
    runs = [f"{told}." if own is Precision.FP32 else f"{told}, {ratio:.1f} times as fast as FP32."]
    if choice.gate.outcome is Outcome.FAILED:
        runs.append(f"INT8 failed its gate: {own} runs instead.")
    elif own is Precision.INT8 and choice.gate.outcome is Outcome.NOT_PROVEN:
        runs.append(f"INT8 is used; its gate is not proven: {choice.gate.images} images are too few.")
    elif own is not Precision.INT8:
        runs.append(f"INT8 may run, and is slower here: {speed[Precision.INT8]:.2f} ms.")
    if Precision.BF16 not in choice.trials:
        runs.append("BF16 was not tried: this CPU does not compute it.")
    return tuple(runs)


def _todo(facts: ReportFacts) -> tuple[str, ...]:
    proof, choice = facts.chosen.candidate.proof, facts.choice
    todo = [] if proof.meets_target else [f"Grab more good parts: {more_parts_said(proof)[0]}."]
    if facts.trade is None or len(facts.trade.defects) < ENOUGH_DEFECTS:
        todo.append(f"Keep every defective part's frame and calibrate again with --defects: {ENOUGH_DEFECTS} or more.")
    elif facts.trade.escape.value and facts.trade.others():
        todo.append(
            "Look at the trade-off: whether escapes cost more than good parts that are rejected is yours to say."
        )
    if odd := [path.name for path in (*choice.left_out, *choice.doubtful)]:
        todo.append(f"Look at frames that are like no other, are they good parts? {', '.join(odd)}.")
    if choice.gate.outcome is Outcome.NOT_PROVEN:
        todo.append(f"A proof of INT8 needs {PROOF_IMAGES} images; a fifth of the good frames goes to it.")
    return tuple(todo)
