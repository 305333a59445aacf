"""An offer is not signed: what it asks can only be stricter than what the station itself does."""

import pytest

from cloud_sync.wire.messages import Job, Probation
from edge.config_sync import ReleaseSection
from edge.release.floors import in_shadow, on_probation

OWN = ReleaseSection(
    shadow_parts=300, live_parts=50, disagreement_most=0.1, undecided_most=0.02, reject_shift_most=0.2, escape_most=0.4
)
NOTHING = Probation(parts=1, disagreement_most=1, undecided_most=1, reject_shift_most=1, escape_most=1)


def job(asked: Probation | None) -> Job:
    return Job(job="j-1", kind="release", name="blob-v2.bundle", size_bytes=1, sha256="0" * 64, probation=asked)


@pytest.mark.parametrize("asked", [NOTHING, None], ids=["limits that hold nothing back", "no limits"])
def test_limits_of_an_offer_never_fall_below_the_stations_own(asked: Probation | None) -> None:
    shadow, live = in_shadow(job(asked), OWN), on_probation(job(asked), OWN)
    assert (shadow.parts, live.parts) == (300, 50 if asked else 100)
    for limits in (shadow, live):
        assert limits.disagreement_most <= 0.1
        assert limits.undecided_most <= 0.02
        assert limits.reject_shift_most <= 0.2
        assert limits.escape_most <= 0.4


def test_an_offer_may_ask_for_more_than_the_station_does() -> None:
    strict = Probation(parts=900, disagreement_most=0.01, undecided_most=0.0, reject_shift_most=0.05, escape_most=0.1)
    assert in_shadow(job(strict), OWN) == on_probation(job(strict), OWN) == strict


def test_a_station_that_says_nothing_lets_no_release_decide_unseen() -> None:
    """The defaults hold something back by themselves."""
    limits = in_shadow(job(NOTHING), ReleaseSection())
    assert limits == Probation(
        parts=100, disagreement_most=0.2, undecided_most=0.05, reject_shift_most=0.2, escape_most=0.5
    )
