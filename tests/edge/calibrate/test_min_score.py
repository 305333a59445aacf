"""The min_score that a station's good parts suggest."""

import numpy as np
import pytest

from edge.calibrate.releases.min_score import suggest


def test_it_lies_just_above_the_order_statistic_so_that_the_part_that_set_it_passes() -> None:
    scores = np.linspace(0.1, 0.6, 200).astype(np.float32)
    found = suggest(scores, 0.02, 0.95, 0.05)
    assert found.value is not None
    assert found.proof.meets_target
    assert found.value > found.proof.value
    assert found.value == pytest.approx(found.proof.value, abs=0.0011)
    assert (scores >= found.value).sum() == found.proof.rejected


def test_it_is_never_below_what_is_reported_at_all() -> None:
    assert suggest(np.zeros(50, np.float32), 0.02, 0.95, 0.3).value == 0.3


@pytest.mark.parametrize("score", [1.0, float("nan")], ids=["sure", "no-reference-fits"])
def test_where_good_parts_are_rejected_whatever_the_score_there_is_none(score: float) -> None:
    scores = np.array([0.1] * 50 + [score], np.float32)
    found = suggest(scores, 0.02, 0.95, 0.05)
    assert found.value is None
    assert "No min_score keeps the overkill rate" in found.text
