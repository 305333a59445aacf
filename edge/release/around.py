"""What a keeper of releases needs of others: who says what is signed, and who looks beside the model in use."""

from collections.abc import Callable, Collection
from typing import Protocol

from edge.release.gates import Beside
from models.bundle import Bundle
from models.trust.verifying import Target

Fetch = Callable[[str, int], bytes | None]


class NotYetError(Exception):
    """What is signed cannot be had just now: ask again later."""


class Trust(Protocol):
    """What this station believes."""

    def admitted(self, name: str, station: str, bundles: Collection[str]) -> Target:
        """A signed release that this station may take, by the newest that was signed; may wait a while for that.

        Raises:
            NotYetError: it cannot be had just now, or has expired.
            ModelError: the station may not take it, or what came is not to be believed.
        """
        ...

    def note_taken(self, signed: Target) -> None:
        """It decides from now on, and nothing older will. Raises ModelError."""
        ...


class Shadow(Protocol):
    """Lets a bundle look at every part beside the one that decides."""

    def begin(self, product_id: str, bundle: Bundle) -> None:
        """From now on; the same one again changes nothing. Raises ConfigError, ModelError: it could never run here."""
        ...

    def end(self, product_id: str) -> None:
        """No more; it may be said twice."""
        ...

    def figures(self, product_id: str) -> Beside:
        """Counted since it began in this run."""
        ...

    def trouble(self, product_id: str) -> str:
        """Why it cannot look any more; empty where it can, or is being loaded."""
        ...
