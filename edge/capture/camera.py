"""What every camera driver offers, and nothing more."""

from dataclasses import dataclass
from typing import Protocol

from edge.domain.frame import Image


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """One image as a driver hands it over; the drain thread makes a frame of it.

    Args:
        image: (H, W, 3) uint8 BGR, given away: the driver never writes to it again.
        source: the file a replayed image comes from; empty for a live camera.
        trigger_number: which trigger it answers, where the camera can say; else None.
        held_s: how long it is known to have been held up on its way, seconds; its frame counts as that much older.
    """

    image: Image
    source: str = ""
    trigger_number: int | None = None
    held_s: float = 0.0


class Camera(Protocol):
    """A source of images, driven by exactly one drain thread; only `trigger` may come from another."""

    def open(self) -> None:
        """Connect; may be called again after `close`. Raises CameraError."""
        ...

    def trigger(self, number: int) -> None:
        """Ask for one image, or expect it where the line fires; numbers count up from 1. Free-running: nothing."""
        ...

    def read(self, timeout_s: float) -> Shot | None:
        """The next image, or None when none came in time. Raises CameraError when the camera is gone."""
        ...

    def close(self) -> None:
        """Let go of the camera; never raises."""
        ...
