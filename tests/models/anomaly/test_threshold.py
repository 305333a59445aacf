from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm, poisson, t

from models.anomaly.threshold import ThresholdProof, choose, parts_needed, prove
from models.errors import RequestError


@pytest.mark.parametrize(
    ("rate", "parts"), [(0.05, 59), (0.02, 149), (0.01, 299), (0.001, 2995)], ids=["5%", "2%", "1%", "0.1%"]
)
def test_parts_needed_equal_the_known_figures(rate: float, parts: int) -> None:
    assert parts_needed(rate, 0.95) == parts
    assert choose(np.arange(parts, dtype=float), rate, 0.95).meets_target
    assert not choose(np.arange(parts - 1, dtype=float), rate, 0.95).meets_target


@pytest.mark.parametrize("count", [59, 149, 236, 400, 1000])
@pytest.mark.parametrize("shape", ["normal", "heavy"])
def test_the_proven_rate_holds_in_95_of_100_draws_whatever_the_distribution(count: int, shape: str) -> None:
    """Over 4,000 draws of known parts the true overkill exceeds the proven rate in 5 %, give or take chance."""
    draws = np.random.default_rng(count).random((4000, count))
    bend = {"normal": lambda u: u, "heavy": lambda u: (1 - u) ** -2.0}[shape]
    broken = 0
    for uniform in draws:
        proof = choose(bend(uniform), 0.02, 0.95)
        true_rate = 1 - (proof.value if shape == "normal" else 1 - proof.value**-0.5)
        broken += true_rate > proof.proven_rate
    assert broken / 4000 < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 4000)
    assert broken / 4000 > 0.03


Random = np.random.Generator
Drawn = Callable[[Random, tuple[int, int]], NDArray[np.float64]]
Tail = Callable[[float], float]


def mixed(random: Random, size: tuple[int, int]) -> NDArray[np.float64]:
    """Three parts of a hundred are of another kind."""
    return np.where(random.random(size) < 0.03, random.normal(4, 0.5, size), random.normal(0, 1, size))


KNOWN: dict[str, tuple[Drawn, Tail]] = {
    "normal": (lambda random, size: random.normal(0, 1, size), norm.sf),
    "heavy": (lambda random, size: random.standard_t(1.5, size), lambda value: t.sf(value, 1.5)),
    "counts": (lambda random, size: random.poisson(5, size).astype(float), lambda value: poisson.sf(value, 5)),
    "rounded": (
        lambda random, size: random.normal(0, 1, size).round(1),
        lambda value: norm.sf(value + 0.05),
    ),
    "mixture": (mixed, lambda value: 0.97 * norm.sf(value) + 0.03 * norm.sf(value, 4, 0.5)),
}


@pytest.mark.parametrize("count", [60, 400, 1000], ids=["too-few", "400", "1000"])
@pytest.mark.parametrize("name", list(KNOWN))
def test_of_2000_draws_at_most_65_in_a_thousand_break_what_is_claimed(name: str, count: int) -> None:
    """The claim is the target where it is met, else the rate that is said to be proven."""
    draw, tail = KNOWN[name]
    broken = met = 0
    for scores in draw(np.random.default_rng(count), (2000, count)):
        proof = choose(scores, 0.02, 0.95)
        met += proof.meets_target
        broken += tail(proof.value) > (proof.target_rate if proof.meets_target else proof.proven_rate)
    assert met == (0 if count < 149 else 2000)
    assert broken / 2000 <= 0.065
    if name in {"normal", "heavy", "mixture"}:
        assert broken / 2000 >= 0.03, "nor is it so careful that defects pass for nothing"


@pytest.mark.parametrize("count", [60, 1000])
def test_the_interval_holds_the_true_rate_in_9_of_10_draws_and_ends_at_what_is_proven(count: int) -> None:
    scores = np.random.default_rng(count).normal(0, 1, (2000, count))
    held = 0
    for drawn in scores:
        proof = choose(drawn, 0.02, 0.95)
        found = proof.interval()
        held += found.low <= norm.sf(proof.value) <= found.high
    assert found.high == pytest.approx(proof.proven_rate)
    assert held / 2000 == pytest.approx(0.9, abs=0.025)


@pytest.mark.parametrize("confidence", [0.8, 0.9, 0.95, 0.99, 0.999])
def test_the_interval_ends_where_the_proof_does_whatever_confidence_was_asked(confidence: float) -> None:
    """Asked 99 % sure, a page called the upper end of a 90 % interval what 99 % proves: 1.18 % instead of 1.65 %."""
    for proof in (choose(np.linspace(0, 1, 400), 0.02, confidence), prove(400, 3, 0.02, confidence)):
        assert proof.interval().high == pytest.approx(proof.proven_rate)


@pytest.mark.parametrize(("rejected", "low"), [(0, 0.0), (3, 0.014)], ids=["none", "three"])
def test_a_threshold_that_was_there_before_has_the_interval_of_its_counts(rejected: int, low: float) -> None:
    found = prove(60, rejected, 0.02, 0.95).interval()
    assert found.value == rejected / 60
    assert found.low == pytest.approx(low, abs=1e-3)
    assert found.high == pytest.approx(prove(60, rejected, 0.02, 0.95).proven_rate)


def test_all_parts_rejected_prove_nothing_and_say_so() -> None:
    proof = prove(5, 5, 0.02, 0.95)
    assert isinstance(proof, ThresholdProof)
    assert (proof.proven_rate, proof.interval().high) == (1.0, 1.0)


def test_the_threshold_is_as_low_as_the_target_allows() -> None:
    """With many parts a few may lie above it: a maximum would let defects through for nothing."""
    scores = np.random.default_rng(0).permutation(1000).astype(float)
    proof = choose(scores, 0.02, 0.95)
    assert (proof.rejected, proof.value) == (12, 987.0)
    assert (scores > proof.value).sum() == proof.rejected
    assert proof.proven_rate <= 0.02


def test_too_few_parts_give_the_maximum_and_say_what_is_proven() -> None:
    proof = choose(np.arange(40, dtype=float), 0.02, 0.95)
    assert (proof.value, proof.rejected, proof.needed) == (39.0, 0, 149)
    assert proof.proven_rate == pytest.approx(1 - 0.05 ** (1 / 40))
    assert "2.00% was asked and needs 149" in str(proof)
    assert "7.22%" in str(proof)


@pytest.mark.parametrize(
    ("scores", "rate", "confidence"),
    [
        pytest.param([], 0.02, 0.95, id="none"),
        pytest.param([1.0, float("nan")], 0.02, 0.95, id="nan"),
        pytest.param([1.0], 0.0, 0.95, id="rate-0"),
        pytest.param([1.0], 1.0, 0.95, id="rate-1"),
        pytest.param([1.0], 0.02, 1.0, id="certainty"),
    ],
)
def test_what_gives_no_threshold_is_refused(scores: list[float], rate: float, confidence: float) -> None:
    with pytest.raises(RequestError, match="threshold"):
        choose(np.array(scores), rate, confidence)
