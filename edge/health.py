"""What is wrong with the station right now: the reason it is, or is not, ready."""

import threading
from collections.abc import Callable

import structlog

log = structlog.get_logger()


class Health:
    """The open faults by name; each opening and closing is logged once and reported to the listener.

    Any thread may raise and clear faults. The listener is called outside the lock with (ready, why).
    """

    def __init__(self) -> None:
        self._faults: dict[str, str] = {}
        self._lock = threading.Lock()
        self._listener: Callable[[bool, str], None] = lambda _ready, _why: None

    def on_change(self, listener: Callable[[bool, str], None]) -> None:
        """Tell `listener` now and at every change whether the station is ready, and why not."""
        self._listener = listener
        listener(*self.state())

    def raise_fault(self, name: str, why: str) -> None:
        """Open a fault; one that is open already is left as it is."""
        with self._lock:
            if name in self._faults:
                return
            self._faults[name] = why
        log.error("fault", fault=name, why=why)
        self._listener(*self.state())

    def clear(self, name: str) -> None:
        """Close a fault; closing one that is not open does nothing."""
        if name not in self._faults:
            return
        with self._lock:
            closed = self._faults.pop(name, None)
        if closed is not None:
            log.info("fault cleared", fault=name)
            self._listener(*self.state())

    def faults(self) -> dict[str, str]:
        """The open faults: name to reason."""
        with self._lock:
            return dict(self._faults)

    def state(self) -> tuple[bool, str]:
        """(ready, why not)."""
        faults = self.faults()
        return not faults, "; ".join(faults.values())
