"""What a worker does again and again, each thing in its own time; one that fails holds up no other."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cloud_sync.hub.store.errors import BlobError, StoreError
from cloud_sync.wire.errors import LinkError
from models.errors import ModelError

_PASSING = (StoreError, BlobError, LinkError, ModelError, OSError)
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Chore:
    """One thing to do, and how often, in seconds."""

    name: str
    every_s: float
    do: Callable[[], None]


class Chores:
    """Used by one thread.

    Args:
        chores: each is due at once, and then in its own time.
    """

    def __init__(self, chores: Sequence[Chore]) -> None:
        self._chores = tuple(chores)
        self._due_s = dict.fromkeys((chore.name for chore in chores), float("-inf"))
        self.faults: dict[str, str] = {}

    def round(self, now_s: float) -> None:
        """Do what is due. A fault is kept until it is over, and logged as it comes and goes."""
        for chore in self._chores:
            if now_s >= self._due_s[chore.name]:
                self._due_s[chore.name] = now_s + chore.every_s
                self._do(chore)

    def _do(self, chore: Chore) -> None:
        try:
            chore.do()
        except _PASSING as error:
            if self.faults.get(chore.name) != str(error):
                _logger.warning("%s fails and is tried again: %s", chore.name, error)
            self.faults[chore.name] = str(error)
        except Exception as error:  # a defect in one chore must not stop the stop of a rollout
            if self.faults.get(chore.name) != repr(error):
                _logger.exception("%s fails and is tried again", chore.name)
            self.faults[chore.name] = repr(error)
        else:
            if self.faults.pop(chore.name, None) is not None:
                _logger.info("%s works again", chore.name)
