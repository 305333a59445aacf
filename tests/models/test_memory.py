import numpy as np
import pytest
from numpy.typing import NDArray

from models.errors import ModelError
from models.networks.memory import coreset, main_directions


def clusters(seed: int) -> NDArray[np.float32]:
    """One crowded cluster and nine lonely ones: a random choice misses some."""
    random = np.random.default_rng(seed)
    centres = np.eye(10, 16, dtype=np.float32) * 50
    sizes = [900] + [4] * 9
    return np.concatenate(
        [centre + random.normal(0, 1, (size, 16)) for centre, size in zip(centres, sizes, strict=True)]
    ).astype(np.float32)


def radius(patches: NDArray[np.float32], chosen: NDArray[np.int64]) -> float:
    return float(np.linalg.norm(patches[:, None] - patches[chosen][None], axis=2).min(axis=1).max())


@pytest.mark.parametrize("seed", range(5))
def test_every_cluster_is_remembered_however_rare(seed: int) -> None:
    patches = clusters(seed)
    chosen = coreset(patches, 10, seed)
    assert radius(patches, chosen) < 20
    assert radius(patches, np.random.default_rng(seed).permutation(len(patches))[:10]) > 20


def test_it_is_the_greedy_choice_that_recomputing_all_distances_makes() -> None:
    patches = np.random.default_rng(3).normal(size=(300, 8)).astype(np.float32)
    first = int(np.random.default_rng(7).integers(300))
    slow = [first]
    for _ in range(19):
        slow.append(int(np.linalg.norm(patches[:, None] - patches[slow][None], axis=2).min(axis=1).argmax()))
    assert coreset(patches, 20, 7).tolist() == sorted(slow)


def test_the_same_seed_chooses_the_same_and_a_small_set_is_kept_whole() -> None:
    patches = np.random.default_rng(0).normal(size=(500, 200)).astype(np.float32)
    assert coreset(patches, 50, 1).tolist() == coreset(patches, 50, 1).tolist()
    assert coreset(patches, 500, 1).tolist() == list(range(500))


@pytest.mark.parametrize(
    ("patches", "size"),
    [
        pytest.param(np.zeros((0, 4), np.float32), 3, id="no-patches"),
        pytest.param(np.full((9, 4), np.nan, np.float32), 3, id="nan"),
        pytest.param(np.zeros((9, 4), np.float32), 0, id="size-0"),
    ],
)
def test_what_cannot_be_remembered_is_refused(patches: NDArray[np.float32], size: int) -> None:
    with pytest.raises(ModelError, match="memory"):
        coreset(patches, size, 0)


def test_main_directions_keep_distances() -> None:
    random = np.random.default_rng(0)
    patches = (random.normal(size=(400, 6)) @ random.normal(size=(6, 40))).astype(np.float32)
    directions = main_directions(patches, 6)
    np.testing.assert_allclose(directions @ directions.T, np.eye(6), atol=1e-5)
    narrow = patches @ directions.T
    np.testing.assert_allclose(
        np.linalg.norm(narrow[0] - narrow[1:], axis=1), np.linalg.norm(patches[0] - patches[1:], axis=1), rtol=1e-4
    )
