"""What the downlink and whoever takes a release further say to each other; neither waits for the other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal, Protocol

from cloud_sync.wire.messages import Job

KeptState = Literal["verified", "selftest", "shadow", "live", "back", "rejected"]
_NONE: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Word:
    """How far a release came beyond its download.

    Args:
        job: the offer's id.
        state: as in `JobState`.
        why: in words; empty where there is nothing to explain.
        figures: counts since the state began.
    """

    job: str
    state: KeptState
    why: str = ""
    figures: Mapping[str, float] = field(default_factory=lambda: _NONE)

    def is_news(self, before: "Word | None") -> bool:
        """Whether more than its figures differ from the word before."""
        return before is None or (self.job, self.state, self.why) != (before.job, before.state, before.why)


class Keeper(Protocol):
    """Takes a release beyond its download. All calls come from the uplink's thread, and none of them waits."""

    def asked(self, job: Job | None) -> None:
        """What is offered now, and how far it shall go; None: nothing is any more."""
        ...

    def fetched(self, job: Job, file: Path) -> None:
        """The offer's file is whole, its hash is the one that the offer names."""
        ...

    def words(self) -> Sequence[Word]:
        """What it has to say since the last call, oldest first."""
        ...


class NoKeeper:
    """Nobody takes a release further: it is fetched, and that is all."""

    def asked(self, job: Job | None) -> None:
        """See `Keeper`."""

    def fetched(self, job: Job, file: Path) -> None:
        """See `Keeper`."""

    def words(self) -> Sequence[Word]:
        """See `Keeper`."""
        return ()
