"""What a distribution says that it needs, as far as this product's own does: names, versions, no markers but extras."""

import re
from dataclasses import dataclass

_TEXT = re.compile(r"([A-Za-z0-9._-]+)\s*(?:\[[^]]*\])?\s*\(?([^;)]*)\)?\s*(;.*)?")
_CLAUSE = re.compile(r"(>=|<=|==|!=|>|<|~=)\s*([0-9][^,\s]*)")


@dataclass(frozen=True, slots=True)
class Requirement:
    """A distribution by its normal name, and which of its versions will do, such as `>=2,<3`."""

    name: str
    versions: str

    def __str__(self) -> str:
        return f"{self.name}{self.versions}"


def parse_requirement(text: str) -> Requirement | None:
    """One line of Requires-Dist; None where it is an extra's, or for another system (a marker)."""
    match = _TEXT.fullmatch(text.strip())
    if match is None or match[3]:
        return None
    return Requirement(re.sub(r"[._-]+", "-", match[1]).lower(), match[2].replace(" ", ""))


def fits(version: str, versions: str) -> bool:
    """Whether a version is one of those; suffixes such as `rc1` or `+cpu` do not count."""
    return all(_holds(_numbers(version), sign, _numbers(bound)) for sign, bound in _CLAUSE.findall(versions))


def _holds(version: tuple[int, ...], sign: str, bound: tuple[int, ...]) -> bool:
    width = max(len(version), len(bound))
    here, there = (numbers + (0,) * (width - len(numbers)) for numbers in (version, bound))
    if sign == "~=":
        return here >= there and here[: len(bound) - 1] == there[: len(bound) - 1]
    signs = {
        ">=": here >= there,
        "<=": here <= there,
        "==": here == there,
        "!=": here != there,
        ">": here > there,
        "<": here < there,
    }
    return signs[sign]


def _numbers(version: str) -> tuple[int, ...]:
    match = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(each) for each in match[0].split(".")) if match else ()
