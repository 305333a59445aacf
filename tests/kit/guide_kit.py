"""The install guide as a test follows it: its own shell blocks, in their order."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

GUIDE = Path(__file__).parents[2] / "deploy" / "INSTALL.md"


@dataclass(frozen=True, slots=True)
class Step:
    """One block: what is typed, and on which machines."""

    heading: str
    machines: tuple[str, ...]
    script: str

    @property
    def downloads(self) -> bool:
        """Whether it needs Debian's own packages."""
        return "apt-get" in self.script


def steps() -> Iterator[Step]:
    """Every block that says on which machine it is typed; one marked `both` is typed on each."""
    heading = ""
    for found in re.finditer(
        r"(?ms)^#+ (?P<heading>.+?)$|^```sh (?P<machine>\w+)\n(?P<script>.*?)^```$", GUIDE.read_text()
    ):
        if found["heading"]:
            heading = found["heading"]
        else:
            machines = ("hub", "station") if found["machine"] == "both" else (found["machine"],)
            yield Step(heading, machines, found["script"])
