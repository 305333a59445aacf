"""What a station says of drift: at each connection, and at each change."""

from collections.abc import Callable

from cloud_sync.station.passenger import Publish
from cloud_sync.wire import topics
from cloud_sync.wire.link import Limits
from cloud_sync.wire.messages import DriftMessage

MakeDrift = Callable[[], DriftMessage]


class DriftWord:
    """A passenger: says how all that is watched stands. A word that could not be sent is made anew, never kept.

    Args:
        station: the station's id.
        make: says how it stands now; called in the uplink's thread.
    """

    def __init__(self, station: str, make: MakeDrift) -> None:
        self._topic = topics.drift(station)
        self._make = make
        self._is_due = False

    def changed(self) -> None:
        """An alarm opened or closed, or another model began: say so soon. From any thread."""
        self._is_due = True

    def begin(self, _limits: Limits) -> None:
        """A new connection: it is due."""
        self._is_due = True

    def hear(self, _subject: str, _payload: bytes) -> bool:
        """Nothing that comes down is for it."""
        return False

    def work(self, _now_s: float, publish: Publish) -> None:
        """Say it where it is due; what fails here is tried again."""
        if not self._is_due:
            return
        self._is_due = False  # first: a change that comes meanwhile is said as well
        said = False
        try:
            said = publish(self._topic, self._make().pack())
        finally:
            self._is_due = self._is_due or not said
