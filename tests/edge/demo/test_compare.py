"""The demo may say yes only when line, station and cloud hold the same set, once each, equal in content."""

import pytest

from edge.demo.compare import Told, compare

A, B = "s/e/1", "s/e/2"
STATION = {A: "aa", B: "bb"}
CLOUD = [(A, "aa"), (B, "bb")]


def told(part: str, identity: str | None, sha256: str | None) -> Told:
    return Told(part, "PASS" if identity else "UNDECIDED", (), identity, sha256, 5.0)


LINE = [told("p1", A, "aa"), told("p2", B, "bb")]


def test_the_same_set_everywhere_is_equal() -> None:
    comparison = compare(LINE, STATION, CLOUD)
    assert comparison.equal
    assert comparison.differences() == {}


@pytest.mark.parametrize(
    ("line", "station", "cloud", "complaint"),
    [
        pytest.param([*LINE, LINE[0]], STATION, CLOUD, "told_twice", id="a part told twice"),
        pytest.param(LINE[:1], STATION, CLOUD, "station_not_told", id="committed, never told"),
        pytest.param([*LINE, told("p3", None, None)], STATION, CLOUD, "told_unrecorded", id="told without record"),
        pytest.param(LINE, {A: "aa"}, CLOUD[:1], "told_not_at_station", id="told, not on disk"),
        pytest.param(LINE, STATION, CLOUD[:1], "station_not_in_cloud", id="never reached the cloud"),
        pytest.param(LINE, STATION, [*CLOUD, ("s/e/3", "cc")], "cloud_not_at_station", id="cloud invents one"),
        pytest.param(LINE, STATION, [*CLOUD, CLOUD[0]], "cloud_twice", id="cloud holds one twice"),
        pytest.param(LINE, STATION, [(A, "aa"), (B, "xx")], "other_content", id="cloud holds other content"),
        pytest.param([LINE[0], told("p2", B, "xx")], STATION, CLOUD, "other_content", id="line heard other content"),
    ],
)
def test_every_difference_is_named_and_refused(
    line: list[Told], station: dict[str, str], cloud: list[tuple[str, str]], complaint: str
) -> None:
    comparison = compare(line, station, cloud)
    assert set(comparison.differences()) == {complaint}
    assert not comparison.equal
