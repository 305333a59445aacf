"""Lines of a GPIO chip as an output: a pulse for each verdict, a level for ready."""

import time
from collections.abc import Mapping
from typing import Protocol

from edge.config_outputs import GpioSection
from edge.line.outputs.output import Turn
from edge.line.outputs.pulses import Lines, Pulses
from edge.line.said import Readiness, Told

_IDLE_S = 1.0


class Chip(Protocol):
    """A GPIO chip's lines, by their offsets."""

    def open(self, offsets: tuple[int, ...]) -> None:
        """Take the lines, all of them off. Raises OutputError."""
        ...

    def drive(self, levels: Mapping[int, bool]) -> None:
        """Switch lines on and off, all at once. Raises OutputError."""
        ...

    def close(self) -> None:
        """Give the lines back; never raises."""
        ...


class GpioOutput:
    """Pulses on a chip's lines.

    Args:
        section: which line is what, and how long a pulse is.
        chip: where the lines are.
    """

    def __init__(self, section: GpioSection, chip: Chip) -> None:
        self._section = section
        self._chip = chip
        self._pulses = Pulses(section.pulse_ms / 1000, section.gap_ms / 1000)
        self._driven = Lines()
        self._is_open = False

    def open(self) -> None:
        """Take the lines, all off; see `Output.open`."""
        self._pulses.restart()
        self._driven = Lines()
        self._chip.open(tuple(self._levels(self._driven)))
        self._is_open = True

    def hear(self, said: Told | Readiness) -> None:
        """Begin a pulse, or change ready; see `Output.hear`."""
        now_s = time.monotonic()
        match said:
            case Told(verdict=verdict, in_turn=in_turn):
                self._pulses.tell(verdict, now_s, in_turn=in_turn)
            case Readiness(ready):
                self._pulses.set_ready(ready)
        self._drive(now_s)

    def serve(self, now_s: float) -> Turn:
        """End a pulse that is over; see `Output.serve`."""
        self._drive(now_s)
        wait_s = self._pulses.wait_s(now_s)
        return Turn(_IDLE_S if wait_s is None else wait_s, dropped=self._pulses.overruns)

    def close(self) -> None:
        """Switch every line off and give it back; see `Output.close`."""
        if self._is_open:
            self._is_open = False
            self._chip.close()

    def _drive(self, now_s: float) -> None:
        lines = self._pulses.lines(now_s)
        if lines != self._driven:
            self._chip.drive(self._levels(lines))
            self._driven = lines

    def _levels(self, lines: Lines) -> dict[int, bool]:
        """What is on, by offset; off comes before on where a chip cannot switch at once."""
        section = self._section
        levels = {section.pass_line: lines.pass_on, section.fail_line: lines.fail_on}
        if section.undecided_line is not None:
            levels[section.undecided_line] = lines.undecided_on
        if section.ready_line is not None:
            levels[section.ready_line] = lines.ready_on
        return dict(sorted(levels.items(), key=lambda level: level[1]))
