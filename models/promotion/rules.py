"""The rules of a promotion, each a sentence with its figures. Pure.

What a quality manager wants of a change is that nothing which is caught today is missed tomorrow. So:

- Escapes are counted, not tested: on the same images, in each class and in all, the challenger lets no more defective
  ones pass than the champion, beyond `escapes_rise`. One image more is a no, although it may be chance: a test that
  allows for chance would let a class of ten images lose five. Who cannot live with that sets `escapes_rise`, knowingly.
- Overkill costs money and no customer: its point estimate must keep its limit, and may rise by its own, one image more
  always being chance. The interval is told beside it.
- Boxes are many, and a part with another defect on it is rejected all the same: of them a rise must be proven.
- A change has a price, so it needs a reason: proven better, or fewer mistakes and nothing worse, or a new class.
- With no champion the absolute limits stand alone. Beyond one of them a challenger is taken only where the champion is
  still further beyond it: to refuse would keep the worse one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from scipy.stats import fisher_exact

from models.evaluate import clopper_pearson
from models.evaluation.compare import Paired
from models.manifest import GateRecord
from models.promotion.limits import PromotionLimits
from models.promotion.proof import ClassFigures, ProofFigures, Reason
from models.spec import Precision


@dataclass(frozen=True, slots=True)
class About:
    """What is known of the challenger beside its answers.

    Args:
        precision: its arithmetic.
        gate: what its INT8 gate said.
        learned: held-out images that it learned from; None: not known what it learned from.
        names: the classes that it names; None for a kind that names none.
        wanted: the classes that occur in the hold-out.
        new: those that the champion does not name; empty without a champion, or where it names none.
        broken: broken answers, one a frame.
        twin: the champion is this very bundle.
    """

    precision: Precision
    gate: GateRecord
    learned: tuple[str, ...] | None
    names: tuple[str, ...] | None
    wanted: tuple[str, ...]
    new: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    twin: bool = False


def reasons(about: About, found: ProofFigures, limits: PromotionLimits) -> tuple[Reason, ...]:
    """Every rule, met or not."""
    return (
        _sound(about),
        _int8(about),
        _unseen(about),
        _enough(found, limits),
        *_names(about, found, limits),
        *_escapes(found, limits),
        *_classes(found, limits),
        *_overkill(found, limits),
        *_worth(about, found, limits),
    )


def unfit(why: str) -> tuple[Reason, ...]:
    """Of a challenger that cannot even be asked."""
    return (Reason("sound", met=False, text=f"the challenger cannot be used: {why}"),)


def _sound(about: About) -> Reason:
    if about.broken:
        text = f"{len(about.broken)} answers are broken, the first of {about.broken[0]}"
        return Reason("sound", met=False, text=text)
    return Reason("sound", met=True, text="every file verified, self-test passed, no answer broken")


def _int8(about: About) -> Reason:
    gate, runs = about.gate, about.precision
    met = runs is not Precision.INT8 or gate.outcome in {"passed", "not proven"}
    return Reason("INT8 gate", met, f"it runs in {runs.value}; its gate says {gate.outcome}: {gate.reason}")


def _unseen(about: About) -> Reason:
    if about.learned is None:
        text = "it is not known what the challenger learned from: its dataset's digest is not that of this data"
        return Reason("hold-out unseen", met=False, text=text)
    if about.learned:
        text = f"the challenger learned from {len(about.learned)} held-out images, such as {about.learned[0]}"
        return Reason("hold-out unseen", met=False, text=text)
    text = "its dataset's digest is that of this data, and it learned from no held-out image"
    return Reason("hold-out unseen", met=True, text=text)


def _enough(found: ProofFigures, limits: PromotionLimits) -> Reason:
    met = found.bad >= limits.least_bad and found.good >= limits.least_good
    text = f"{found.bad} defective and {found.good} good images, asked are {limits.least_bad} and {limits.least_good}"
    return Reason("enough images", met, text)


def _names(about: About, found: ProofFigures, limits: PromotionLimits) -> Iterator[Reason]:
    if about.names is None:
        return
    unknown = sorted(set(about.wanted) - set(about.names))
    text = f"it does not know {', '.join(unknown)}" if unknown else f"it knows {', '.join(about.wanted)}"
    yield Reason("classes", not unknown, text)
    if found.named is not None:
        met = found.named.value >= limits.named_least
        text = f"it names the right class on {found.named} of what it rejects, asked {limits.named_least:.0%}"
        yield Reason("names", met, text)


def _escapes(found: ProofFigures, limits: PromotionLimits) -> Iterator[Reason]:
    if not found.bad:
        return
    rate = clopper_pearson(found.escapes, found.bad)
    text = f"{found.escapes} of {found.bad} defective images pass: {rate}"
    yield _limited("escapes", text, rate.value, limits.escapes_most, (found.escapes, found.champion_escapes))
    if found.champion_escapes is None:
        return
    rise = found.escapes - found.champion_escapes
    text = f"{found.escapes} escapes, the champion has {found.champion_escapes}, so {rise:+d}; "
    text += f"{found.paired_escapes}; allowed {limits.escapes_rise:+d}"
    yield Reason("escapes do not rise", rise <= limits.escapes_rise, text)


def _limited(rule: str, text: str, share: float, most: float, counts: tuple[int, int | None]) -> Reason:
    """In its limit, or better than a champion that is itself beyond it: to refuse that would keep the worse one."""
    mine, before = counts
    if share > most and before is not None and mine < before:
        text = f"{text}, beyond its limit of {most:.1%}, and the champion has {before}, which is worse"
        return Reason(rule, met=True, text=text)
    return Reason(rule, share <= most, f"{text}, at most {most:.1%}")


def _classes(found: ProofFigures, limits: PromotionLimits) -> Iterator[Reason]:
    for name, own in found.by_class.items():
        met = own.rise <= limits.escapes_rise and _bearable(own, limits)
        yield Reason(f"escapes of {name}", met, _said_of(own, "images", limits.least_of_class))
    for name, own in found.boxes_by_class.items():
        met = _bearable(own, limits) and not _proven_rise(own, limits.alpha)
        yield Reason(f"boxes of {name}", met, _said_of(own, "boxes", limits.least_of_class))


def _bearable(own: ClassFigures, limits: PromotionLimits) -> bool:
    """No class is as good as forgotten, unless the champion is no better; of too few that is not asked."""
    before = own.champion_passed or 0
    return own.count < limits.least_of_class or own.challenger_passed <= max(
        limits.class_escapes_most * own.count, before
    )


def _proven_rise(own: ClassFigures, alpha: float) -> bool:
    if own.champion_passed is None or own.rise <= 0:
        return False
    table = [
        [own.challenger_passed, own.count - own.challenger_passed],
        [own.champion_passed, own.count - own.champion_passed],
    ]
    return bool(fisher_exact(table, "greater").pvalue < alpha)


def _said_of(own: ClassFigures, what: str, least: int) -> str:
    text = (
        f"{own.challenger_passed} of {own.count} {what} are missed: {clopper_pearson(own.challenger_passed, own.count)}"
    )
    if own.champion_passed is not None:
        text += f"; the champion misses {own.champion_passed}, so {own.rise:+d}"
    return text if own.count >= least else f"{text}; so few say little"


def _overkill(found: ProofFigures, limits: PromotionLimits) -> Iterator[Reason]:
    if not found.good:
        return
    rate = clopper_pearson(found.overkill, found.good)
    text = f"{found.overkill} of {found.good} good images are rejected: {rate}"
    yield _limited("overkill", text, rate.value, limits.overkill_most, (found.overkill, found.champion_overkill))
    if found.champion_overkill is None:
        return
    rise, allowed = found.overkill - found.champion_overkill, max(1, int(limits.overkill_rise_most * found.good))
    text = f"{found.overkill} rejected, the champion rejects {found.champion_overkill}, so {rise:+d}; "
    yield Reason("overkill rises little", rise <= allowed, f"{text}{found.paired_overkill}; allowed {allowed:+d}")


def _worth(about: About, found: ProofFigures, limits: PromotionLimits) -> Iterator[Reason]:
    """Nothing proven worse, and a reason to change; nothing is asked of a first model."""
    if found.champion_escapes is None or found.champion_overkill is None:
        return
    pairs = {"escapes": found.paired_escapes, "overkill": found.paired_overkill}
    worse = [name for name, pair in pairs.items() if _proven(pair, limits.alpha) < 0]
    text = (
        f"McNemar's test at {limits.alpha:g} proves it worse in {', '.join(worse)}"
        if worse
        else "no measure is proven worse"
    )
    yield Reason("not worse", not worse, text)
    why = _why_change(about, found, pairs, limits.alpha)
    yield Reason(
        "reason to change", bool(why), why or "it makes as many mistakes, and knows no new class: keep the champion"
    )


def _why_change(about: About, found: ProofFigures, pairs: Mapping[str, Paired | None], alpha: float) -> str:
    if about.twin:
        return ""
    if better := [name for name, pair in pairs.items() if _proven(pair, alpha) > 0]:
        return f"proven better in {', '.join(better)}: " + "; ".join(f"{name}: {pairs[name]}" for name in better)
    before = (found.champion_escapes or 0) + (found.champion_overkill or 0)
    now = found.escapes + found.overkill
    if now < before:
        return f"{now} mistakes in place of {before}; that is fewer, and not proven"
    return f"it knows {', '.join(about.new)}, which the champion does not name" if about.new else ""


def _proven(pair: Paired | None, alpha: float) -> int:
    """1: the challenger is proven better, -1: worse, 0: neither."""
    if pair is None or pair.p_value >= alpha or pair.only_champion == pair.only_challenger:
        return 0
    return 1 if pair.only_champion > pair.only_challenger else -1
