"""Whether the last check of a product's master parts still counts. Pure: times come in."""

from dataclasses import dataclass
from datetime import datetime

from edge.config_looks import MastersSection
from edge.record.checks import CheckOutcome

_WARNING_S = 15 * 60.0
_CLOCKS_DIFFER_S = 60.0


@dataclass(frozen=True, slots=True)
class Terms:
    """What station.toml asks: a good check since the start and each change of the bundle; one each `every_s`."""

    required: bool = False
    every_s: float | None = None

    @property
    def asked(self) -> bool:
        """Whether the station cannot be ready without a good check."""
        return self.required or self.every_s is not None


@dataclass(frozen=True, slots=True)
class LastCheck:
    """The last check that came to an end.

    Args:
        outcome: passed or failed.
        why: why it failed.
        at: when, by the wall clock.
        at_s: when, by this run's monotonic clock; None where an earlier run made it.
        same_eyes: what looks at parts now is what looked at the masters then: bundle, rules, picture limits, regions.
    """

    outcome: CheckOutcome
    why: str
    at: datetime
    at_s: float | None
    same_eyes: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """How a product stands: a word for it, why the station is not ready if it is not, and seconds until that."""

    word: str
    why: str = ""
    left_s: float | None = None


def terms_of(section: MastersSection) -> Terms:
    """What a product's section asks."""
    return Terms(section.required, None if section.every_h is None else section.every_h * 3600)


def may_check(terms: Terms, *, known: bool, has_masters: bool) -> bool:
    """Whether a check is one: a product that never had master parts has none to fail by, unless they are asked for."""
    return terms.asked or known or has_masters


def standing(product: str, terms: Terms, last: LastCheck | None, now: datetime, now_s: float) -> Standing:
    """How a product stands now.

    A failed check stands until one passes, whatever was changed since. The age of a good one is the greater of what
    either clock says, so that a clock set back makes nothing younger; one from the future does not count.
    """
    ask = "run `edge verify-masters`"
    if last is not None and last.outcome is not CheckOutcome.PASSED:
        return Standing("failed", f"{last.why}: {ask} once it is mended")
    if last is None or not last.same_eyes:
        word = "never" if last is None else "outdated"
        since = "with what looks at its parts now" if last is not None else "yet"
        why = f"product {product!r}: no good check of its master parts {since}: {ask}"
        return Standing(word, why if terms.asked else "")
    if terms.required and last.at_s is None:
        return Standing("outdated", f"product {product!r}: no good check of its master parts since the start: {ask}")
    if terms.every_s is None:
        return Standing("passed")
    return _by_age(product, terms.every_s, _age_s(last, now, now_s))


def _age_s(last: LastCheck, now: datetime, now_s: float) -> float:
    wall_s = (now - last.at).total_seconds()
    if wall_s < -_CLOCKS_DIFFER_S:
        return float("inf") if last.at_s is None else now_s - last.at_s
    return max(wall_s, 0.0 if last.at_s is None else now_s - last.at_s)


def _by_age(product: str, every_s: float, age_s: float) -> Standing:
    left_s = every_s - age_s
    if left_s <= 0:
        why = f"product {product!r}: no good check of its master parts within {every_s / 3600:g} h"
        return Standing("expired", f"{why}: run `edge verify-masters`", 0.0)
    return Standing("due" if left_s <= min(_WARNING_S, every_s / 4) else "passed", left_s=left_s)
