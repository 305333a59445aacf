"""What is wrong with the station right now: the reason it is, or is not, ready."""

import threading
from collections.abc import Callable

import structlog

log = structlog.get_logger()


class Health:
    """The open faults by name; each opening and closing is logged once and reported to the listener.

    Alarms are a weaker word: somebody must look at it, and the station goes on inspecting. They are logged once too.

    Any thread may raise and clear faults. The listener is called with (ready, why), one call at a time and the newest
    state last; it must not block, nor raise or clear faults itself.
    """

    def __init__(self) -> None:
        self._faults: dict[str, str] = {}
        self._alarms: dict[str, str] = {}
        self._lock = threading.Lock()
        self._saying = threading.Lock()
        self._listener: Callable[[bool, str], None] = lambda _ready, _why: None

    def on_change(self, listener: Callable[[bool, str], None]) -> None:
        """Tell `listener` now and at every change whether the station is ready, and why not."""
        self._listener = listener
        self._say()

    def raise_fault(self, name: str, why: str) -> None:
        """Open a fault; one that is open already is left as it is."""
        with self._lock:
            if name in self._faults:
                return
            self._faults[name] = why
        log.error("fault", fault=name, why=why)
        self._say()

    def restate_fault(self, name: str, why: str) -> None:
        """Open a fault, or give an open one its newest reason; close it where the reason is empty."""
        if not why:
            self.clear(name)
            return
        with self._lock:
            if self._faults.get(name) == why:
                return
            self._faults[name] = why
        log.error("fault", fault=name, why=why)
        self._say()

    def clear(self, name: str) -> None:
        """Close a fault; closing one that is not open does nothing."""
        if name not in self._faults:
            return
        with self._lock:
            closed = self._faults.pop(name, None)
        if closed is not None:
            log.info("fault cleared", fault=name)
            self._say()

    def set_fault(self, name: str, why: str) -> None:
        """Open the fault with this reason, or close it where the reason is empty."""
        if why:
            self.raise_fault(name, why)
        else:
            self.clear(name)

    def set_alarm(self, name: str, why: str) -> None:
        """Open the alarm, give an open one its newest reason, or close it where the reason is empty."""
        with self._lock:
            before = self._alarms.pop(name, "")
            if why:
                self._alarms[name] = why
        if why and not before:
            log.warning("alarm", alarm=name, why=why)
        if before and not why:
            log.info("alarm over", alarm=name)

    def alarms(self) -> dict[str, str]:
        """The open alarms: name to reason."""
        with self._lock:
            return dict(self._alarms)

    def faults(self) -> dict[str, str]:
        """The open faults: name to reason."""
        with self._lock:
            return dict(self._faults)

    def state(self) -> tuple[bool, str]:
        """(ready, why not)."""
        faults = self.faults()
        return not faults, "; ".join(faults.values())

    def _say(self) -> None:
        with self._saying:
            self._listener(*self.state())
