import random
from collections import Counter

import pytest

from edge.domain.inspection import Outcome, OutcomeOf
from edge.domain.part import Verdict
from edge.line.ledger import Ledger

DEADLINE_S = 1.0
ACK_S = 2.0


def ledger() -> Ledger:
    return Ledger(DEADLINE_S, ACK_S)


def one(ledger: Ledger) -> OutcomeOf:
    (outcome,) = ledger.take_outcomes()
    return outcome


def told(verdict: Verdict = Verdict.PASS, at_s: float = 0.4, *, sent: bool = True) -> Ledger:
    waits = ledger()
    assert waits.open("a", 1, 0.0)
    assert waits.tell("a", 0.0, verdict, at_s, sent=sent)
    return waits


def test_a_verdict_told_and_acknowledged_is_told() -> None:
    waits = told()
    waits.commit("a", 0.0, 7)
    assert waits.acknowledge("a", 1)
    assert one(waits) == OutcomeOf(7, "a", Outcome.TOLD, Verdict.PASS, 400.0)


def test_the_order_of_acknowledgement_and_commit_does_not_matter() -> None:
    waits = told(Verdict.UNDECIDED)
    assert waits.acknowledge("a", 1)
    assert waits.take_outcomes() == []
    waits.commit("a", 0.0, 7)
    assert one(waits) == OutcomeOf(7, "a", Outcome.TOLD, Verdict.UNDECIDED, 400.0)


def test_after_the_deadline_undecided_is_told_and_the_outcome_is_late() -> None:
    waits = ledger()
    waits.open("a", 1, 0.0)
    assert waits.due(0.99) == []
    assert waits.due(1.0) == ["a"]
    assert waits.expire("a", 1.0, sent=True)
    waits.commit("a", 0.0, 7)
    assert one(waits) == OutcomeOf(7, "a", Outcome.LATE, Verdict.UNDECIDED, 1000.0)


@pytest.mark.parametrize("verdict", [pytest.param(verdict, id=verdict.value) for verdict in Verdict])
def test_a_verdict_that_comes_at_its_deadline_is_not_told_even_before_the_part_is_expired(verdict: Verdict) -> None:
    waits = ledger()
    waits.open("a", 1, 0.0)
    assert not waits.tell("a", 0.0, verdict, DEADLINE_S, sent=True)
    assert waits.due(DEADLINE_S) == ["a"]


def test_a_verdict_nobody_could_be_sent_is_unconfirmed_and_says_that_nothing_was_told() -> None:
    waits = told(sent=False)
    waits.commit("a", 0.0, 7)
    assert one(waits) == OutcomeOf(7, "a", Outcome.UNCONFIRMED, None, None)


def test_a_verdict_without_acknowledgement_becomes_unconfirmed() -> None:
    waits = told()
    waits.commit("a", 0.0, 7)
    waits.sweep(0.4 + ACK_S - 0.01)
    assert waits.take_outcomes() == []
    waits.sweep(0.4 + ACK_S)
    assert one(waits).outcome is Outcome.UNCONFIRMED
    assert not waits.acknowledge("a", 1)


def test_a_connection_that_ends_confirms_nothing_more() -> None:
    waits = told()
    waits.commit("a", 0.0, 7)
    waits.disconnect(2)
    assert waits.take_outcomes() == []
    waits.disconnect(1)
    assert one(waits).outcome is Outcome.UNCONFIRMED


def test_another_connection_cannot_acknowledge() -> None:
    waits = told()
    assert not waits.acknowledge("a", 2)


def test_two_parts_under_one_id_are_not_both_opened() -> None:
    waits = ledger()
    assert waits.open("a", 1, 0.0)
    assert not waits.open("a", 1, 0.1)
    assert waits.expire("a", 0.1, sent=True)
    assert not waits.tell("a", 0.0, Verdict.PASS, 0.2, sent=True)
    assert not waits.tell("a", 0.1, Verdict.PASS, 0.2, sent=True)


def test_an_earlier_part_of_the_same_id_does_not_answer_for_the_later() -> None:
    waits = told()
    waits.commit("a", 0.0, 7)
    assert waits.open("a", 1, 0.5)
    assert one(waits).outcome is Outcome.UNCONFIRMED
    assert not waits.tell("a", 0.0, Verdict.PASS, 0.6, sent=True)
    waits.commit("a", 0.0, 8)
    assert one(waits) == OutcomeOf(8, "a", Outcome.LATE, None, None)
    assert waits.tell("a", 0.5, Verdict.REJECT, 0.6, sent=True)


@pytest.mark.parametrize("since_s", [pytest.param(30.0, id="half a minute"), pytest.param(86_400.0, id="a day")])
def test_what_was_told_while_the_disk_failed_is_known_when_its_record_comes(since_s: float) -> None:
    waits = told(Verdict.UNDECIDED)
    assert waits.acknowledge("a", 1)
    waits.sweep(since_s)
    waits.open("a", 1, since_s)
    waits.commit("a", 0.0, 7)
    assert one(waits) == OutcomeOf(7, "a", Outcome.TOLD, Verdict.UNDECIDED, 400.0)


def test_a_disk_that_fails_for_ever_takes_no_memory_for_ever() -> None:
    waits = ledger()
    for number in range(20_001):
        waits.open(f"p{number}", 1, float(number))
        waits.tell(f"p{number}", float(number), Verdict.UNDECIDED, number + 0.1, sent=False)
    waits.commit("p0", 0.0, 1)
    waits.commit("p1", 1.0, 2)
    assert [outcome.outcome for outcome in waits.take_outcomes()] == [Outcome.LATE, Outcome.UNCONFIRMED]


class Line:
    """A ledger driven at random, and what a line would have seen of it."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.ledger = Ledger(0.5, 0.7)
        self.now_s = 0.0
        self.opened: dict[tuple[str, float], int] = {}
        self.told: dict[tuple[str, float], list[tuple[Verdict, float]]] = {}
        self.uncommitted: list[tuple[str, float]] = []
        self.committed: dict[int, tuple[str, float]] = {}
        self.outcomes: list[OutcomeOf] = []
        self.waiting: dict[str, tuple[str, float]] = {}

    def step(self) -> None:
        self.now_s += self.random.random() * 0.1
        action = self.random.choice([self.open, self.tell, self.expire, self.commit, self.commit, self.ack, self.leave])
        action()
        self.ledger.sweep(self.now_s)
        self.outcomes += self.ledger.take_outcomes()

    def open(self) -> None:
        key = (f"p{self.random.randrange(8)}", self.now_s)
        if self.ledger.open(key[0], self.random.randrange(2), key[1]):
            self.opened[key] = 1
            self.told[key] = []
            self.waiting[key[0]] = key
            self.uncommitted.append(key)

    def tell(self) -> None:
        if self.opened:
            key = self.random.choice(list(self.opened))
            verdict = self.random.choice(list(Verdict))
            if self.ledger.tell(*key, verdict, self.now_s, sent=self.random.random() < 0.8):
                self.told[key].append((verdict, self.now_s))
                assert self.waiting.pop(key[0]) == key

    def expire(self) -> None:
        for part_id in self.ledger.due(self.now_s):
            key = self.waiting.pop(part_id)
            assert self.ledger.expire(part_id, self.now_s, sent=True)
            self.told[key].append((Verdict.UNDECIDED, self.now_s))

    def commit(self) -> None:
        if self.uncommitted:
            key = self.uncommitted.pop(self.random.randrange(len(self.uncommitted)))
            seq = len(self.committed) + 1
            self.committed[seq] = key
            self.ledger.commit(*key, seq)

    def ack(self) -> None:
        self.ledger.acknowledge(f"p{self.random.randrange(8)}", self.random.randrange(2))

    def leave(self) -> None:
        if self.random.random() < 0.2:
            self.ledger.disconnect(self.random.randrange(2))

    def finish(self) -> None:
        self.now_s += 10
        self.expire()
        while self.uncommitted:
            self.commit()
        self.ledger.sweep(self.now_s + 10)
        self.outcomes += self.ledger.take_outcomes()


@pytest.mark.parametrize("seed", [pytest.param(seed, id=f"seed {seed}") for seed in range(60)])
def test_in_any_order_each_part_is_told_once_and_each_record_has_one_outcome(seed: int) -> None:
    line = Line(seed)
    for _ in range(400):
        line.step()
    line.finish()
    assert all(len(verdicts) == 1 for verdicts in line.told.values())
    for (_, triggered_s), [(verdict, told_s)] in line.told.items():
        assert verdict is Verdict.UNDECIDED or told_s < triggered_s + 0.5
    assert Counter(outcome.seq for outcome in line.outcomes) == Counter(dict.fromkeys(line.committed, 1))
    for outcome in line.outcomes:
        verdict, told_s = line.told[line.committed[outcome.seq]][0]
        assert outcome.told_verdict in {verdict, None}
        assert outcome.outcome is not Outcome.TOLD or outcome.told_verdict is verdict
    assert line.ledger.waiting() == 0
