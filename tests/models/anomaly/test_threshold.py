import numpy as np
import pytest

from models.anomaly.threshold import choose, parts_needed
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
