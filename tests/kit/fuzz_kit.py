"""What is fed with damaged input, and what it must not do then."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mutator import Mutator


@dataclass
class Target:
    """Something that takes input from outside.

    Args:
        name: for the report.
        samples: good inputs, which are damaged.
        feed: takes one input; says whether it was accepted; raises on anything that must not happen.
        make: the input of a number, where not by the common mutator.
        share: of all inputs, how much it gets beside the others.
    """

    name: str
    samples: Sequence[bytes]
    feed: Callable[[bytes], bool]
    make: Callable[[object, int], bytes] | None = None
    share: float = 1.0
    accepted: int = field(default=0, init=False)
    refused: int = field(default=0, init=False)

    def input(self, seed: object, number: int) -> bytes:
        """The input of this number."""
        if self.make is not None:
            return self.make(seed, number)
        return Mutator(f"{seed}/{self.name}").input(number, self.samples)

    def run(self, seed: object, count: int, say: Callable[[str], None] | None = None) -> None:
        """Feed it so many inputs; a defect is told with what it takes to see it again."""
        started_s = time.monotonic()
        for number in range(count):
            made = self.input(seed, number)
            try:
                accepted = self.feed(made)
            except BaseException as error:
                error.add_note(f"{self.name}: seed {seed!r}, input {number}: {made[:400]!r}")
                raise
            self.accepted += accepted
            self.refused += not accepted
        if say is not None:
            took_s = time.monotonic() - started_s
            say(f"{self.name}: {count} inputs, {self.accepted} accepted, {self.refused} refused, {took_s:.1f} s")
