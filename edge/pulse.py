"""That a thread goes round, as others see it."""

import time


class Pulse:
    """Beaten by one thread each time round; read by others.

    Args:
        slack_s: how long one round may honestly take: the longest wait inside it.
    """

    def __init__(self, slack_s: float = 0.0) -> None:
        self._slack_s = slack_s
        self._beat_s = 0.0

    def beat(self) -> None:
        """Begin a round."""
        self._beat_s = time.monotonic()

    def late_s(self, now_s: float) -> float:
        """For how long the next round has been due; 0 before the first one."""
        return max(0.0, now_s - self._beat_s - self._slack_s) if self._beat_s else 0.0
