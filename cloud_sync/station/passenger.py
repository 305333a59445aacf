"""Who else sends over the uplink: files up, releases down. They ride on the uplink's thread, after the records."""

from collections.abc import Callable
from typing import Protocol

from cloud_sync.wire.link import Limits

Publish = Callable[[str, bytes], bool]


class Passenger(Protocol):
    """Something that sends and hears by the uplink's link. All calls come from the uplink's thread: do not block."""

    def begin(self, limits: Limits) -> None:
        """A new connection: whatever was under way on the last one is forgotten."""
        ...

    def hear(self, subject: str, payload: bytes) -> bool:
        """A message came, `subject` is what stands after `down/`; False if it is not for this one. Raises LinkError."""
        ...

    def work(self, now_s: float, publish: Publish) -> None:
        """Send what is due; `publish` says False where there is no room. `now_s` is on a clock that only rises."""
        ...
