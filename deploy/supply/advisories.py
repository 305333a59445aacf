"""Known weaknesses in what a lock pins: asked by pip-audit, judged here.

A pin that the advisory service has not answered for is not audited, and says so: pip-audit itself only skips it, and
ends with 0. A finding passes only while `accepted-advisories.toml` names it with a reason and an end date.
"""

import json
import subprocess
import tomllib
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from supply.faults import MisuseError, RefusedError, UnreachableError
from supply.locks import Pin

ACCEPTED = Path(__file__).parent / "accepted-advisories.toml"
_ASKED = ["--disable-pip", "--require-hashes", "--progress-spinner", "off", "--format", "json"]
_TIMEOUT_S = 600
_SHOWN = 400


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """A known weakness of a pinned distribution; `fixed` are the versions without it."""

    package: str
    version: str
    ids: tuple[str, ...]
    fixed: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.package} {self.version}: {self.ids[0]}, fixed in {', '.join(self.fixed) or 'no version yet'}"


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Somebody has read a finding: why it does no harm here, and until when that holds."""

    package: str
    id: str
    reason: str
    until: date


@dataclass(frozen=True, slots=True)
class Answer:
    """What the service knew: the findings, and the pins that it did not answer for."""

    findings: tuple[Finding, ...]
    unanswered: tuple[str, ...]


def ask(pip_audit: Path, lock: Path, pins: tuple[Pin, ...], options: list[str]) -> Answer:
    """Ask about every pin of a lock. Raises UnreachableError where there is no answer."""
    command = [str(pip_audit), *_ASKED, *options, "--requirement", str(lock)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired) as fault:
        raise UnreachableError(f"not audited: {fault}") from fault
    if not done.stdout.lstrip().startswith("{"):
        raise UnreachableError(f"not audited: pip-audit ended with {done.returncode}: {done.stderr.strip()[-_SHOWN:]}")
    return read_answer(done.stdout, pins)


def read_answer(text: str, pins: tuple[Pin, ...]) -> Answer:
    """Take pip-audit's JSON apart; a pin that it does not speak of is unanswered too."""
    listed = {str(each["name"]).lower(): each for each in json.loads(text)["dependencies"]}
    answered = {name: each for name, each in listed.items() if "vulns" in each}
    findings = [
        Finding(name, each["version"], (one["id"], *one.get("aliases", ())), tuple(one.get("fix_versions", ())))
        for name, each in answered.items()
        for one in each["vulns"]
    ]
    return Answer(tuple(sorted(findings)), tuple(pin.name for pin in pins if pin.name not in answered))


def read_accepted(path: Path) -> tuple[Acceptance, ...]:
    """The findings that somebody accepted. Raises MisuseError for one without package, id, reason and end date."""
    found = tomllib.loads(path.read_text(encoding="utf-8")).get("accepted", [])
    for entry in found:
        if set(entry) != {"package", "id", "reason", "until"} or not str(entry["reason"]).strip():
            raise MisuseError(f"{path}: an acceptance has package, id, reason and until, got {sorted(entry)}")
        if type(entry["until"]) is not date:
            raise MisuseError(f"{path}: {entry['id']}: until is a date like 2027-01-31, got {entry['until']!r}")
    return tuple(Acceptance(**entry) for entry in found)


def judge(answer: Answer, accepted: tuple[Acceptance, ...], today: date) -> None:
    """Let a release pass, or say why not.

    Raises:
        RefusedError: a finding that nobody accepted, or no longer.
        UnreachableError: pins without an answer.
    """
    holds = {(one.package, one.id) for one in accepted if today <= one.until}
    still = [one for one in answer.findings if not any((one.package, known) in holds for known in one.ids)]
    if still:
        raise RefusedError(
            f"known weaknesses: {'; '.join(map(str, still))}: `make lock`, or accept it in {ACCEPTED.name}"
        )
    if answer.unanswered:
        raise UnreachableError(f"not audited: the service did not answer for {', '.join(answer.unanswered)}")
