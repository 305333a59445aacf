"""What is a reason to kill the station and start it again, and what is none: decided from signs alone."""

import time

import pytest

from edge.pulse import Pulse
from edge.watchdog import Sign, judge

PATIENCE_S = 30.0
GOES_ROUND = [Sign("the line port", 0), Sign("look", 0), Sign("judge", 0), Sign("commit", 0), Sign("camera", 0)]


@pytest.mark.parametrize(
    "signs",
    [
        pytest.param(GOES_ROUND, id="an idle line: every thread waits for its next, and goes round meanwhile"),
        pytest.param([*GOES_ROUND, Sign("camera 'side'", 29.9)], id="late, but not yet hung"),
        pytest.param(
            [*GOES_ROUND, Sign("camera 'side'", 1e6, restart_helps=False)],
            id="a driver that hangs since the start: unplugged, or its network is away",
        ),
        pytest.param([*GOES_ROUND, Sign("commit", 1e6, restart_helps=False)], id="a disk that took nothing since"),
        pytest.param([], id="nothing runs yet"),
    ],
)
def test_what_a_restart_does_not_mend_is_fed(signs: list[Sign]) -> None:
    assert judge(signs, PATIENCE_S).feed


@pytest.mark.parametrize("name", [sign.name for sign in GOES_ROUND])
def test_a_thread_that_worked_and_hangs_is_not_fed_and_named(name: str) -> None:
    signs = [Sign(sign.name, 30.1 if sign.name == name else 0) for sign in GOES_ROUND]
    assert judge(signs, PATIENCE_S).feed is False
    assert judge(signs, PATIENCE_S).why == f"{name} has not moved for 30 s"


def test_a_hang_that_a_restart_does_not_mend_is_named_as_such() -> None:
    assert "never did since the start: a restart would not help" in judge([Sign("x", 31, restart_helps=False)], 30).why


def test_threads_of_a_process_that_was_paused_as_a_whole_do_not_hang() -> None:
    late = [Sign(sign.name, 500) for sign in GOES_ROUND]
    assert judge(late, PATIENCE_S, stood_still_s=499).feed
    assert not judge(late, PATIENCE_S, stood_still_s=0.1).feed


def test_one_hang_that_a_restart_mends_is_enough_beside_one_that_it_does_not() -> None:
    both = judge([Sign("a", 31, restart_helps=False), Sign("b", 31)], PATIENCE_S)
    assert (both.feed, both.why.count(";")) == (False, 1)


def test_a_pulse_is_late_only_once_it_has_begun_and_its_slack_is_over() -> None:
    pulse = Pulse(slack_s=5)
    assert pulse.late_s(time.monotonic() + 1e6) == 0
    pulse.beat()
    now_s = time.monotonic()
    assert pulse.late_s(now_s + 4) == 0
    assert pulse.late_s(now_s + 15) == pytest.approx(10, abs=0.5)
