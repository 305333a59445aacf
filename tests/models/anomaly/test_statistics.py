import numpy as np
import pytest

from models.anomaly.statistics import Seen, distances, main_directions, statistics_of
from models.anomaly.suspects import stand_out, suspects
from models.errors import ModelError

CHANNELS = 12


def frames(count: int, seed: int) -> Seen:
    """Features whose spread differs by place: the left half is calm, the right half is not."""
    random = np.random.default_rng(seed)
    wild = np.array([0.1] * 4 + [2.0] * 4, np.float32)
    features = random.normal(size=(count, CHANNELS, 4, 8)).astype(np.float32) * wild
    return Seen(features, random.normal(100, 10, (count, 2)).astype(np.float32))


def test_good_frames_that_were_not_learned_lie_at_about_one() -> None:
    learned = frames(400, 0)
    found = distances(frames(200, 1), statistics_of(learned, main_directions(learned)))
    assert found.mean() == pytest.approx(0.9, abs=0.25)


def test_a_deviation_counts_by_what_is_usual_at_its_place() -> None:
    learned, other = frames(400, 0), frames(2, 1)
    other.features[0, 3, 1, 1] += 6
    other.features[1, 3, 1, 6] += 6
    found = distances(other, statistics_of(learned, main_directions(learned)))
    calm, wild = found[0, 1, 1], found[1, 1, 6]
    assert calm > 1.5 * wild


def test_frames_that_all_show_the_same_are_refused() -> None:
    """Nothing could be told apart by them, and every part would pass."""
    one = frames(1, 0)
    same = Seen(np.repeat(one.features, 5, axis=0), np.repeat(one.light, 5, axis=0))
    with pytest.raises(ModelError, match="show the same"):
        main_directions(same)


def test_light_far_from_the_usual_counts_everywhere() -> None:
    learned, other = frames(400, 0), frames(1, 1)
    before = distances(other, statistics_of(learned, main_directions(learned)))
    other.light[0, 0] += 200
    after = distances(other, statistics_of(learned, main_directions(learned)))
    assert (after > 2 * before).all()


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param(frames(1, 0), id="one frame"),
        pytest.param(Seen(np.full((3, 4, 2, 2), np.nan, np.float32), np.zeros((3, 2), np.float32)), id="not finite"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(seen: Seen) -> None:
    with pytest.raises(ModelError, match="finite features of 2 frames"):
        main_directions(seen)


@pytest.mark.parametrize("seed", range(4))
def test_bad_frames_among_the_good_are_found_and_no_good_one_is(seed: int) -> None:
    seen = frames(100, seed)
    for index in (7, 60):
        seen.features[index, :, 1:3, 1:3] += 3.0
    assert suspects(seen, seed).tolist() == [7, 60]


@pytest.mark.parametrize("seed", range(4))
def test_where_all_are_good_none_is_suspect(seed: int) -> None:
    assert not len(suspects(frames(100, 10 + seed), seed))


def test_never_more_than_a_tenth_are_suspect_and_of_few_none() -> None:
    two_kinds = np.concatenate([np.linspace(1, 1.1, 30), np.linspace(50, 60, 12)])
    assert len(stand_out(two_kinds)) == 4
    assert not len(suspects(frames(15, 0), 0))
