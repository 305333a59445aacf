"""Looking at a camera without taking frames from the parts: the newest frame wins, the ones nobody saw are counted."""

from edge.capture.drain import Drain
from edge.domain.frame import Frame


class Latest:
    """One viewer's look at a camera; any number may look beside the parts.

    Args:
        drain: the camera's; started by whoever owns it.
    """

    def __init__(self, drain: Drain) -> None:
        self.seen = 0
        self.dropped = 0
        self._drain = drain
        self._seq = drain.counters.received

    def take(self, until_s: float) -> Frame:
        """The newest frame this viewer has not seen, waiting for one until `until_s` (monotonic).

        Raises:
            CameraError: none came in time, or the camera is lost.
        """
        frame = self._drain.newest(self._seq, until_s)
        self.dropped += frame.seq - self._seq - 1
        self.seen += 1
        self._seq = frame.seq
        return frame
