import math

import pytest

from edge.bench.figures import latency, tail, text_ms
from edge.bench.settings import (
    MOST_CAMERAS,
    BrokerState,
    Setting,
    choose_settings,
    parse_cameras,
    parts_in_flight,
)
from edge.domain.errors import ConfigError
from edge.domain.percentile import percentile


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        pytest.param([7], 0.5, 7, id="one value is every percentile"),
        pytest.param([7], 0.999, 7, id="one value is the last, too"),
        pytest.param([1, 2], 0.5, 1, id="half of two is the first"),
        pytest.param([1, 2, 3], 0.5, 2, id="the middle"),
        pytest.param(range(1, 101), 0.99, 99, id="the 99th of a hundred, not the worst"),
        pytest.param(range(1, 101), 0.07, 7, id="0.07 x 100 is a little more than 7"),
        pytest.param(range(1, 1001), 0.999, 999, id="the 999th of a thousand"),
        pytest.param(range(1, 1002), 0.999, 1000, id="one more moves it up"),
        pytest.param(range(1, 101), 0.0, 1, id="none lies below the least"),
        pytest.param(range(1, 101), 1.0, 100, id="all"),
    ],
)
def test_a_percentile_is_the_nearest_rank(values: list[float], share: float, expected: float) -> None:
    assert percentile(list(values), share) == expected


@pytest.mark.parametrize(
    ("parts", "unknown"),
    [
        pytest.param(0, {"p50", "p90", "p99", "p99_9", "max"}, id="no part"),
        pytest.param(9, {"p90", "p99", "p99_9"}, id="nine"),
        pytest.param(99, {"p99", "p99_9"}, id="ninety-nine"),
        pytest.param(999, {"p99_9"}, id="one too few"),
        pytest.param(1000, set(), id="a thousand"),
    ],
)
def test_a_percentile_of_too_few_parts_is_not_measured(parts: int, unknown: set[str]) -> None:
    found = latency([float(number) for number in range(parts, 0, -1)])
    assert found.parts == parts
    assert {name for name, value in found.as_json().items() if value is None} == unknown
    assert text_ms(found.p99_9, found.parts) == ("999.0" if parts == 1000 else f"not measured ({parts})")


def test_a_tail_falls_from_all_to_none_and_ends_at_the_worst() -> None:
    points = tail([float(number) for number in range(1, 2001)])
    times, shares = zip(*points, strict=True)
    assert list(times) == sorted(times)
    assert list(shares) == sorted(shares, reverse=True)
    assert points[-1] == (2000.0, 0.0)
    assert len(points) <= 82
    assert any(math.isclose(share, 0.001, rel_tol=0.2) for share in shares)
    assert tail([]) == []
    assert tail([5.0]) == [(5.0, 0.0)]


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        pytest.param("1,2,4", (1, 2, 4), id="as given"),
        pytest.param("4, 1,4", (1, 4), id="sorted, once each"),
        pytest.param(str(MOST_CAMERAS), (MOST_CAMERAS,), id="the most"),
    ],
)
def test_camera_counts(text: str, counts: tuple[int, ...]) -> None:
    assert parse_cameras(text) == counts


@pytest.mark.parametrize("text", ["", "0", "-1", "two", "1,,2", "1.5", str(MOST_CAMERAS + 1)])
def test_camera_counts_that_cannot_be(text: str) -> None:
    with pytest.raises(ConfigError, match="--cameras is a list of 1 to 16"):
        parse_cameras(text)


def test_one_thing_is_changed_at_a_time() -> None:
    settings = choose_settings((1, 2), quick=False)
    assert settings[:2] == (Setting(1), Setting(2))
    for setting in settings[2:]:
        assert (setting.images == "all") + (setting.broker is not BrokerState.NONE) == 1
    assert {setting.broker for setting in settings} == set(BrokerState)
    assert set(choose_settings((1, 2), quick=True)) < set(settings)


@pytest.mark.parametrize(
    ("one_ms", "parts"),
    [
        pytest.param(0.0, 4, id="no time at all"),
        pytest.param(10, 4, id="plenty"),
        pytest.param(100, 3, id="as many as come in time"),
        pytest.param(900, 1, id="one is late already"),
    ],
)
def test_waiting_for_one_another_alone_makes_no_part_late(one_ms: float, parts: int) -> None:
    assert parts_in_flight(500, one_ms) == parts
