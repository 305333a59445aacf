"""The memory of good patches: a few vectors that lie close to every patch seen on good parts (pure numpy)."""

import numpy as np
from numpy.typing import NDArray

from models.errors import ModelError

Vectors = NDArray[np.float32]
_PROJECTED = 64


def coreset(patches: Vectors, size: int, seed: int) -> NDArray[np.int64]:
    """Indices of `size` patches so that the farthest other patch is near one of them: greedy k-centre.

    After each choice only the distances to the newest centre are computed, so the cost is patches x size x dimensions;
    recomputing all of them takes hours (facts: over an hour at 340,000 patches). Distances are measured after a
    random projection (Johnson-Lindenstrauss), as in Roth et al. 2022, https://arxiv.org/abs/2106.08265, section 3.2.

    Args:
        patches: (N, D) float32.
        size: how many to keep; all are kept when N <= size.
        seed: makes the first choice and the projection repeatable.

    Returns:
        (min(N, size),) int64 indices into `patches`, ascending.

    Raises:
        ModelError: no patch at all, or one that is not finite.
    """
    if len(patches) == 0 or size < 1 or not np.isfinite(patches).all():
        raise ModelError(f"memory: needs finite patches and a size of 1 or more, got {patches.shape} and {size}")
    if len(patches) <= size:
        return np.arange(len(patches))
    random = np.random.default_rng(seed)
    return np.sort(_greedy(_project(patches, random), size, int(random.integers(len(patches)))))


def main_directions(patches: Vectors, dimensions: int) -> Vectors:
    """The directions in which patches differ most, (D, channels) float32, orthonormal rows: D is at most `channels`.

    Distances along them lose little, and cost less. The mean is not taken off: the caller has done so.
    """
    _, vectors = np.linalg.eigh(patches.T.astype(np.float64) @ patches)
    return np.ascontiguousarray(vectors[:, ::-1][:, :dimensions].T, np.float32)


def _project(patches: Vectors, random: np.random.Generator) -> Vectors:
    dimensions = patches.shape[1]
    if dimensions <= _PROJECTED:
        return patches
    matrix = random.standard_normal((dimensions, _PROJECTED), dtype=np.float32) / np.float32(np.sqrt(_PROJECTED))
    return patches @ matrix


def _greedy(patches: Vectors, size: int, first: int) -> NDArray[np.int64]:
    squares = np.einsum("nd,nd->n", patches, patches)
    chosen = np.empty(size, np.int64)
    chosen[0] = first
    nearest = np.full(len(patches), np.inf, np.float32)
    for index in range(1, size):
        newest = chosen[index - 1]
        distances = squares - 2 * (patches @ patches[newest]) + squares[newest]
        np.minimum(nearest, distances, out=nearest)
        chosen[index] = int(nearest.argmax())
    return chosen
