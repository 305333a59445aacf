"""The handshake without a PLC: what it shows for what the PLC says."""

from itertools import pairwise, product

import pytest

from edge.domain.part import Verdict
from edge.line.outputs.handshake import Handshake, HandshakeRules, steps
from edge.line.outputs.memory import Asked, Shown
from edge.line.protocol import Ack, Trigger
from edge.line.said import Told

RULES = HandshakeRules("plc", {7: "blob"}, "", numbered=True, acknowledged=True, hold_s=2.0)
LOW = Asked(part_number=5, product=7)
UP = Asked(trigger=True, part_number=5, product=7)
ACKED = Asked(result_ack=True, part_number=5, product=7)


def ready(rules: HandshakeRules = RULES) -> Handshake:
    """A handshake that has seen a quiet PLC."""
    made = Handshake(rules)
    made.set_ready(True)
    assert made.see(LOW, 0.0) == ()
    return made


def with_result(verdict: Verdict = Verdict.PASS, rules: HandshakeRules = RULES) -> Handshake:
    made = ready(rules)
    made.see(UP, 0.1)
    made.see(LOW, 0.2)
    made.hear(Told("plc-5", verdict), 0.3)
    return made


def test_a_whole_part() -> None:
    made = ready()
    assert made.shown == Shown(ready=True)
    assert made.see(UP, 0.1) == (Trigger("plc-5", "blob", ()),)
    assert made.shown == Shown(trigger_ack=True, busy=True)
    assert made.see(LOW, 0.2) == ()
    assert made.shown == Shown(busy=True)
    made.hear(Told("plc-5", Verdict.PASS), 0.3)
    assert made.shown == Shown(ready=True, result_valid=True, pass_bit=True, result_number=5)
    assert made.see(ACKED, 0.4) == (Ack("plc-5"),)
    assert made.shown == Shown(ready=True)
    assert made.see(LOW, 0.5) == ()


@pytest.mark.parametrize(
    ("verdict", "bits"),
    [
        pytest.param(Verdict.PASS, (True, False, False), id="PASS"),
        pytest.param(Verdict.REJECT, (False, True, False), id="REJECT"),
        pytest.param(Verdict.UNDECIDED, (False, True, True), id="UNDECIDED is a fail with a bit of its own"),
    ],
)
def test_verdicts_are_bits(verdict: Verdict, bits: tuple[bool, bool, bool]) -> None:
    shown = with_result(verdict).shown
    assert (shown.pass_bit, shown.fail_bit, shown.undecided_bit) == bits


def test_a_trigger_that_was_up_before_the_station_looked_is_no_part_and_ready_says_so() -> None:
    made = Handshake(RULES)
    made.set_ready(True)
    assert made.see(UP, 0.0) == ()
    assert made.shown == Shown()
    assert made.see(LOW, 0.1) == ()
    assert made.shown == Shown(ready=True)
    assert made.see(UP, 0.2) == (Trigger("plc-5", "blob", ()),)


def test_a_result_ack_that_was_up_before_the_result_acknowledges_nothing() -> None:
    made = ready()
    made.see(UP, 0.1)
    made.see(ACKED, 0.2)
    made.hear(Told("plc-5", Verdict.PASS), 0.3)
    assert made.see(ACKED, 0.4) == ()
    assert made.see(LOW, 0.5) == ()
    assert made.see(ACKED, 0.6) == (Ack("plc-5"),)


def test_a_trigger_while_busy_is_not_taken_then_nor_later() -> None:
    made = ready()
    made.see(UP, 0.1)
    made.see(LOW, 0.2)
    assert made.see(UP, 0.3) == ()
    assert (made.overruns, made.shown.trigger_ack) == (1, False)
    made.hear(Told("plc-5", Verdict.PASS), 0.4)
    assert made.see(UP, 0.5) == ()
    assert not made.shown.ready


def test_a_new_trigger_withdraws_a_result_that_was_never_acknowledged() -> None:
    made = with_result()
    assert made.see(Asked(trigger=True, part_number=6, product=7), 0.4) == (Trigger("plc-6", "blob", ()),)
    assert made.shown == Shown(trigger_ack=True, busy=True)


def test_a_result_that_nobody_acknowledges_is_withdrawn_and_not_confirmed() -> None:
    made = with_result()
    assert made.see(LOW, 2.2) == ()
    assert made.shown.pass_bit
    assert made.see(LOW, 2.4) == ()
    assert made.shown == Shown(ready=True)


def test_a_verdict_of_another_part_is_not_shown() -> None:
    made = ready()
    made.hear(Told("plc-5", Verdict.PASS), 0.1)
    assert made.shown == Shown(ready=True)
    made.see(UP, 0.2)
    made.hear(Told("plc-4", Verdict.PASS), 0.3)
    assert made.shown == Shown(trigger_ack=True, busy=True)


def test_without_an_ack_signal_a_result_is_told_once_when_it_stands() -> None:
    made = with_result(rules=HandshakeRules("plc", {7: "blob"}, "", numbered=True, acknowledged=False, hold_s=2.0))
    assert made.stands() == (Ack("plc-5"),)
    assert made.stands() == ()
    assert made.see(ACKED, 0.5) == ()
    assert made.shown.result_valid


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        pytest.param(RULES, "#9", id="a number that means nothing is no product"),
        pytest.param(HandshakeRules("plc", {}, "blob", True, True, 2.0), "blob", id="one product"),
    ],
)
def test_product_numbers(rules: HandshakeRules, expected: str) -> None:
    made = ready(rules)
    assert made.see(Asked(trigger=True, product=9), 0.1)[0] == Trigger("plc-0", expected, ())


def test_parts_that_the_plc_does_not_number_are_numbered_on_over_connections() -> None:
    made = Handshake(HandshakeRules("plc-1", {}, "blob", numbered=False, acknowledged=True, hold_s=2.0))
    ids = []
    for _ in range(2):
        made.restart()
        made.see(LOW, 0.0)
        ids.append(made.see(UP, 0.1)[0].part_id)
    assert ids == ["plc-1-1", "plc-1-2"]


def test_the_heartbeat_fits_a_word() -> None:
    made = ready()
    for _ in range(0x10000 + 1):
        made.beat()
    assert made.shown.heartbeat == 1


RESULTS = [
    Shown(busy=True),
    Shown(ready=True),
    *(
        Shown(
            result_valid=True, pass_bit=verdict == 0, fail_bit=verdict > 0, undecided_bit=verdict > 1, result_number=n
        )
        for verdict, n in product(range(3), (1, 2))
    ),
]


@pytest.mark.parametrize("old", RESULTS, ids=str)
@pytest.mark.parametrize("new", RESULTS, ids=str)
def test_on_no_way_from_one_state_to_another_do_result_bits_change_while_valid(old: Shown, new: Shown) -> None:
    path = [old, *steps(old, new)]
    assert path[-1] == new
    for before, after in pairwise(path):
        bits = [(s.pass_bit, s.fail_bit, s.undecided_bit, s.result_number) for s in (before, after)]
        assert bits[0] == bits[1] or not (before.result_valid or after.result_valid)
    busy_fell = next((s for s in path if not s.busy), new)
    assert not old.busy or busy_fell == new, "Busy may not fall before the result is valid"
