"""What triggers may ask of the store, and the desk for drift that some of it comes from."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from facts_kit import DriftFacts, LabelFacts, drift_facts, label_facts
from labels_kit import PRODUCT, declare, feedback, id_of, inspection, receive, sample, say
from outboxes import AT, EPOCH, STATION
from stores import ask, engine

from cloud_sync.hub.labels.drift_desk import DriftDesk
from cloud_sync.hub.labels.facts import OverruleFacts, overrule_facts
from cloud_sync.hub.labels.projecting import catch_up
from cloud_sync.hub.labels.truths import LabelBox, boxed, defect, good, unsure
from cloud_sync.hub.store.writing import StoreWriter
from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.messages import DriftMessage, DriftSigns


def facts(place: str, since_seq: int = 0, trained: tuple[str, ...] = ()) -> LabelFacts:
    with engine(place).connect() as connection:
        return label_facts(connection, PRODUCT, since_seq, trained)


def test_labels_are_counted_by_class_since_a_run_and_classes_that_the_model_does_not_know_are_named(place: str) -> None:
    receive(place, *(sample(seq, seq) for seq in range(1, 8)))
    catch_up(place)
    declare(place, "crack", "dent")
    say(place, id_of(1), good())
    say(place, id_of(2), defect("crack"))
    first = facts(place)
    say(place, id_of(1), defect("crack"))
    say(place, id_of(3), boxed([LabelBox("crack", (0, 0, 5, 5)), LabelBox("dent", (0, 0, 9, 9))]))
    say(place, id_of(4), unsure())
    say(place, id_of(5), good(), "Ada", seen=0)
    say(place, id_of(5), defect("dent"), "Bo", seen=0)

    then = facts(place, first.labels_seq, ("crack",))

    assert (first.labels_seq, dict(first.new), first.never_trained) == (2, {"crack": 1, "good": 1}, ("crack",))
    assert dict(then.new) == {"crack": 2, "dent": 2}
    assert dict(then.total) == {"crack": 3, "dent": 2}
    assert (then.never_trained, then.unsure, then.conflicts, then.unlabelled) == (("dent",), 1, 1, 2)
    assert facts(place, then.labels_seq).new_images == 0


def test_the_overrule_rate_is_of_all_that_people_looked_at(place: str) -> None:
    receive(place, *(inspection(seq) for seq in range(1, 5)))
    receive(place, *(feedback(seq, seq, "REJECT", "good", is_right=seq > 1) for seq in range(1, 5)))
    catch_up(place)
    at_ms = int(AT.timestamp() * 1000)

    with engine(place).connect() as connection:
        found = overrule_facts(connection, PRODUCT, at_ms)
        assert (found.looked_at, found.wrong, found.rate) == (4, 1, 0.25)
        assert overrule_facts(connection, PRODUCT, at_ms + 1) == OverruleFacts(PRODUCT, 0, 0)
        assert overrule_facts(connection, "lid").rate is None


def signs(*alarms: bool, product: str = PRODUCT, limit: float = 1.5) -> list[DriftSigns]:
    names = ("brightness", "focus", "score", "overrule")
    return [
        DriftSigns(
            product=product, camera="top", sign=name, alarm=alarm, statistic=2.5, limit=limit, parts=50, since=AT
        )  # type: ignore[arg-type]
        for name, alarm in zip(names, alarms, strict=False)
    ]


def hear(place: str, said: list[DriftSigns], minutes: float = 0, epoch: str = EPOCH) -> None:
    message = DriftMessage(at=AT + timedelta(minutes=minutes), epoch=epoch, signs=said)
    with StoreWriter(place) as writer:
        writer.commit(lambda connection: DriftDesk().take(connection, STATION, "drift", message.pack(), 7))


def changes(place: str) -> list[tuple[object, bool]]:
    rows = ask(place, "SELECT said_at_ms, sign, alarm FROM drift_changes")
    return [(sign, bool(alarm)) for _, sign, alarm in rows]


def drift(place: str) -> DriftFacts:
    with engine(place).connect() as connection:
        return drift_facts(connection, PRODUCT)


def test_the_last_word_on_drift_stands_and_each_alarm_that_begins_or_ends_is_kept(place: str) -> None:
    hear(place, signs(False, False))
    assert (drift(place).alarms, drift(place).watched) == ((), 2)
    hear(place, signs(True, False), 1)
    hear(place, signs(True, False), 2)
    assert [(alarm.station, alarm.sign, alarm.threshold) for alarm in drift(place).alarms] == [
        (STATION, "brightness", 1.5)
    ]
    hear(place, signs(False, True), 3)

    assert changes(place) == [("brightness", True), ("brightness", False), ("focus", True)]
    assert [alarm.sign for alarm in drift(place).alarms] == ["focus"]


def test_a_word_on_drift_that_comes_twice_or_late_changes_nothing(place: str) -> None:
    hear(place, signs(True), 1)
    hear(place, signs(False), 2)
    hear(place, signs(True), 1)
    assert drift(place).alarms == ()
    hear(place, signs(False), 2)

    assert changes(place) == [("brightness", True), ("brightness", False)]
    assert drift(place).alarms == ()


def test_a_station_whose_clock_was_set_back_or_that_began_anew_is_heard(place: str) -> None:
    hear(place, signs(False), 60)
    hear(place, signs(True), 0)
    assert len(drift(place).alarms) == 1
    hear(place, signs(False), -1, "ef" * 16)
    assert drift(place).alarms == ()


def test_an_alarm_ends_with_the_sign_that_is_watched_no_more(place: str) -> None:
    hear(place, signs(True, True))
    hear(place, signs(True), 1)

    assert changes(place)[-1] == ("focus", False)
    assert drift(place).watched == 1


def test_drift_that_is_none_of_our_protocol_is_no_drift(place: str) -> None:
    with StoreWriter(place) as writer, pytest.raises(LinkError, match="DriftMessage"):
        writer.commit(lambda connection: DriftDesk().take(connection, STATION, "drift", b'{"signs": 7}', 1))


def test_facts_are_read_without_a_write(place: str) -> None:
    StoreWriter(place).close()
    with engine(place).connect() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA query_only=ON")
        else:
            connection.execute(sa.text("SET TRANSACTION READ ONLY"))
        assert label_facts(connection, PRODUCT) == LabelFacts(PRODUCT, 0, {}, {}, (), 0, 0, 0)
        assert drift_facts(connection, PRODUCT) == DriftFacts(PRODUCT, (), 0)
