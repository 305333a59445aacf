"""Carries rollouts on: reads what the stations said, decides, writes it, publishes the jobs."""

from cloud_sync.wire.link import Link


class RolloutRunner:
    """One step at a time; any number of runners on one store do each thing once.

    Args:
        place: the store.
        link: started by its owner; jobs go out by it, retained.
    """

    def __init__(self, place: str, link: Link) -> None:
        self._place = place
        self._link = link

    def step(self, now_ms: int) -> None:
        """Read, decide, write, publish. Raises StoreError where the store fails: try again later."""
