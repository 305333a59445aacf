"""A GPIO chip through libgpiod 2. The only user of gpiod. No machine of ours has such a chip: untested on hardware."""

import contextlib
from collections.abc import Mapping
from pathlib import Path

import gpiod
from gpiod.line import Direction, Value

from edge.domain.errors import OutputError


class GpioChip:
    """The lines of one chip.

    Args:
        path: the chip's device file.
        active_low: a line that is on is at the low level.
    """

    def __init__(self, path: Path, *, active_low: bool) -> None:
        self._path = path
        self._active_low = active_low
        self._request: gpiod.LineRequest | None = None

    def open(self, offsets: tuple[int, ...]) -> None:
        """Take the lines as outputs, off; see `Chip.open`."""
        settings = gpiod.LineSettings(
            direction=Direction.OUTPUT, active_low=self._active_low, output_value=Value.INACTIVE
        )
        try:
            self._request = gpiod.request_lines(str(self._path), {offsets: settings}, consumer="inspectd")
        except (OSError, ValueError) as error:
            raise OutputError(
                f"GPIO lines {', '.join(map(str, offsets))} of {self._path} cannot be had: {error}: "
                "check the chip, its lines, and that this user may open it (gpiodetect, gpioinfo)"
            ) from error

    def drive(self, levels: Mapping[int, bool]) -> None:
        """Switch lines; see `Chip.drive`."""
        if self._request is None:
            raise OutputError(f"GPIO chip {self._path} is not open")
        values: dict[int | str, Value] = {
            offset: Value.ACTIVE if on else Value.INACTIVE for offset, on in levels.items()
        }
        try:
            self._request.set_values(values)
        except (OSError, ValueError) as error:
            raise OutputError(f"GPIO chip {self._path} does not switch: {error}") from error

    def close(self) -> None:
        """Switch every line off and give it back; see `Chip.close`."""
        request, self._request = self._request, None
        if request is None:
            return
        with contextlib.suppress(OSError, ValueError):
            off: dict[int | str, Value] = dict.fromkeys(request.offsets, Value.INACTIVE)
            request.set_values(off)
        request.release()
