"""What is held up on its way is known to be, from arrivals alone: made-up streams, no clock."""

import random
from collections.abc import Callable, Iterable

import pytest

from edge.capture.network.live import SETTLE_S, Liveness, PacedLiveness, StampedLiveness

PERIOD_S = 0.04
LATENCY_S = 0.05
NEAR_S = 0.011  # what may be unnoticed: see _FALL_S
Taken = tuple[float, float]


def steady(count: int, start_s: float = 100.0, latency_s: float = LATENCY_S) -> list[Taken]:
    """(taken, arrived) of images on time."""
    return [(start_s + number * PERIOD_S, start_s + number * PERIOD_S + latency_s) for number in range(count)]


def stalled(images: Iterable[Taken], at_s: float, for_s: float, pace_s: float = 0.001) -> list[Taken]:
    """The same images where the way was shut for a while and let them come `pace_s` apart at its end."""
    late, free_s = [], 0.0
    for taken_s, arrived_s in images:
        came_s = max(arrived_s, free_s)
        if at_s <= came_s < at_s + for_s:
            came_s = at_s + for_s
        free_s = came_s + pace_s
        late.append((taken_s, came_s))
    return late


def judged(liveness: Liveness, images: Iterable[Taken], stamp_zero_s: float = 77.0) -> list[tuple[float, float]]:
    """(taken, when it would have arrived had it not been held up) of the images that are believed."""
    believed = []
    for taken_s, arrived_s in images:
        held_s = liveness.held_s(arrived_s, taken_s - stamp_zero_s)
        if held_s is not None:
            assert held_s >= 0
            believed.append((taken_s, arrived_s - held_s))
    return believed


KINDS = [pytest.param(StampedLiveness, id="stamps"), pytest.param(PacedLiveness, id="pace")]
Make = Callable[[], Liveness]


@pytest.mark.parametrize("make", KINDS)
def test_a_steady_stream_is_believed_once_it_has_settled(make: Make) -> None:
    images = steady(100)
    believed = judged(make(), images)
    assert believed[0][0] - images[0][0] == pytest.approx(SETTLE_S, abs=2 * PERIOD_S)
    assert len(believed) > 80
    assert all(seen_s - taken_s == pytest.approx(LATENCY_S) for taken_s, seen_s in believed)


@pytest.mark.parametrize("make", KINDS)
@pytest.mark.parametrize(
    ("for_s", "pace_s"),
    [
        pytest.param(0.2, 0.001, id="short stall"),
        pytest.param(0.6, 0.001, id="longer stall"),
        pytest.param(0.6, 0.01, id="slow burst"),
        pytest.param(3.0, 0.02, id="long stall, twice the pace"),
        pytest.param(3.0, 0.028, id="long stall, little faster than live"),
    ],
)
def test_what_a_stall_held_back_is_never_taken_for_fresh(make: Make, for_s: float, pace_s: float) -> None:
    images = stalled(steady(600), 104.0, for_s, pace_s)
    believed = judged(make(), images)
    assert all(seen_s - taken_s <= LATENCY_S + NEAR_S for taken_s, seen_s in believed)
    assert believed[-1][0] == images[-1][0]


@pytest.mark.parametrize("make", KINDS)
def test_a_burst_of_old_images_at_the_opening_is_not_believed(make: Make) -> None:
    believed = judged(make(), stalled(steady(200), 100.0, 1.1))
    assert believed
    assert all(seen_s - taken_s <= LATENCY_S + NEAR_S for taken_s, seen_s in believed)


@pytest.mark.parametrize("make", KINDS)
def test_what_was_lost_in_a_pause_does_not_make_the_rest_look_late(make: Make) -> None:
    images = [image for image in steady(200) if not 104.0 < image[0] < 104.5]
    believed = judged(make(), images)
    assert all(seen_s - taken_s == pytest.approx(LATENCY_S) for taken_s, seen_s in believed)
    assert believed[-1][0] == images[-1][0]


def test_with_stamps_jitter_counts_as_held_up_and_no_image_is_lost() -> None:
    chance = random.Random(3)
    images = [(taken_s, arrived_s + chance.random() * 0.02) for taken_s, arrived_s in steady(500)]
    believed = judged(StampedLiveness(), images)
    assert len(believed) > 450
    assert max(seen_s - taken_s for taken_s, seen_s in believed) <= LATENCY_S + NEAR_S


@pytest.mark.parametrize("drift", [pytest.param(1e-4, id="slow camera clock"), pytest.param(-1e-4, id="fast one")])
def test_with_stamps_clocks_that_drift_apart_stay_believed(drift: float) -> None:
    liveness = StampedLiveness()
    held = [
        liveness.held_s(number * PERIOD_S, number * PERIOD_S * (1 - drift)) for number in range(int(200 / PERIOD_S))
    ]
    assert None not in held[20:]
    assert max(one for one in held[20:] if one is not None) < 0.01


@pytest.mark.parametrize("seed", range(20))
def test_without_stamps_a_jittery_stream_stays_believed(seed: int) -> None:
    """One late image at the start once set the usual pace, and every image after it was too fast."""
    chance = random.Random(seed)
    images = [(taken_s, arrived_s + chance.choice((0, 0, 0, 0.04))) for taken_s, arrived_s in steady(500)]
    assert len(judged(PacedLiveness(), images)) > 450


def test_stamps_that_jump_back_are_learned_anew() -> None:
    liveness = StampedLiveness()
    judged(liveness, steady(50))
    again = judged(liveness, steady(50, 200.0), stamp_zero_s=190.0)
    assert 30 < len(again) < 50
    assert all(seen_s - taken_s == pytest.approx(LATENCY_S) for taken_s, seen_s in again)


def test_stamps_that_stand_still_are_never_believed() -> None:
    liveness = StampedLiveness()
    assert {liveness.held_s(number * PERIOD_S, 0.0) for number in range(200)} == {None}


def test_a_stream_that_stays_late_by_more_than_a_second_is_not_believed() -> None:
    liveness = StampedLiveness()
    judged(liveness, steady(50))
    late = [(taken_s, arrived_s + 2) for taken_s, arrived_s in steady(500, 102.0)]
    assert judged(liveness, late) == []
