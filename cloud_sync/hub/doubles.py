"""Two machines that send as one station: a backup restored twice, a copied disk, a server thought dead.

The broker knows one of a name at a time, so they take its place from each other, and each says its own epoch whenever
it is back. A station by itself never goes back to an earlier epoch.
"""

import logging
import time

_KEPT = 8
_LATELY_MS = 3_600_000
_logger = logging.getLogger(__name__)


class Doubles:
    """The epochs that stations came online with, as far as this collector heard."""

    def __init__(self) -> None:
        self._epochs: dict[str, list[str]] = {}
        self._doubled_ms: dict[str, int] = {}

    def heard(self, station: str, epoch: str, at_ms: int) -> None:
        """A station is online in this epoch; said in the log, once an hour, where it has left that before.

        Args:
            station: who.
            epoch: the one it counts in.
            at_ms: since 1970.
        """
        known = self._epochs.setdefault(station, [])
        said_ms = self._doubled_ms.get(station, -_LATELY_MS)
        if epoch in known[:-1] and at_ms - said_ms >= _LATELY_MS:
            _logger.error("two machines send as station %s: stop the one that is wrong, enrol the other", station)
            self._doubled_ms[station] = at_ms
        if epoch in known:
            known.remove(epoch)
        known.append(epoch)
        del known[:-_KEPT]

    def lately(self) -> int:
        """How many stations were doubled within the last hour or two."""
        now_ms = time.time() * 1000
        return sum(now_ms - at_ms < 2 * _LATELY_MS for at_ms in self._doubled_ms.values())
