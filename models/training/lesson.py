"""What a run asks of that which it learns: the only thing between the trainer and each kind of network."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from torch import Tensor, nn

Batch = TypeVar("Batch")
Forward = Callable[[Tensor], Any]  # pixels (B, C, H, W) to what the network answers, on the run's device


@dataclass(frozen=True, slots=True)
class Course:
    """How long a lesson takes.

    Args:
        digest: names all that decides what is computed, sha256 in hex.
        epochs: how often every picture is shown.
        per_epoch: steps of each.
        losses: names of what `Lesson.losses` gives.
    """

    digest: str
    epochs: int
    per_epoch: int
    losses: tuple[str, ...]


class Lesson(Protocol[Batch]):
    """A kind of network and the pictures it learns from; the same lesson always teaches the same."""

    @property
    def course(self) -> Course:
        """How long it takes."""
        ...

    def begin(self) -> nn.Module:
        """A network that has learned nothing yet."""
        ...

    def groups(self, network: nn.Module) -> list[dict[str, Any]]:
        """Its parameters as the optimizer takes them; the `lr` of each is its highest."""
        ...

    def batches(self, epoch: int, start: int = 0, *, ahead: bool = False) -> Iterator[Batch]:
        """An epoch's batches from `start` on; `ahead` makes the next ones meanwhile, on a thread of its own."""
        ...

    def losses(self, forward: Forward, batch: Batch) -> Sequence[Tensor]:
        """What is to be made small, as named in the course; their sum is learned by."""
        ...
