"""Which licence each distribution has, and whether a release may carry it.

- A licence is an SPDX expression: of the distribution's metadata, or named by hand in `licences.toml` with evidence.
- Free ones pass. Weak copyleft (LGPL, MPL, EPL) passes and is listed: the library is used unmodified, and can be
  replaced. Strong copyleft (GPL, AGPL), and any licence that is on no list, is refused until somebody has read it.
"""

import importlib.metadata
import re
import tomllib
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from supply.faults import MisuseError, RefusedError
from supply.locks import Pin, installed, licence_texts

BY_HAND = Path(__file__).parent / "licences.toml"
_FREE = frozenset(
    {
        "0BSD",
        "Apache-2.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "BSL-1.0",
        "CC0-1.0",
        "HPND",
        "ISC",
        "MIT",
        "MIT-0",
        "MIT-CMU",
    }
    | {"OFL-1.1", "OpenSSL", "PostgreSQL", "PSF-2.0", "Python-2.0", "Unlicense", "Zlib"}
)
_WEAK = re.compile(r"(LGPL-(2\.1|3\.0)|MPL-2\.0|EPL-2\.0)(-only|-or-later)?")
_WEAK_EXCEPTIONS = ("GPL-3.0-or-later WITH GCC-exception-3.1", "GPL-3.0-only WITH GCC-exception-3.1")


class Weight(IntEnum):
    """What a licence asks of who passes a program on, the least first."""

    FREE = 0
    LISTED = 1
    REFUSED = 2


@dataclass(frozen=True, slots=True)
class Licence:
    """A distribution's licence: its SPDX expression, how we know, what it bundles, and the texts that it brings."""

    pin: Pin
    expression: str
    evidence: str
    bundles: tuple[str, ...]
    texts: dict[str, str]

    @property
    def weight(self) -> Weight:
        """What it asks of us."""
        return weigh(self.expression)


def licences(pins: tuple[Pin, ...], by_hand: Path = BY_HAND) -> list[Licence]:
    """The licence of every pin, in their order. Raises RefusedError, naming every one that is not allowed."""
    named = _by_hand(by_hand)
    found = [licence_of(pin, installed(pin), named.get(pin.name, {})) for pin in pins]
    refused = [f"{each.pin.name}: {each.expression or 'unknown'}" for each in found if each.weight is Weight.REFUSED]
    if refused:
        raise RefusedError(
            f"a release carries no such licence: {'; '.join(refused)}: replace it, or name it in {by_hand}"
        )
    return found


def licence_of(pin: Pin, distribution: importlib.metadata.Distribution, named: dict[str, object]) -> Licence:
    """By hand where it is named there, else by its metadata; the expression is empty where neither says one."""
    own = distribution.metadata.get("License-Expression") or ""
    expression, evidence = str(named.get("licence") or own), str(named.get("evidence") or "its metadata")
    bundles = named.get("bundles", ())
    return Licence(pin, expression, evidence, tuple(map(str, bundles)), licence_texts(distribution))  # type: ignore[call-overload]


def weigh(expression: str) -> Weight:
    """The weight of an SPDX expression: of AND the heavier side counts, of OR the lighter; else refused."""
    try:
        plain = canonicalize_license_expression(expression)
    except InvalidLicenseExpression:
        return Weight.REFUSED
    for exception in _WEAK_EXCEPTIONS:
        plain = plain.replace(exception, "LGPL-3.0-or-later")
    words = re.findall(r"\(|\)|[^\s()]+(?: WITH \S+)?", plain)
    return _either(words)


def page(found: list[Licence]) -> str:
    """LICENSES.md: the list, what is weak copyleft, then every text."""
    rows = [f"| {each.pin.name} | {each.pin.version} | {each.expression} | {each.evidence} |" for each in found]
    weak = [f"- {each.pin.name} {each.pin.version}: {each.expression}" for each in found if each.weight]
    bundled = [f"- {each.pin.name}: {'; '.join(each.bundles)}" for each in found if each.bundles]
    texts = [text for each in found for text in _texts(each)]
    head = ["# Licences of what is installed beside inspectd", "", "| name | version | licence | known from |"]
    weak = ["", "## Used unmodified, as libraries that can be replaced", "", *weak]
    bundled = ["", "## What their archives bundle", "", *bundled]
    return "\n".join([*head, "|---|---|---|---|", *rows, *weak, *bundled, "", "## Texts", "", *texts])


def _texts(licence: Licence) -> list[str]:
    name = f"### {licence.pin.name} {licence.pin.version}"
    if not licence.texts:
        return [name, "", f"Its archive holds no text; {licence.expression} by {licence.evidence}.", ""]
    return [part for path, text in licence.texts.items() for part in (f"{name}: {path}", "", _fenced(text), "")]


def _fenced(text: str) -> str:
    return "~~~~~~text\n" + text.rstrip() + "\n~~~~~~"


def _by_hand(path: Path) -> dict[str, dict[str, object]]:
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    for name, entry in content.items():
        if set(entry) - {"licence", "evidence", "bundles"} or not str(entry.get("evidence", "")).strip():
            raise MisuseError(f"{path}: {name} needs licence and evidence (and bundles, a list), got {sorted(entry)}")
    return content


def _either(words: list[str]) -> Weight:
    weight = _both(words)
    while words and words[0] == "OR":
        words.pop(0)
        weight = min(weight, _both(words))
    return weight


def _both(words: list[str]) -> Weight:
    weight = _one(words)
    while words and words[0] == "AND":
        words.pop(0)
        weight = max(weight, _one(words))
    return weight


def _one(words: list[str]) -> Weight:
    word = words.pop(0)
    if word == "(":
        weight = _either(words)
        words.pop(0)
        return weight
    if word in _FREE:
        return Weight.FREE
    return Weight.LISTED if _WEAK.fullmatch(word) else Weight.REFUSED
