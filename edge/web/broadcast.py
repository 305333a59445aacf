"""One word for many viewers: whoever is slow gets the newest, never what was missed."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable


class Broadcast:
    """The newest of what was published, for everybody who follows.

    Args:
        on_follow: called when somebody begins to follow, so that who publishes need not while nobody looks.
    """

    def __init__(self, on_follow: Callable[[], None] = lambda: None) -> None:
        self._on_follow = on_follow
        self._lock = threading.Lock()
        self._text = ""
        self._waiting: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}

    @property
    def viewers(self) -> int:
        """How many follow."""
        return len(self._waiting)

    def publish(self, text: str) -> None:
        """This is the newest now; from any thread, never blocks."""
        with self._lock:
            self._text = text
            for came, loop in self._waiting.items():
                loop.call_soon_threadsafe(came.set)

    async def follow(self) -> AsyncGenerator[str]:
        """What is published from now on; of several that came meanwhile, the last."""
        came = asyncio.Event()
        with self._lock:
            self._waiting[came] = asyncio.get_running_loop()
        self._on_follow()
        try:
            while True:
                await came.wait()
                came.clear()
                yield self._text
        finally:
            with self._lock:
                del self._waiting[came]
