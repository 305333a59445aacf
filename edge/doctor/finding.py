"""What a check found, in words; each fault has an id that stays, and `faults.toml` says what it means and mends it."""

import functools
import tomllib
from dataclasses import dataclass
from importlib import resources
from typing import Literal

State = Literal["ok", "note", "bad"]


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a fault is, whoever has it.

    Args:
        state: `bad`: a station cannot run, or not safely; `note`: something is optional, weaker or soon to be wrong.
        means: what it does to a station.
        mend: the command or step that mends it; names in braces are filled in where it is found.
    """

    state: State
    means: str
    mend: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at.

    Args:
        id: `room.fault`, or `room.name` where all is well; it stays from version to version.
        name: of the thing, for people.
        state: as in `Meaning`, or `ok`.
        found: what was seen, with figures.
        mend: what to do; empty where all is well.
    """

    id: str
    name: str
    state: State
    found: str
    mend: str = ""

    @property
    def room(self) -> str:
        """Where in the house it stands, such as `disk`."""
        return self.id.partition(".")[0]


def ok(room: str, name: str, found: str) -> Finding:
    """All is well with it."""
    return Finding(f"{room}.{name.partition(' ')[0].lower()}", name, "ok", found)


def fault(fault_id: str, name: str, found: str, **words: object) -> Finding:
    """Something is wrong with it, or could be better.

    Args:
        fault_id: one that `faults.toml` knows.
        name: of the thing.
        found: what was seen.
        words: fill the braces of the way to mend it.
    """
    meaning = meanings()[fault_id]
    return Finding(fault_id, name, meaning.state, found, meaning.mend.format(**words))


@functools.cache
def meanings() -> dict[str, Meaning]:
    """Every fault that the doctor knows, by id, in the order of the rooms."""
    text = resources.files("edge.doctor").joinpath("faults.toml").read_text(encoding="utf-8")
    content = tomllib.loads(text)
    return {f"{room}.{name}": Meaning(**entry) for room, faults in content.items() for name, entry in faults.items()}
