"""A run's proof as its page shows it: rules by their known names, mistakes with their intervals. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from models.evaluate import Estimate, clopper_pearson


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: its key among the words, what it is about beyond that, whether it was met, and what was found."""

    key: str
    about: str
    met: bool
    text: str


@dataclass(frozen=True, slots=True)
class Side:
    """How many of how many, and the share with its interval at 95 %."""

    hits: int
    of: int
    share: Estimate


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of mistake: of the challenger, and of the champion where there was one.

    Args:
        kind: `escapes`, `overkill`, `class`, `boxes`.
        name: the class.
        challenger: its mistakes.
        champion: likewise; None without one.
    """

    kind: str
    name: str
    challenger: Side
    champion: Side | None


@dataclass(frozen=True, slots=True)
class Pair:
    """McNemar's table of one measure."""

    measure: str
    only_champion: int
    only_challenger: int
    both: int
    p_value: float


_RULES = {
    "sound": "sound",
    "INT8 gate": "int8",
    "hold-out unseen": "unseen",
    "enough images": "enough",
    "classes": "classes",
    "names": "names",
    "escapes": "escapes",
    "escapes do not rise": "escapes_rise",
    "overkill": "overkill",
    "overkill rises little": "overkill_rise",
    "not worse": "not_worse",
    "reason to change": "reason",
}
_ABOUT = {"escapes of ": "class_escapes", "boxes of ": "class_boxes"}


def rules(proof: Mapping[str, object]) -> list[Rule]:
    """Every rule of the proof; one of a later version under `other`, by its own name."""
    return [_rule(one) for one in _maps(proof.get("reasons"))]


def rows(proof: Mapping[str, object]) -> list[Row]:
    """Mistakes in all, then class by class."""
    found = _map(proof.get("figures"))
    whole = [
        _row("escapes", "", found.get("bad"), found.get("escapes"), found.get("champion_escapes")),
        _row("overkill", "", found.get("good"), found.get("overkill"), found.get("champion_overkill")),
    ]
    return [row for row in (*whole, *_classes(found)) if row is not None]


def pairs(proof: Mapping[str, object]) -> list[Pair]:
    """The paired tests, where there was a champion."""
    found = _map(proof.get("figures"))
    named = (("escapes", "paired_escapes"), ("overkill", "paired_overkill"))
    return [_pair(measure, _map(found[name])) for measure, name in named if found.get(name)]


def disagreements(proof: Mapping[str, object]) -> int | None:
    """On how many images the two say different things."""
    found = _map(proof.get("figures")).get("disagree")
    return found if isinstance(found, int) else None


def _rule(said: Mapping[str, object]) -> Rule:
    name, met, text = str(said.get("rule")), bool(said.get("met")), str(said.get("text"))
    if name in _RULES:
        return Rule(_RULES[name], "", met, text)
    start = next((start for start in _ABOUT if name.startswith(start)), None)
    return Rule("other", name, met, text) if start is None else Rule(_ABOUT[start], name[len(start) :], met, text)


def _classes(found: Mapping[str, object]) -> Iterator[Row | None]:
    for kind, group in (("class", "by_class"), ("boxes", "boxes_by_class")):
        for name, one in _map(found.get(group)).items():
            own = _map(one)
            yield _row(kind, name, own.get("count"), own.get("challenger_passed"), own.get("champion_passed"))


def _row(kind: str, name: str, of: object, mine: object, other: object) -> Row | None:
    if not isinstance(of, int) or not isinstance(mine, int) or not of:
        return None
    champion = _side(other, of) if isinstance(other, int) else None
    return Row(kind, name, _side(mine, of), champion)


def _side(hits: int, of: int) -> Side:
    return Side(hits, of, clopper_pearson(hits, of))


def _pair(measure: str, said: Mapping[str, object]) -> Pair:
    counts = (said.get(name) for name in ("only_champion", "only_challenger", "both"))
    only_champion, only_challenger, both = (one if isinstance(one, int) else 0 for one in counts)
    p_value = said.get("p_value")
    return Pair(measure, only_champion, only_challenger, both, p_value if isinstance(p_value, float | int) else 1.0)


def _map(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _maps(value: object) -> list[Mapping[str, object]]:
    return [_map(one) for one in value] if isinstance(value, list) else []
