"""Short commands of the product, run to their end while a page waits."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edge.domain.errors import OutputError
from edge.processes import command
from edge.web.works.steps import last_object

_MOST_S = 120.0


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended: exit code, the JSON object that it answered with, what it said to people."""

    code: int
    answer: Mapping[str, object]
    said: str

    @property
    def fault(self) -> str:
        """What it said went wrong; empty where nothing did."""
        return "" if self.code == 0 else str(self.answer.get("error") or "") or self.said or f"exit code {self.code}"


def ask_edge(words: Sequence[str], by: str, most_s: float = _MOST_S) -> Done:
    """Run `edge` with these words and `--json`.

    Args:
        words: of the command line, after `edge`.
        by: the name of who asked.
        most_s: seconds after which it is ended.

    Raises:
        OutputError: it cannot be started, or did not end.
    """
    try:
        done = subprocess.run(
            [command("edge"), *words, "--json"],
            capture_output=True,
            text=True,
            check=False,
            timeout=most_s,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "LOGNAME": by},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise OutputError(f"`edge {' '.join(words[:2])}` did not end well: {error}: try it in a terminal") from error
    return Done(done.returncode, last_object(done.stdout), done.stderr.strip()[-4000:])
