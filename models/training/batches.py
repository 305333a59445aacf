"""An epoch's pictures in its own order, batch by batch: the same whoever asks, before or after a kill."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

_AHEAD = 3
Made = TypeVar("Made")


def in_batches(
    make: Callable[[int, NDArray[np.int64]], Made],
    pictures: int,
    batch: int,
    seed: tuple[int, int],
    start: int = 0,
    *,
    ahead: bool = False,
) -> Iterator[Made]:
    """Every picture once; the last batch is filled from the first.

    Args:
        make: a batch of its number in the epoch and the indices (batch,) of its pictures.
        pictures: how many there are.
        batch: how many at once.
        seed: of the order: the run's, and the epoch.
        start: the first batch wanted.
        ahead: make the next ones meanwhile, on a thread of its own, which pays where the training steps leave a core
            to it. The batches are the same either way.
    """
    count = steps_per_epoch(pictures, batch)
    order = np.resize(np.random.default_rng(seed).permutation(pictures), count * batch)

    def made(step: int) -> Made:
        return make(step, order[step * batch : (step + 1) * batch])

    yield from _made_ahead(made, range(start, count)) if ahead else map(made, range(start, count))


def steps_per_epoch(pictures: int, batch: int) -> int:
    """Steps that show every picture once."""
    return -(-pictures // batch)


def _made_ahead(make: Callable[[int], Made], steps: range) -> Iterator[Made]:
    waiting: deque[Future[Made]] = deque()
    with ThreadPoolExecutor(1, "pictures") as pool:
        for step in steps:
            waiting.append(pool.submit(make, step))
            if len(waiting) > _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
