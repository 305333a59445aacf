"""What a command says of its progress, read back: see `models.progress.LineProgress`. Pure."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

_MARK = '{"stage"'


@dataclass(frozen=True, slots=True)
class Step:
    """A stage of a command, how far it is, and a few words on how it goes; `total` 0 where that is not known."""

    stage: str
    done: int
    total: int
    note: str = ""

    @property
    def percent(self) -> int:
        """How far, in whole percent."""
        return min(100, 100 * self.done // self.total) if self.total > 0 else 0


def read_steps(text: str) -> tuple[tuple[Step, ...], str]:
    """The stages in their order, those before the last one over, and all else that was said.

    Args:
        text: the command's stderr; a last line that is not whole is left out if it is one of progress.
    """
    steps: list[Step] = []
    words: list[str] = []
    for line in text.splitlines():
        if not line.startswith(_MARK):
            words.append(line)
        elif (step := _parse(line)) is not None:
            _note(steps, step)
    return tuple(steps), "\n".join(words).strip()


def _note(steps: list[Step], step: Step) -> None:
    begins = not steps or (steps[-1].stage, steps[-1].total) != (step.stage, step.total) or step.done < steps[-1].done
    if begins and steps:
        steps[-1] = replace(steps[-1], done=steps[-1].total, note="")
    if begins:
        steps.append(step)
    else:
        steps[-1] = step


def _parse(line: str) -> Step | None:
    try:
        said = json.loads(line)
        return Step(str(said["stage"]), int(said["done"]), int(said["total"]), str(said["note"]))
    except (ValueError, LookupError, TypeError):
        return None


def last_object(text: str) -> dict[str, object]:
    """The JSON object that a command answered last; empty where there is none."""
    lines: Sequence[str] = text.strip().splitlines()
    try:
        found = json.loads(lines[-1]) if lines else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
