"""Kappa and its kin against scikit-learn, a published example, and cases that can be counted by hand."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import cohen_kappa_score

from models.agreement import (
    Kappa,
    cohen_kappa,
    effectiveness,
    false_alarms,
    fleiss_kappa,
    missed,
    pooled_deviation,
    within,
)
from models.errors import ModelError

Table = NDArray[np.int64]

# Fleiss 1971, table 1, as reprinted in Fleiss, Levin and Paik 2003 and on https://en.wikipedia.org/wiki/Fleiss'_kappa:
# ten subjects, fourteen ratings each, five categories; kappa 0.210.
PUBLISHED = np.array(
    [
        [0, 0, 0, 0, 14],
        [0, 2, 6, 4, 2],
        [0, 0, 3, 5, 6],
        [0, 3, 9, 2, 0],
        [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0],
        [3, 2, 6, 3, 0],
        [2, 5, 3, 2, 2],
        [6, 5, 2, 1, 0],
        [0, 2, 2, 3, 7],
    ]
)


def test_fleiss_kappa_is_the_published_one() -> None:
    found = fleiss_kappa(PUBLISHED)
    assert found.value == pytest.approx(0.210, abs=5e-4)
    assert found.observed == pytest.approx(0.378, abs=5e-4)
    assert found.interval is not None
    assert found.interval[0] < 0.210 < found.interval[1]


def by_truth(truth: list[int], said: list[int], classes: int = 3) -> Table:
    table = np.zeros((len(truth), classes, classes), np.int64)
    table[np.arange(len(truth)), truth, said] = 1
    return table


@pytest.mark.parametrize("seed", range(8))
def test_cohen_kappa_is_that_of_scikit_learn(seed: int) -> None:
    random = np.random.default_rng(seed)
    truth = random.integers(3, size=60).tolist()
    said = [value if random.random() < 0.7 else int(random.integers(3)) for value in truth]
    expected = cohen_kappa_score(truth, said)
    assert cohen_kappa(by_truth(truth, said)).value == pytest.approx(expected)


def test_fleiss_of_two_looks_follows_its_formula_by_hand() -> None:
    """Two parts steady PASS, one steady REJECT, one half and half: P = 3/4, Pe = (5/8)^2 + (3/8)^2, kappa = 7/15."""
    found = fleiss_kappa(np.array([[2, 0], [2, 0], [0, 2], [1, 1]]))
    assert found.value == pytest.approx(7 / 15)


def test_parts_looked_at_differently_often_count_alike() -> None:
    once = fleiss_kappa(np.array([[2, 0], [0, 2], [1, 1]]))
    often = fleiss_kappa(np.array([[8, 0], [0, 2], [1, 1]]))
    assert often.value == pytest.approx(once.value)


@pytest.mark.parametrize(
    ("counts", "word"),
    [
        pytest.param([[4, 0]] * 20, "not defined", id="all alike: chance would agree as well"),
        pytest.param([[4, 0]] * 10 + [[0, 4]] * 10, "excellent", id="steady"),
        pytest.param([[4, 0]] * 9 + [[3, 1]] * 3 + [[0, 4]] * 9, "good", id="nearly steady"),
        pytest.param([[4, 0]] * 6 + [[2, 2]] * 6 + [[0, 4]] * 6, "moderate", id="a third unsteady"),
        pytest.param([[2, 2]] * 20, "poor", id="by chance"),
    ],
)
def test_kappa_has_the_usual_words(counts: list[list[int]], word: str) -> None:
    assert fleiss_kappa(np.array(counts)).word.startswith(word)


def test_nearly_all_good_is_the_paradox_and_is_said() -> None:
    """97.5 % of the pairs agree, and kappa is below zero, because both would call nearly everything good anyhow."""
    found = fleiss_kappa(np.array([[2, 0]] * 39 + [[1, 1]]))
    assert found.observed == pytest.approx(0.975)
    assert found.value is not None
    assert found.value < 0
    assert found.word == "poor"
    assert "97.5% agree" in found.caution
    balanced = fleiss_kappa(np.array([[2, 0]] * 20 + [[0, 2]] * 19 + [[1, 1]]))
    assert balanced.caution == ""


def test_an_undefined_kappa_is_no_number_anywhere() -> None:
    found = cohen_kappa(by_truth([0] * 9, [0] * 9))
    assert (found.value, found.interval, found.as_json()["kappa"]) == (None, None, None)
    assert isinstance(found, Kappa)


def test_intervals_resample_parts_and_cover_the_true_kappa() -> None:
    """Four looks at each of 40 parts, wrong with chance 0.1: true kappa is 0.64. 95 % should hold it, 87 % must."""
    random = np.random.default_rng(1)
    hits = 0
    for trial in range(30):
        truth = random.integers(2, size=40)
        rejects = np.array([random.binomial(4, 0.9 if bad else 0.1) for bad in truth])
        found = fleiss_kappa(np.stack([4 - rejects, rejects], axis=1), seed=trial)
        assert found.interval is not None
        hits += found.interval[0] <= 0.64 <= found.interval[1]
    assert hits >= 26


@pytest.mark.parametrize(
    ("rate", "hits", "count", "word"),
    [
        pytest.param(within, 27, 30, "acceptable", id="90 % the same"),
        pytest.param(within, 25, 30, "marginal", id="83 % the same"),
        pytest.param(effectiveness, 20, 30, "unacceptable", id="67 % right"),
        pytest.param(missed, 2, 100, "acceptable", id="2 % missed"),
        pytest.param(missed, 5, 100, "marginal", id="5 % missed"),
        pytest.param(missed, 6, 100, "unacceptable", id="6 % missed"),
        pytest.param(false_alarms, 5, 100, "acceptable", id="5 % false alarms"),
        pytest.param(false_alarms, 11, 100, "unacceptable", id="11 % false alarms"),
    ],
)
def test_rates_have_the_words_of_the_guide(rate: object, hits: int, count: int, word: str) -> None:
    found = rate(hits, count)  # type: ignore[operator]
    assert found.word == word
    assert found.estimate.low < hits / count < found.estimate.high


def test_the_spread_within_parts_is_pooled_over_them_and_not_over_all() -> None:
    low, high = np.array([0.1, 0.2]), np.array([0.7, 0.8, 0.9])
    assert pooled_deviation([low, high]) == pytest.approx(np.sqrt((0.005 + 0.02) / 3))


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(lambda: fleiss_kappa(np.zeros((0, 3), np.int64)), id="no parts"),
        pytest.param(lambda: fleiss_kappa(np.array([[1, 0], [2, 0]])), id="looked at once"),
        pytest.param(lambda: cohen_kappa(np.zeros((3, 2, 2), np.int64)), id="no verdicts"),
        pytest.param(lambda: pooled_deviation([np.array([0.5])]), id="no repeats"),
    ],
)
def test_what_cannot_be_measured_is_refused(wrong: object) -> None:
    with pytest.raises(ModelError, match="agreement"):
        wrong()  # type: ignore[operator]
