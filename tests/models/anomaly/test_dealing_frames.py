import numpy as np
import pytest

from models.anomaly.dealing import split
from models.errors import RequestError

PARTS = ("learn", "quantization", "threshold", "gate", "twins")


def groups(count: int, seed: int = 0) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Near-twin groups as solar cells have them: most alone, some pairs, one crowd."""
    random = np.random.default_rng(seed)
    numbers = np.arange(count)
    twins = random.permutation(count)[: count // 5]
    numbers[twins[::2]] = numbers[twins[1::2]] if len(twins) % 2 == 0 else numbers[twins[0]]
    numbers[: count // 12] = 0
    return numbers


@pytest.mark.parametrize("count", [60, 400, 2000])
@pytest.mark.parametrize("seed", [0, 1])
def test_every_frame_has_one_use_and_no_twin_lies_across(count: int, seed: int) -> None:
    numbers = groups(count, seed)
    dealt = split(numbers, 149, seed)
    used = np.concatenate([getattr(dealt, name) for name in PARTS])
    assert sorted(used.tolist()) == list(range(count))
    kept = [set(numbers[getattr(dealt, name)].tolist()) for name in PARTS[:4]]
    assert sum(map(len, kept)) == len(set.union(*kept))


def test_held_out_parts_are_counted_once_each() -> None:
    numbers = groups(400)
    dealt = split(numbers, 149, 0)
    for indices in (dealt.threshold, dealt.gate):
        assert len(np.unique(numbers[indices])) == len(indices)


def test_threshold_gets_what_its_proof_needs_and_more_where_there_is_more() -> None:
    assert len(split(np.arange(400), 149, 0).threshold) == 179
    assert len(split(np.arange(1000), 149, 0).threshold) == 350
    assert len(split(np.arange(100), 149, 0).threshold) == 45


def test_the_seed_decides_and_nothing_else() -> None:
    numbers = groups(300)
    first, again, other = split(numbers, 149, 4), split(numbers, 149, 4), split(numbers, 149, 5)
    assert first.threshold.tolist() == again.threshold.tolist()
    assert first.threshold.tolist() != other.threshold.tolist()


@pytest.mark.parametrize(
    "numbers",
    [pytest.param(np.arange(39), id="39-frames"), pytest.param(np.arange(200) // 11, id="19-parts")],
)
def test_too_few_parts_are_refused_with_the_number_needed(
    numbers: np.ndarray[tuple[int, ...], np.dtype[np.int64]],
) -> None:
    with pytest.raises(RequestError, match="needs 40 frames of 20 parts"):
        split(numbers, 149, 0)
