"""The collector as its service manager sees it: its loop goes round, and whether the broker is there.

A database or a broker that is away is waited for, by a loop that goes round: restarting would help neither. A commit or
a desk that never comes back starves the watchdog: the collector keeps nothing, so killing it costs some seconds.
"""

from cloud_sync.wire.supervisor import Feed, Supervisor, status_word


class CollectorSupervision:
    """Told of every round by the collector's thread alone.

    Args:
        supervisor: who started us.
    """

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._feed = Feed(supervisor)
        self._said = ""

    def round(self, *, connected: bool) -> None:
        """The loop goes round; the first time it is up."""
        status = status_word("collecting" if connected else "the broker is waited for")
        if status != self._said:
            self._supervisor.tell(*([] if self._said else ["READY=1"]), status)
            self._said = status
        self._feed.feed()

    def stopping(self) -> None:
        """The loop has ended."""
        self._supervisor.tell("STOPPING=1")
