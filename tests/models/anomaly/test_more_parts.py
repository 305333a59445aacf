"""How many more good parts would tighten the overkill rate."""

import numpy as np
import pytest

from models.anomaly.dealing import frames_for, split
from models.anomaly.more_parts import one_more, tightening
from models.anomaly.threshold import choose, parts_at, prove


def of(count: int) -> np.ndarray:
    return np.arange(count, dtype=float)


def test_too_few_parts_name_the_number_for_the_target_and_for_half_of_what_is_proven() -> None:
    proof = choose(of(40), 0.02, 0.95)
    target, half = tightening(proof)
    assert (target.rate, target.parts, target.more) == (0.02, 149, 109)
    assert target.text == "2.00% needs 109 more held-out good parts, 149 in all"
    assert half.rate == proof.proven_rate / 2
    assert choose(of(half.parts), half.rate, 0.95).meets_target
    assert not choose(of(half.parts - 1), half.rate, 0.95).meets_target


def test_a_met_target_names_only_the_half_and_many_parts_could_prove_that_already() -> None:
    (half,) = tightening(choose(of(150), 0.02, 0.95))
    assert half.more == half.parts - 150 > 0
    (half,) = tightening(choose(of(1000), 0.02, 0.95))
    assert half.more == 0
    assert "higher threshold, which lets more defects pass" in half.text


def test_a_fixed_threshold_keeps_the_parts_above_it() -> None:
    """Two of 100 rejected: more parts prove 2 % only if their share falls; nine of 100 are out of reach."""
    needed = tightening(prove(200, 2, 0.02, 0.95))[0]
    assert needed.parts == parts_at(2, 0.02, 0.95)
    assert prove(needed.parts, 2, 0.02, 0.95).meets_target
    assert not prove(needed.parts - 1, 2, 0.02, 0.95).meets_target
    assert needed.frames == needed.parts
    assert "hardly prove 2.00%" in tightening(prove(100, 9, 0.02, 0.95))[0].text


def test_so_many_frames_really_hold_out_so_many_parts() -> None:
    for parts in (149, 299):
        frames = frames_for(parts)
        assert split(np.arange(frames), parts, 0).sizes()["threshold"] >= parts
        assert split(np.arange(frames - 5), parts, 0).sizes()["threshold"] < parts


@pytest.mark.parametrize("count", [149, 300, 1000])
def test_so_many_more_parts_let_the_threshold_fall_by_one(count: int) -> None:
    proof = choose(of(count), 0.02, 0.95)
    step = one_more(proof)
    assert step is not None
    assert choose(of(step.parts), 0.02, 0.95).rejected == proof.rejected + 1
    assert choose(of(step.parts - 1), 0.02, 0.95).rejected == proof.rejected


def test_where_the_target_is_not_met_or_the_threshold_is_fixed_none_falls() -> None:
    assert one_more(choose(of(60), 0.02, 0.95)) is None
    assert one_more(prove(200, 0, 0.02, 0.95)) is None
