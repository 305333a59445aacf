import numpy as np
import pytest
from numpy.typing import NDArray

from models.errors import GateError
from models.gate import GateScores, Outcome, judge


def scores(count: int, noise: float = 0.0, lift: float = 0.0) -> GateScores:
    """Scores of the same frames for any noise: the noise is what a worse model adds."""
    random = np.random.default_rng(0)
    good, bad = random.normal(0.3, 0.05, count), random.normal(0.6, 0.07, count)
    shake = np.random.default_rng(1).normal(0, 1, (2, count)) * noise
    return GateScores(_clipped(good + shake[0] + lift), _clipped(bad + shake[1] + lift))


def _clipped(values: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.clip(values, 0, 1).astype(np.float32)


@pytest.mark.parametrize(
    ("count", "noise", "lift", "outcome"),
    [
        pytest.param(400, 0.0, 0.0, Outcome.PASSED, id="same-and-enough"),
        pytest.param(100, 0.0, 0.0, Outcome.NOT_PROVEN, id="same-but-few"),
        pytest.param(249, 0.0, 0.0, Outcome.NOT_PROVEN, id="498-images"),
        pytest.param(250, 0.0, 0.0, Outcome.PASSED, id="500-images"),
        pytest.param(400, 0.3, 0.0, Outcome.FAILED, id="noisy"),
        pytest.param(60, 0.3, 0.0, Outcome.FAILED, id="noisy-and-few"),
        pytest.param(400, 0.0, 0.1, Outcome.FAILED, id="same-auroc-other-verdicts"),
        pytest.param(60, 0.0, 0.2, Outcome.FAILED, id="other-verdicts-and-few"),
    ],
)
def test_the_rule(count: int, noise: float, lift: float, outcome: Outcome) -> None:
    result = judge(scores(count), scores(count, noise, lift))
    assert result.outcome is outcome
    assert result.allows is (outcome is not Outcome.FAILED)
    assert result.images == 2 * count
    assert f"n={2 * count}" in result.reason


def test_one_disagreement_of_few_is_no_evidence_but_of_many_counts_as_measured() -> None:
    few, many = scores(50), scores(300)
    assert judge(few, _one_verdict_changed(few, 1)).outcome is Outcome.NOT_PROVEN
    assert judge(many, _one_verdict_changed(many, 3)).outcome is Outcome.PASSED
    assert judge(many, _one_verdict_changed(many, 4)).outcome is Outcome.FAILED


def _one_verdict_changed(before: GateScores, count: int) -> GateScores:
    """Move scores across the threshold without changing the order of any good and bad part."""
    defective = before.defective.copy()
    near = np.argsort(np.abs(defective - 0.5))[:count]
    defective[near] = 1 - defective[near]
    return GateScores(before.good, defective)


def test_a_gross_drop_fails_even_where_its_interval_is_wide() -> None:
    good, bad = np.linspace(0.1, 0.3, 10, dtype=np.float32), np.linspace(0.6, 0.9, 10, dtype=np.float32)
    worse = bad.copy()
    worse[0] = 0.0
    result = judge(GateScores(good, bad), GateScores(good, worse))
    assert result.drop.low < 0 < result.drop.value
    assert result.outcome is Outcome.FAILED


def test_the_reason_carries_both_intervals() -> None:
    reason = judge(scores(50), scores(50)).reason
    assert "95%" in reason
    assert "a proof needs 500" in reason


@pytest.mark.parametrize(
    ("int8", "message"),
    [
        pytest.param(GateScores(np.zeros(9, np.float32), np.zeros(10, np.float32)), "same frames", id="other-frames"),
        pytest.param(GateScores(np.full(10, np.nan, np.float32), np.zeros(10, np.float32)), "not finite", id="nan"),
    ],
)
def test_scores_that_cannot_be_compared_are_refused(int8: GateScores, message: str) -> None:
    with pytest.raises(GateError, match=message):
        judge(scores(10), int8)
