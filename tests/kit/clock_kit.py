"""Processes whose clock of the day can be moved while they run; what they measure times with goes on as ever."""

from pathlib import Path

_LIBRARIES = tuple(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
MISSING = "" if _LIBRARIES else "Debian's libfaketime is not installed"


class MovedClock:
    """A clock of the day that is right until it is moved.

    Args:
        file: where the processes read how far they are off; made here.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._write("+0")

    @property
    def env(self) -> dict[str, str]:
        """What a process needs to go by this clock."""
        return {
            "LD_PRELOAD": str(_LIBRARIES[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_CACHE_DURATION": "1",
        }

    def back(self, days: int) -> None:
        """Within a second it shows what it showed so many days ago."""
        self._write(f"-{days}d")

    def right(self) -> None:
        """Within a second it is right again."""
        self._write("+0")

    def _write(self, offset: str) -> None:
        new = self._file.with_suffix(".new")
        new.write_text(offset + "\n")
        new.replace(self._file)
