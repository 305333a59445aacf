"""Calibrated probabilities and thresholds, on logits drawn from a known distribution."""

import numpy as np
import pytest
from scipy.special import expit

from models.classifier.calibration import (
    Calibration,
    best_odds,
    expected_error,
    fit_calibration,
    logits_of,
    odds_within,
    probabilities,
    reliability,
)


def drawn(count: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are three times too sure and shifted, and labels."""
    random = np.random.default_rng(0)
    honest = random.normal(0, 1.5, count)
    return 3 * honest[:, None] + 1, (random.random(count) < expit(honest)).astype(np.int64)


def test_calibration_finds_the_scale_and_shift_that_the_labels_were_drawn_by() -> None:
    logits, labels = drawn()
    found = fit_calibration(logits, labels)
    assert found.scale == pytest.approx(1 / 3, rel=0.1)
    assert found.shifts == pytest.approx([-1 / 3], abs=0.1)


def test_calibration_makes_the_error_small_that_was_large() -> None:
    logits, labels = drawn()
    found = fit_calibration(logits[::2], labels[::2])
    held, bad = logits[1::2], labels[1::2] > 0
    before = expected_error(reliability(probabilities(held)[:, 1], bad))
    after = expected_error(reliability(probabilities(found.apply(held))[:, 1], bad))
    assert before > 0.1
    assert after < 0.04


def test_a_calibration_can_be_undone_through_probabilities() -> None:
    logits = np.array([[0.5, -1.0], [-2.0, 3.0]])
    calibration = Calibration(0.5, np.array([0.2, -0.3]))
    assert calibration.undo(logits_of(probabilities(calibration.apply(logits)))) == pytest.approx(logits, abs=1e-3)


def test_the_threshold_lies_between_what_is_good_and_what_is_defective() -> None:
    assert -1 < best_odds(np.array([-3.0, -2.0, -1.0, 2.0, 4.0]), np.array([False, False, False, True, True])) < 2


def test_a_bound_on_overkill_holds_on_images_that_did_not_set_it() -> None:
    random = np.random.default_rng(1)
    kept = 0
    for _ in range(200):
        odds = np.concatenate([random.normal(-1, 1, 300), random.normal(1, 1, 200)])
        bound = odds_within(odds, np.arange(500) >= 300, 0.05)
        kept += (random.normal(-1, 1, 20_000) >= bound).mean() <= 0.05
    assert kept >= 180  # promised are 190; fewer than 180 come by chance once in 10,000


def test_a_bound_on_overkill_asks_for_no_more_overkill_than_the_fewest_mistakes_need() -> None:
    odds, bad = np.array([-3.0, -2.0, -1.0, 2.0, 4.0]), np.array([False, False, False, True, True])
    assert odds_within(odds, bad, 0.5) == best_odds(odds, bad)


def test_a_bound_that_every_defect_lies_below_rejects_none_of_the_good() -> None:
    odds, bad = np.array([1.0, 2.0, 3.0, -1.0]), np.array([False, False, False, True])
    assert odds_within(odds, bad, 0.05) > 3
