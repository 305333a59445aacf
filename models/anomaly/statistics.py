"""What good parts look like, from their features: means, main directions, covariances by place. Pure numpy.

Of N frames each position has N features only, so a covariance is taken over a block of 2 x 2 positions with one more
around it, mixed with a fifth of the covariance of all positions, and drawn a tenth towards its own diagonal
(shrinkage as in Ledoit and Wolf 2004, https://doi.org/10.1016/S0047-259X(03)00096-4, with a fixed share that was
measured: DECISIONS.md). As a whole it is PaDiM, Defard et al. 2021, https://arxiv.org/abs/2011.08785, with fewer
dimensions.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.errors import ModelError
from models.networks.anomaly import BLOCK, PartStatistics

DIRECTIONS = 100
_COMMON = 0.2
_DIAGONAL = 0.1
_FLOOR = 1e-5
_TINY = 1e-6
_LIGHT_WEIGHT = 2.0  # or ten times the usual spread of brightness would vanish among a hundred other dimensions
_LIGHT_FLOOR = (5.0, 0.05)  # lighting that was steady while it was learned may drift by as much at no great cost
_AROUND = 1
_LEAST = 2
_AT_ONCE = 32
Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What a feature graph said of N frames: features (N, channels, h, w) and light (N, 2), float32."""

    features: Vectors
    light: Vectors

    def __len__(self) -> int:
        return len(self.features)

    def part(self, indices: NDArray[np.int64]) -> "Seen":
        """Only these frames."""
        return Seen(self.features[indices], self.light[indices])


def main_directions(seen: Seen, most: int = DIRECTIONS) -> Vectors:
    """The directions in which good patches differ most, (D, channels) float32, each scaled to unit variance.

    Raises:
        ModelError: fewer than two frames, a feature that is not finite, or frames that do not differ.
    """
    if len(seen) < _LEAST or not (np.isfinite(seen.features).all() and np.isfinite(seen.light).all()):
        raise ModelError(f"anomaly: needs finite features of {_LEAST} frames or more, got {len(seen)}")
    values, vectors = np.linalg.eigh(_feature_covariance(seen))
    order = np.argsort(-values)[:most]
    kept = order[values[order] > _TINY * max(values[order[0]], _TINY)]
    if not len(kept):
        raise ModelError(f"anomaly: all {len(seen)} frames show the same: give frames of different good parts")
    return np.ascontiguousarray((vectors[:, kept] / np.sqrt(values[kept])).T, np.float32)


def statistics_of(seen: Seen, projection: Vectors) -> PartStatistics:
    """Means and whitening of these good frames along these directions."""
    mean = seen.features.mean(axis=0, keepdims=True, dtype=np.float64).astype(np.float32)
    spread = np.maximum(seen.light.std(axis=0, dtype=np.float64), _LIGHT_FLOOR)
    light = np.stack([seen.light.mean(axis=0, dtype=np.float64), spread]).astype(np.float32)
    deviations = _deviations(seen, mean, projection, light)
    return PartStatistics(mean, projection, light, _whitening(deviations))


def distances(seen: Seen, good: PartStatistics) -> Vectors:
    """(N, h, w) float32: what the graph computes behind the features."""
    deviations = _deviations(seen, good.mean, good.projection, good.light)
    found = np.empty((len(seen), *good.mean.shape[2:]), np.float32)
    for (row, column), rows, columns in _blocks(good.mean.shape[2], good.mean.shape[3]):
        white = np.einsum("fg,nghw->nfhw", good.whitening[row, column], deviations[:, :, rows, columns], optimize=True)
        found[:, rows, columns] = np.sqrt(np.square(white).mean(axis=1))
    return found


def _feature_covariance(seen: Seen) -> NDArray[np.float64]:
    """(channels, channels) of patches, their position's mean taken off; a few frames at a time, to spare memory."""
    mean = seen.features.mean(axis=0, keepdims=True, dtype=np.float64).astype(np.float32)
    channels = seen.features.shape[1]
    total = np.zeros((channels, channels))
    for start in range(0, len(seen), _AT_ONCE):
        apart = (seen.features[start : start + _AT_ONCE] - mean).transpose(1, 0, 2, 3).reshape(channels, -1)
        total += apart @ apart.T
    return np.asarray(total / (len(seen) * mean.shape[2] * mean.shape[3]), np.float64)


def _deviations(seen: Seen, mean: Vectors, projection: Vectors, light: Vectors) -> Vectors:
    """(N, F, h, w): along the main directions, then brightness and contrast."""
    count, channels, height, width = seen.features.shape
    main = projection @ (seen.features - mean).reshape(count, channels, -1)
    lit = np.broadcast_to(((seen.light - light[0]) / light[1])[:, :, None], (count, 2, height * width))
    return np.concatenate([main, lit], axis=1).reshape(count, -1, height, width).astype(np.float32)


def _whitening(deviations: Vectors) -> Vectors:
    """(h / 2, w / 2, F, F): the inverse root of each block's covariance; light, which is last, counts for more.

    Light that was steadier than its floor gets the rest of that as variance.
    """
    size, height, width = deviations.shape[1:]
    common = _covariance(deviations)
    drift = np.diag([0.0] * (size - 2) + list(np.maximum(0, 1 - deviations[:, -2:, 0, 0].var(axis=0))))
    found = np.empty((height // BLOCK, width // BLOCK, size, size), np.float32)
    for (row, column), rows, columns in _blocks(height, width):
        near = deviations[:, :, _wider(rows), _wider(columns)]
        found[row, column] = _inverse_root((1 - _COMMON) * _covariance(near) + _COMMON * common + drift)
    found[..., -2:, :] *= _LIGHT_WEIGHT
    return found


def _covariance(deviations: Vectors) -> NDArray[np.float64]:
    flat = np.ascontiguousarray(deviations.transpose(0, 2, 3, 1)).reshape(-1, deviations.shape[1])
    return (flat.T @ flat).astype(np.float64) / len(flat)


def _inverse_root(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """W with W C W' = 1 of the shrunk covariance C."""
    diagonal = np.diag(covariance)
    shrunk = (1 - _DIAGONAL) * covariance + np.diag(_DIAGONAL * diagonal + _FLOOR * diagonal.mean())
    return np.asarray(np.linalg.inv(np.linalg.cholesky(shrunk)), np.float64)


def _blocks(height: int, width: int) -> Iterator[tuple[tuple[int, int], slice, slice]]:
    for row in range(height // BLOCK):
        for column in range(width // BLOCK):
            starts = row * BLOCK, column * BLOCK
            rows, columns = (slice(start, start + BLOCK) for start in starts)
            yield (row, column), rows, columns


def _wider(part: slice) -> slice:
    return slice(max(0, part.start - _AROUND), part.stop + _AROUND)
