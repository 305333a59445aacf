"""Frames matched to triggers by count, through every way to lose step."""

import random
from dataclasses import dataclass, field

import pytest

from edge.capture.industrial.trigger_count import CountCounters, OutOfStepError, TriggerCount, frames_between

WITHIN_S = 0.1
BEFORE = (-0.01, 0.02)


def counting() -> tuple[TriggerCount, CountCounters]:
    counters = CountCounters()
    return TriggerCount(WITHIN_S, counters), counters


@pytest.mark.parametrize(
    ("earlier", "later", "frames"),
    [
        pytest.param(1, 2, 1, id="the next"),
        pytest.param(5, 8, 3, id="two in between"),
        pytest.param(65_535, 1, 1, id="16 bit: 0 is skipped"),
        pytest.param(65_534, 2, 3, id="16 bit: a gap over the end"),
        pytest.param(65_535, 65_536, 1, id="64 bit: it goes on"),
        pytest.param(2**40, 2**40 + 2, 2, id="64 bit: far on"),
    ],
)
def test_frame_ids_are_counted_on(earlier: int, later: int, frames: int) -> None:
    assert frames_between(earlier, later) == frames


def test_each_frame_answers_its_trigger_over_the_end_of_the_ids() -> None:
    count, counters = counting()
    for number in range(1, 70_001):
        count.expect(number, number)
        assert count.arrived((number - 1) % 65_535 + 1, number + 0.05, complete=True) == number
    assert counters == CountCounters()


def test_a_frame_lost_on_the_way_costs_its_own_trigger_only() -> None:
    count, counters = counting()
    answers = []
    for number in range(1, 10):
        count.expect(number, number)
        if number != 4:
            answers.append(count.arrived(number, number + 0.05, complete=True))
    assert answers == [1, 2, 3, 5, 6, 7, 8, 9]
    assert counters.lost == 1


def test_where_the_very_first_frame_is_lost_nobody_can_know_and_the_camera_is_started_anew() -> None:
    count, _ = counting()
    count.expect(1, 1.0)
    count.expect(2, 2.0)
    with pytest.raises(OutOfStepError):
        count.arrived(2, 2.05, complete=True)


def test_an_incomplete_frame_uses_up_its_trigger_however_late_it_is_given_up() -> None:
    count, _ = counting()
    count.expect(1, 1.0)
    assert count.arrived(1, 1.5, complete=False) is None
    count.expect(2, 2.0)
    assert count.arrived(2, 2.05, complete=True) == 2


def test_a_frame_that_nobody_asked_for_answers_nobody() -> None:
    count, counters = counting()
    assert count.arrived(900, 1.0, complete=True) is None
    count.expect(1, 2.0)
    assert count.arrived(901, 2.05, complete=True) == 1
    assert counters.unasked == 1


def test_a_late_frame_answers_nobody_and_the_next_part_gets_its_own() -> None:
    count, counters = counting()
    count.expect(1, 1.0)
    assert count.arrived(1, 1.0 + WITHIN_S + 0.01, complete=True) is None
    count.expect(2, 2.0)
    assert count.arrived(2, 2.05, complete=True) == 2
    assert counters.late == 1


def test_a_trigger_that_the_camera_never_got_does_not_shift_the_frames() -> None:
    count, _ = counting()
    count.expect(1, 1.0)
    count.expect(2, 2.0)
    with pytest.raises(OutOfStepError, match="trigger 1 had no frame within 100 ms"):
        count.arrived(1, 2.05, complete=True)


def test_two_triggers_that_wait_at_once_get_no_frame_that_may_be_the_others() -> None:
    count, counters = counting()
    count.expect(1, 1.0)
    count.expect(2, 1.01)
    assert count.arrived(1, 1.05, complete=True) is None
    assert count.arrived(2, 1.06, complete=True) == 2
    assert counters.ambiguous == 1


@pytest.mark.parametrize("later", [pytest.param(10, id="the same frame again"), pytest.param(9, id="one from before")])
def test_ids_that_do_not_go_on_are_out_of_step(later: int) -> None:
    count, _ = counting()
    count.arrived(10, 1.0, complete=True)
    with pytest.raises(OutOfStepError, match="came after frame 10"):
        count.arrived(later, 1.1, complete=True)


def test_triggers_without_a_frame_are_counted_until_one_comes() -> None:
    count, _ = counting()
    count.arrived(10, 0.5, complete=True)
    for number in range(1, 5):
        count.expect(number, number)
    assert count.unanswered(3.5) == 3
    assert count.arrived(14, 4.05, complete=True) == 4
    assert count.unanswered(9.0) == 0


def test_how_long_the_newest_trigger_may_still_wait() -> None:
    count, _ = counting()
    assert count.unsettled_s(1.0) == 0
    count.expect(1, 1.0)
    assert count.unsettled_s(1.04) == pytest.approx(WITHIN_S - 0.04)
    assert count.unsettled_s(2.0) == 0
    count.arrived(1, 1.05, complete=True)
    assert count.unsettled_s(1.06) == 0


def test_a_trigger_that_is_heard_of_after_its_frame_gets_no_other_and_a_pause_mends_it() -> None:
    counters = CountCounters()
    count = TriggerCount(WITHIN_S, counters, started_s=-1.0)
    for number in range(1, 10):
        assert count.arrived(number, number * 0.08 + 1.0, complete=True) is None
        count.expect(number, number * 0.08 + 1.05)
    assert counters.unasked + counters.ambiguous == 9
    assert count.arrived(10, 2.5, complete=True) is None
    count.expect(10, 5.0)
    assert count.arrived(11, 5.05, complete=True) == 10


def test_a_trigger_just_after_the_start_gets_no_frame_as_its_own_may_have_come_before() -> None:
    count = TriggerCount(WITHIN_S, CountCounters(), started_s=1.0)
    count.expect(1, 1.35)
    assert count.arrived(1, 1.38, complete=True) is None
    count.expect(2, 1.55)
    assert count.arrived(2, 1.58, complete=True) == 2


def test_a_line_that_never_leaves_a_pause_is_told_what_is_wrong() -> None:
    count = TriggerCount(WITHIN_S, CountCounters(), started_s=1.0)
    for number in range(1, 30):
        count.expect(number, 1.0 + number * 0.05)
        count.arrived(number, 1.03 + number * 0.05, complete=True)
    count.expect(30, 2.5)
    with pytest.raises(OutOfStepError, match="announced before it is exposed, and parts must come further apart"):
        count.arrived(30, 2.53, complete=True)


@dataclass(order=True)
class Event:
    """Something that reaches the station: a trigger's message (frame 0), or a frame."""

    at_s: float
    part: int
    frame: int = 0
    exposed_s: float = 0.0
    complete: bool = True


@dataclass
class Line:
    """A line with a camera, simulated: parts come at a pace, and things go wrong at random; the truth is known.

    Args:
        announced_s: between which times after the exposure the station hears of a part; negative: before it.
    """

    random: random.Random
    spacing_s: float
    announced_s: tuple[float, float]
    restarts_ids: bool
    given: list[tuple[int, int]] = field(default_factory=list)
    exposed: int = 65_000

    def run(self, parts: int, faults: dict[str, float]) -> None:
        events = self._events(parts, faults)
        self._start(0.0)
        empty_until_s = 0.0
        for event in events:
            if not event.frame:
                self.count.expect(event.part, event.at_s)
            elif event.exposed_s > empty_until_s:
                try:
                    self._frame(event)
                except OutOfStepError:
                    empty_until_s = event.at_s
                    self._start(event.at_s)

    def _events(self, parts: int, faults: dict[str, float]) -> list[Event]:
        events: list[Event] = []
        heard_s = arrived_s = 0.0
        for part in range(1, parts + 1):
            at_s = 1.0 + part * self.spacing_s + (1.0 if part % 50 == 0 else 0.0)
            heard_s = max(heard_s, at_s + self.random.uniform(*self.announced_s))
            events.append(Event(heard_s, part))
            happened = self.random.choices(list(faults), list(faults.values()))[0]
            if happened == "missed":
                continue
            self.exposed += 1
            if happened != "lost":
                arrived_s = max(arrived_s, at_s + 0.03 + (self.random.uniform(0, 0.3) if happened == "late" else 0))
                events.append(Event(arrived_s, part, self.exposed, at_s, happened != "incomplete"))
        return sorted(events)

    def _start(self, now_s: float) -> None:
        self.count = TriggerCount(WITHIN_S, CountCounters(), now_s)
        self.first: int | None = None

    def _frame(self, event: Event) -> None:
        self.first = event.frame if self.first is None else self.first
        exposed = event.frame - self.first + 1 if self.restarts_ids else event.frame
        number = self.count.arrived((exposed - 1) % 65_535 + 1, event.at_s, complete=event.complete)
        if number is not None:
            self.given.append((number, event.part))


@pytest.mark.parametrize("restarts_ids", [pytest.param(True, id="ids from 1"), pytest.param(False, id="ids go on")])
@pytest.mark.parametrize(
    "spacing_s", [pytest.param(0.25, id="far"), pytest.param(0.11, id="close"), pytest.param(0.04, id="too close")]
)
@pytest.mark.parametrize(
    ("faults", "announced_s"),
    [
        pytest.param({"good": 0.9, "missed": 0.1}, BEFORE, id="triggers the camera missed"),
        pytest.param({"good": 0.9, "lost": 0.1}, BEFORE, id="frames lost"),
        pytest.param({"good": 0.9, "incomplete": 0.1}, BEFORE, id="frames incomplete"),
        pytest.param({"good": 0.9, "late": 0.1}, BEFORE, id="frames late"),
        pytest.param({"good": 1.0}, (0.04, 0.04), id="parts announced after their frames"),
        pytest.param({"good": 1.0}, (-0.02, 0.08), id="parts announced at any time"),
    ],
)
def test_no_part_ever_gets_its_neighbours_frame(
    faults: dict[str, float],
    announced_s: tuple[float, float],
    spacing_s: float,
    restarts_ids: bool,  # noqa: FBT001 - a column
) -> None:
    line = Line(random.Random(7), spacing_s, announced_s, restarts_ids)
    line.run(4_000, faults)
    assert [pair for pair in line.given if pair[0] != pair[1]] == []
    if spacing_s > 2 * WITHIN_S and announced_s == BEFORE:
        assert len(line.given) > 2_000
