"""What a station says of itself: its state at every connection, its health now and then.

- The state is retained, and goes before everything else on a connection.
- Health that could not be sent is never kept: what is sent is made just before.
- Times are those of a clock that only rises; a wall clock only stands in the messages.
"""

from collections.abc import Callable

from cloud_sync.station.connection import OFFLINE
from cloud_sync.station.window import Own, Window
from cloud_sync.wire import topics
from cloud_sync.wire.messages import HealthMessage, StateMessage

HEALTH_EVERY_S = 60.0
HEALTH_APART_S = 2.0

MakeState = Callable[[], StateMessage]
MakeHealth = Callable[[], HealthMessage]


class OwnWord:
    """The state lane. For the uplink's thread, but for `health_changed`.

    Args:
        station: the station's id.
        window: where it is published.
        state: says who the station is now; called at each connection and after a new epoch.
        health: says how it is; None: it says nothing.
        on_fault: told where one of the two could not be made; records flow nevertheless.
    """

    def __init__(
        self,
        station: str,
        window: Window,
        state: MakeState,
        health: MakeHealth | None,
        on_fault: Callable[[Exception], None],
    ) -> None:
        self._state_topic, self._health_topic = topics.state(station), topics.health(station)
        self._window = window
        self._state = state
        self._health = health
        self._on_fault = on_fault
        self._state_is_due = False
        self._health_said_s = float("-inf")
        self._has_changed = False

    def begin(self) -> None:
        """A new connection: both are due."""
        self._state_is_due, self._has_changed = True, True
        self._health_said_s = float("-inf")

    def state_changed(self) -> None:
        """Who the station is has changed: say so again."""
        self._state_is_due = True

    def health_changed(self) -> None:
        """A fault came or went: say so soon. From any thread."""
        self._has_changed = True

    def say(self, now_s: float) -> bool:
        """Say what is due; False while the state waits for room: then nothing else may go before it."""
        if self._state_is_due:
            if not self._window.publish(self._state_topic, self._made_state(), Own(), retain=True):
                return False
            self._state_is_due = False
        if self._health is not None and self._health_is_due(now_s):
            self._say_health(self._health, now_s)
        return True

    def goodbye(self) -> None:
        """Say that the station is offline, if there is room."""
        self._window.publish(self._state_topic, OFFLINE, Own(), retain=True)

    def _health_is_due(self, now_s: float) -> bool:
        changed = self._has_changed and now_s >= self._health_said_s + HEALTH_APART_S
        return self._window.room > 0 and (changed or now_s >= self._health_said_s + HEALTH_EVERY_S)

    def _made_state(self) -> bytes:
        try:
            return self._state().pack()
        except Exception as error:  # noqa: BLE001 - whatever it is: the station is online all the same
            self._on_fault(error)
            return StateMessage(state="online").pack()

    def _say_health(self, health: MakeHealth, now_s: float) -> None:
        self._has_changed, self._health_said_s = False, now_s
        try:
            self._has_changed = not self._window.publish(self._health_topic, health().pack(), Own())
        except Exception as error:  # noqa: BLE001 - the next one comes in a minute
            self._on_fault(error)
