"""A map outside [0, 1] is a broken graph, never a clean part."""

import numpy as np
import pytest

from models.detections import Detections
from models.errors import ModelError


@pytest.mark.parametrize("value", [pytest.param(-5.0, id="below 0"), pytest.param(1.5, id="above 1")])
def test_a_map_out_of_range_is_refused(value: float) -> None:
    with pytest.raises(ModelError, match=r"map must lie in \[0, 1\]"):
        Detections.none(np.full((4, 4), value, np.float32))


@pytest.mark.parametrize("value", [pytest.param(0.0, id="0"), pytest.param(1.0, id="1")])
def test_a_map_at_its_limits_is_taken(value: float) -> None:
    assert Detections.none(np.full((4, 4), value, np.float32)).frame_score == value
