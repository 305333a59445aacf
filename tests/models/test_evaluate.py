import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

from models.errors import ModelError
from models.evaluate import auroc, auroc_drop, clopper_pearson


def test_auroc_counts_pairs_and_halves_ties() -> None:
    random = np.random.default_rng(0)
    good, bad = random.integers(0, 8, 60).astype(float), random.integers(3, 11, 40).astype(float)
    pairs = (bad[:, None] > good).mean() + 0.5 * (bad[:, None] == good).mean()
    assert auroc(good, bad).value == pytest.approx(pairs)


def test_the_interval_is_that_of_delong_written_out() -> None:
    random = np.random.default_rng(1)
    good, bad = random.normal(0, 1, 30), random.normal(1, 1, 20)
    wins = (bad[:, None] > good).astype(float)
    error = np.sqrt(wins.mean(axis=1).var(ddof=1) / 20 + wins.mean(axis=0).var(ddof=1) / 30)
    found = auroc(good, bad)
    assert found.high - found.value == pytest.approx(norm.ppf(0.975) * error)


def test_the_interval_holds_the_true_value_as_often_as_it_says() -> None:
    random = np.random.default_rng(2)
    true = norm.cdf(1 / np.sqrt(2))
    found = [auroc(random.normal(0, 1, 80), random.normal(1, 1, 60)) for _ in range(2000)]
    assert 0.93 < np.mean([one.low <= true <= one.high for one in found]) < 0.97


def test_the_interval_of_a_drop_holds_the_true_one_for_paired_scores() -> None:
    random = np.random.default_rng(3)
    true = norm.cdf(1.5 / np.sqrt(2)) - norm.cdf(1.5 / np.sqrt(2 * 1.25))
    held = []
    for _ in range(1000):
        parts = [random.normal(mean, 1, 80) for mean in (0, 1.5)]
        noisy = [part + random.normal(0, 0.5, 80) for part in parts]
        found = auroc_drop((parts[0], parts[1]), (noisy[0], noisy[1]))
        held.append(found.low <= true <= found.high)
    assert 0.92 < np.mean(held) < 0.98


def test_a_model_does_not_drop_against_itself() -> None:
    random = np.random.default_rng(4)
    scores = random.normal(0, 1, 30), random.normal(1, 1, 30)
    found = auroc_drop(scores, scores)
    assert (found.value, found.low, found.high) == (0, 0, 0)


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        pytest.param(np.zeros(1), np.zeros(5), id="one-good"),
        pytest.param(np.zeros(5), np.zeros(0), id="no-bad"),
        pytest.param(np.array([0.0, np.nan]), np.zeros(5), id="nan"),
    ],
)
def test_scores_that_prove_nothing_are_refused(good: NDArray[np.float64], bad: NDArray[np.float64]) -> None:
    with pytest.raises(ModelError, match="AUROC"):
        auroc(good, bad)


@pytest.mark.parametrize(
    ("hits", "count", "low", "high"),
    [
        pytest.param(0, 10, 0.0, 0.3085, id="none"),
        pytest.param(10, 10, 0.6915, 1.0, id="all"),
        pytest.param(5, 10, 0.1871, 0.8129, id="half"),
        pytest.param(0, 0, 0.0, 1.0, id="nothing-seen"),
    ],
)
def test_clopper_pearson_equals_published_values(hits: int, count: int, low: float, high: float) -> None:
    found = clopper_pearson(hits, count)
    assert (found.low, found.high) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


def test_more_hits_than_trials_are_refused() -> None:
    with pytest.raises(ModelError, match="11 of 10"):
        clopper_pearson(11, 10)
