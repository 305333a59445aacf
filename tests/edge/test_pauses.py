"""What may wait waits for parts, but not for ever; and what was given up never runs."""

import threading
from collections.abc import Iterator
from typing import Self

import pytest
from brokers import eventually

from edge.pauses import NoPauseError, Pauses, may_run


class Looking:
    """A thread that offers pauses, as the one that looks at parts does; `slack` is what it has for them."""

    def __init__(self) -> None:
        self.pauses, self.slack = Pauses(), 1.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._stop.wait(0.002):
            self.pauses.offer(self.slack)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(5)


@pytest.fixture
def looking() -> Iterator[Looking]:
    with Looking() as made:
        yield made


@pytest.mark.parametrize(
    ("slack", "waited_s", "runs"),
    [
        pytest.param(1.0, 0.0, True, id="no part waits"),
        pytest.param(0.99, 0.1, False, id="a part waits: it comes first"),
        pytest.param(0.99, 0.6, True, id="half a second passed, and the part has time"),
        pytest.param(0.3, 60.0, False, id="the part has not"),
        pytest.param(-1.0, 60.0, False, id="the part is late"),
    ],
)
def test_parts_come_first(slack: float, waited_s: float, runs: bool) -> None:  # noqa: FBT001
    assert may_run(slack, waited_s) is runs


def test_an_errand_runs_in_the_looking_thread_and_its_fault_reaches_who_asked(looking: Looking) -> None:
    ran: list[str] = []
    looking.pauses.run(lambda: ran.append(threading.current_thread().name), 5, lambda: False)
    assert ran
    assert ran[0] != threading.current_thread().name
    for fault in (ValueError("no"), TimeoutError("slow")):
        with pytest.raises(type(fault), match=str(fault)):
            looking.pauses.run(lambda fault=fault: (_ for _ in ()).throw(fault), 5, lambda: False)  # type: ignore[misc]


def test_what_found_no_pause_never_runs_and_the_next_one_does(looking: Looking) -> None:
    ran: list[str] = []
    looking.slack = 0.0
    with pytest.raises(NoPauseError, match="no pause between parts"):
        looking.pauses.run(lambda: ran.append("first"), 0.2, lambda: False)
    with pytest.raises(NoPauseError, match="the station stops"):
        looking.pauses.run(lambda: ran.append("second"), 60, lambda: True)
    looking.slack = 1.0
    looking.pauses.run(lambda: ran.append("third"), 5, lambda: False)
    assert ran == ["third"]


def test_an_errand_that_began_in_time_is_waited_for_however_long_it_takes(looking: Looking) -> None:
    """It has started a request: whoever gave it up would never give that back, and the engine has few."""
    begun, may_end, ended = threading.Event(), threading.Event(), list[str]()

    def errand() -> None:
        begun.set()
        may_end.wait(5)
        ended.append("ended")

    asking = threading.Thread(target=lambda: (looking.pauses.run(errand, 0.1, lambda: False), ended.append("heard")))
    asking.start()
    assert begun.wait(20)
    asking.join(0.4)
    assert asking.is_alive()
    may_end.set()
    asking.join(5)
    assert ended == ["ended", "heard"]


def test_a_steady_line_is_interrupted_after_half_a_second_and_no_sooner(looking: Looking) -> None:
    looking.slack = 0.9
    done = threading.Event()
    asking = threading.Thread(target=lambda: looking.pauses.run(done.set, 5, lambda: False))
    asking.start()
    assert not done.wait(0.3)
    assert done.wait(20)
    asking.join(5)


def test_pauses_are_offered_often_only_while_somebody_wants_them() -> None:
    pauses = Pauses()
    usual_s = pauses.patience_s
    with pauses.wanted(), pauses.wanted():
        assert pauses.patience_s < usual_s / 10
    eventually(lambda: pauses.patience_s == usual_s)
