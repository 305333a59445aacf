"""What stations send of samples, images and operators' words becomes one table, once, in any order."""

import itertools
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from brokers import eventually
from clouds import CloudThread
from labels_kit import (
    PRODUCT,
    STREAMS,
    declare,
    feedback,
    id_of,
    images,
    inspection,
    picture,
    receive,
    sample,
    say,
)
from outboxes import AT, EPOCH, STATION
from senders import sender
from stores import ask, engine

from cloud_sync.hub.collecting import desks
from cloud_sync.hub.labels.operators import boxes_said
from cloud_sync.hub.labels.projecting import catch_up
from cloud_sync.hub.labels.sample_desk import SampleDesk
from cloud_sync.hub.labels.truths import defect, good
from cloud_sync.hub.store.writing import StoreWriter
from cloud_sync.wire import topics
from cloud_sync.wire.envelopes import pack_batch
from cloud_sync.wire.memory import MemoryLink
from cloud_sync.wire.memory_broker import MemoryBroker
from cloud_sync.wire.messages import DriftMessage, DriftSigns
from cloud_sync.wire.outbox import OutboxRow, Stream
from cloud_sync.wire.records import (
    TAKEN_BACK,
    FeedbackRecord,
    PartRecord,
    SaidBoxRecord,
    canonical_json,
    read_record,
)

PICTURE = picture(1)
STORY: tuple[PartRecord, ...] = (
    inspection(7),
    images(7, {"top": PICTURE}),
    sample(1, 7, ["uncertain"]),
    sample(2, 7, ["overruled", "uncertain"]),
    feedback(1, 7, "REJECT", "good"),
)


def seen(place: str) -> dict[str, object]:
    """What became of the story, however it was told."""
    return {
        "samples": ask(place, "SELECT id, product, station, seq, camera, part_id, sha256, dropped FROM samples"),
        "reasons": ask(place, "SELECT sample, reason FROM sample_reasons"),
        "feedback": ask(place, "SELECT product, views, is_right FROM feedback"),
        "labels": ask(place, "SELECT seq, sample, says, source, said_by FROM labels"),
        "arrivals": ask(place, "SELECT * FROM arrivals"),
    }


def test_records_in_any_order_become_one_sample_with_its_image_its_reasons_and_the_operators_label(
    place: str,
) -> None:
    receive(place, *STORY)
    catch_up(place)
    expected = seen(place)

    assert expected["reasons"] == [(id_of(7), "overruled"), (id_of(7), "uncertain")]
    assert expected["labels"] == [(1, id_of(7), "good", "feedback", "Kim")]
    assert len(expected["samples"]) == 1  # type: ignore[arg-type]
    assert expected["arrivals"] == []


@pytest.mark.parametrize("order", list(itertools.permutations(range(5)))[::31])
def test_the_order_in_which_records_come_does_not_matter(tmp_path: object, order: tuple[int, ...]) -> None:
    one, other = f"{tmp_path}/one.db", f"{tmp_path}/other.db"
    receive(one, *STORY)
    catch_up(one)
    for step in order:
        receive(other, STORY[step])
        catch_up(other)

    assert seen(other) == seen(one)


def test_a_record_that_comes_again_is_seen_to_once(place: str) -> None:
    receive(place, *STORY)
    catch_up(place)
    before = seen(place)
    receive(place, *STORY)

    assert catch_up(place).records == 0
    assert seen(place) == before


def test_a_sample_waits_for_its_image_and_one_whose_image_was_dropped_waits_no_more(place: str) -> None:
    receive(place, sample(1, 1), sample(2, 2), sample(3, 3), images(2, {}, ["top"]))
    catch_up(place)

    found = ask(place, "SELECT seq, sha256, dropped FROM samples")
    assert [(row[0], row[1], bool(row[2])) for row in found] == [(1, None, False), (2, None, True), (3, None, False)]

    receive(place, images(3, {"top": PICTURE, "side": b"x"}))
    assert catch_up(place).images == 1


def test_many_collectors_see_to_each_record_once(place: str) -> None:
    receive(place, *(sample(seq, seq) for seq in range(1, 61)), *(inspection(seq) for seq in range(1, 61)))
    receive(place, *(feedback(seq, seq, "REJECT", "good") for seq in range(1, 61)))

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(catch_up, [place] * 4))

    assert sum(step.records for step in done) == 120
    assert ask(place, "SELECT count(*), min(seq), max(seq) FROM labels") == [(60, 1, 60)]
    assert ask(place, "SELECT value FROM label_counter") == [(60,)]


def test_the_desk_does_it_beside_the_collector_a_little_at_a_time(place: str) -> None:
    receive(place, *(sample(seq, seq) for seq in range(1, 51)))
    receive(place, *(images(seq, {"top": PICTURE}) for seq in range(1, 51)))
    clock = iter(range(1000))

    with SampleDesk(place, clock_s=lambda: float(next(clock))) as desk:
        desk.work(lambda _: True)
        assert 0 < ask(place, "SELECT count(*) FROM samples")[0][0] < 50  # type: ignore[operator]
        for _ in range(8):
            desk.work(lambda _: True)

    assert ask(place, "SELECT count(*), count(sha256) FROM samples") == [(50, 50)]


def test_a_defect_in_one_record_stops_no_other(place: str) -> None:
    receive(place, sample(1, 1), sample(2, 2))
    with StoreWriter(place) as writer:
        spoil = "UPDATE records SET payload = CAST('nonsense' AS {}) WHERE seq = 1"
        kind = "bytea" if "://" in place else "BLOB"
        writer.commit(lambda connection: connection.exec_driver_sql(spoil.format(kind)))

    done = catch_up(place)

    assert (done.records, done.faults) == (1, 1)
    assert [row[0] for row in ask(place, "SELECT seq FROM samples")] == [2]
    assert "ValidationError" in str(ask(place, "SELECT fault FROM arrivals"))
    assert catch_up(place).faults == 0


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a class, made once."""
    place = tmp_path_factory.mktemp("empty") / "store.db"
    StoreWriter(str(place)).close()
    declare(str(place), "scratch")
    return place


WORDS = [
    pytest.param("REJECT", "", False, ("good", ""), id="rejected wrongly is good"),
    pytest.param("REJECT", "good", False, ("good", ""), id="rejected wrongly, said good"),
    pytest.param("REJECT", "Scratch", True, ("defect", "scratch"), id="rejected rightly, named"),
    pytest.param("REJECT", "", True, None, id="rejected rightly, not named"),
    pytest.param("REJECT", "good", True, None, id="rejected rightly and good contradict each other"),
    pytest.param("REJECT", "scratch", False, None, id="rejected wrongly and a scratch contradict each other"),
    pytest.param("PASS", "scratch", False, ("defect", "scratch"), id="passed wrongly, named"),
    pytest.param("PASS", "scrtach", False, None, id="a name that nobody declared"),
    pytest.param("PASS", "", True, ("good", ""), id="passed rightly"),
    pytest.param("UNDECIDED", "scratch", False, ("defect", "scratch"), id="undecided, named"),
    pytest.param("UNDECIDED", "", False, None, id="undecided, not named"),
]


@pytest.mark.parametrize(("verdict", "label", "right", "expected"), WORDS)
def test_an_operators_word_is_a_label_where_nothing_has_to_be_guessed(
    tmp_path: Path,
    empty: Path,
    verdict: str,
    label: str,
    right: bool,  # noqa: FBT001 - a table's column
    expected: tuple[str, str] | None,
) -> None:
    store = str(shutil.copy(empty, tmp_path / "store.db"))
    receive(store, inspection(1, verdict), sample(1, 1), feedback(1, 1, verdict, label, is_right=right))
    catch_up(store)

    assert ask(store, "SELECT says, classes FROM labels") == ([expected] if expected else [])


def test_of_a_part_with_two_cameras_nobody_guesses_which_one_is_meant(place: str) -> None:
    receive(place, inspection(1, cameras=("top", "side")), sample(1, 1), feedback(1, 1, "REJECT", "good"))
    catch_up(place)

    assert ask(place, "SELECT count(*) FROM labels") == [(0,)]


def test_an_operator_replaces_no_reviewer_and_a_reviewer_replaces_an_operator(place: str) -> None:
    receive(place, inspection(1), sample(1, 1))
    catch_up(place)
    declare(place, "scratch")
    say(place, id_of(1), defect("scratch"))
    receive(place, feedback(1, 1, "REJECT", "good"))
    receive(place, inspection(2), sample(2, 2), feedback(2, 2, "REJECT", "good"))
    catch_up(place)
    say(place, id_of(2), good())  # he agrees: reviewed now

    rows = ask(place, "SELECT s.seq, l.says, l.source FROM samples s JOIN labels l ON l.seq = s.label")
    assert rows == [(1, "defect", "review"), (2, "good", "review")]


def test_what_a_station_sends_over_the_wire_is_a_labelled_sample_and_a_drift_alarm_a_moment_later(place: str) -> None:
    broker = MemoryBroker()
    link = MemoryLink(broker, "collector", ("inspectd/v1/+/up/#",))
    StoreWriter(place).close()
    rows = [OutboxRow(STREAMS[type(record)], record.seq, canonical_json(record), EPOCH) for record in STORY]
    sign = DriftSigns(product=PRODUCT, camera="top", sign="score", alarm=True, statistic=3, limit=1, parts=9)
    drift = DriftMessage(at=AT, epoch=EPOCH, signs=[sign])
    with (
        SampleDesk(place, every_s=0.05) as desk,
        CloudThread(place, link, desks=[*desks(), desk]) as collector,
        sender(broker, (topics.ack(STATION),)) as sending,
    ):
        eventually(lambda: collector.connected)
        for row in (*rows, rows[2]):  # one comes again
            topic = {Stream.SAMPLES: topics.samples, Stream.FEEDBACK: topics.feedback}.get(
                row.stream, topics.inspections
            )
            sending.send(topic(STATION), pack_batch(STATION, EPOCH, [row], AT))
        sending.send(topics.drift(STATION), drift.pack())
        eventually(lambda: ask(place, "SELECT source FROM labels") == [("feedback",)])
        eventually(lambda: ask(place, "SELECT count(*) FROM drift_changes") == [(1,)])
        eventually(lambda: ask(place, "SELECT count(sha256) FROM samples") == [(1,)])  # looked for at every turn

    assert seen(place)["arrivals"] == []
    assert ask(place, "SELECT count(*) FROM samples") == [(1,)]


def test_the_collector_does_not_wait_while_somebody_labels_for_long(place: str) -> None:
    receive(place, inspection(1), sample(1, 1), feedback(1, 1, "REJECT", "good"))
    clock = itertools.count(0.0, 10.0)

    with SampleDesk(place, clock_s=lambda: next(clock)) as desk:
        with engine(place).begin() as busy:
            busy.execute(sa.text("UPDATE label_counter SET value = value"))
            desk.work(lambda _: True)  # returns; a wait of the usual ten seconds would end in the test's deadline
            assert busy.execute(sa.text("SELECT count(*) FROM samples")).scalar() == 0
        desk.work(lambda _: True)

    assert ask(place, "SELECT source FROM labels") == [("feedback",)]


def drawn(seq: int, verdict: str, *boxes: tuple[str, str], label: str = "", is_right: bool = False) -> PartRecord:
    """A word with a box for each camera and class."""
    corners = [1.0, 2.0, 30.0, 20.0]
    said = [SaidBoxRecord(camera=camera, label=name, box_xyxy=corners) for camera, name in boxes]
    return feedback(seq, 7, verdict, label, is_right=is_right).model_copy(update={"boxes": said})


def told(place: str) -> list[tuple[object, ...]]:
    rows = ask(place, "SELECT seq, says, classes, boxes, said_by, supersedes FROM labels")
    return [row[1:] for row in sorted(rows)]


def test_boxes_that_an_operator_drew_are_the_label_of_the_camera_that_they_are_of(place: str) -> None:
    receive(place, inspection(7, "PASS", ["top", "side"]), sample(1, 7), sample(2, 7, camera="side"))
    declare(place, "scratch", "dent")
    receive(place, drawn(1, "PASS", ("top", "Scratch"), ("top", "dent")))
    catch_up(place)

    [(says, classes, boxes, by, _)] = told(place)
    assert (says, classes, by) == ("boxes", "dent\nscratch", "Kim")
    assert boxes == '[["dent", 1.0, 2.0, 30.0, 20.0], ["scratch", 1.0, 2.0, 30.0, 20.0]]'
    assert ask(place, "SELECT sample FROM labels") == [(id_of(7, "top"),)]


@pytest.mark.parametrize(
    ("verdict", "label", "names", "is_right"),
    [
        pytest.param("PASS", "", ["scratch", "no such class"], False, id="a class nobody declared"),
        pytest.param("REJECT", "good", ["scratch"], False, id="good and a defect"),
        pytest.param("PASS", "", ["scratch"], True, id="a right pass with a defect"),
        pytest.param("PASS", "", [], False, id="no box on this camera"),
    ],
)
def test_boxes_of_which_something_would_have_to_be_guessed_are_no_label(
    verdict: str, label: str, names: list[str], *, is_right: bool
) -> None:
    boxes = [SaidBoxRecord(camera="top", label=name, box_xyxy=[1.0, 2.0, 3.0, 4.0]) for name in names]
    assert boxes_said(verdict, label, ("scratch",), boxes, is_right=is_right) is None


def test_a_box_that_is_none_is_kept_aside_and_stops_nothing(place: str) -> None:
    broken = drawn(1, "PASS", ("top", "scratch"))
    assert isinstance(broken, FeedbackRecord)
    flat = broken.boxes[0].model_copy(update={"box_xyxy": [5.0, 5.0, 5.0, 9.0]})
    receive(place, inspection(7, "PASS"), sample(1, 7), sample(2, 8))
    declare(place, "scratch")
    receive(place, broken.model_copy(update={"boxes": [flat]}))
    assert catch_up(place).faults == 1
    assert told(place) == []


def test_a_last_word_that_is_no_label_takes_back_what_an_earlier_one_said(place: str) -> None:
    receive(place, inspection(7), sample(1, 7), feedback(1, 7, "REJECT", "good"))
    catch_up(place)
    receive(place, feedback(2, 7, "REJECT", is_right=True))
    catch_up(place)

    assert [(says, supersedes) for says, _, _, _, supersedes in told(place)] == [("good", 0), ("unsure", 1)]


def test_a_word_that_was_taken_back_makes_no_good_part_of_one_that_passed(place: str) -> None:
    taken_back = feedback(2, 7, "PASS", is_right=True).model_copy(update={"note": TAKEN_BACK})
    receive(place, inspection(7, "PASS"), sample(1, 7), feedback(1, 7, "PASS", "scratch"))
    declare(place, "scratch")
    catch_up(place)
    receive(place, taken_back)
    catch_up(place)

    assert [says for says, *_ in told(place)] == ["defect", "unsure"]


def test_a_reviewers_label_stays_whatever_operators_draw_later(place: str) -> None:
    receive(place, inspection(7, "PASS"), sample(1, 7))
    declare(place, "scratch")
    catch_up(place)
    say(place, id_of(7), good())
    receive(place, drawn(1, "PASS", ("top", "scratch")))
    catch_up(place)

    assert [says for says, *_ in told(place)] == ["good"]


def test_a_word_of_a_station_that_knows_no_boxes_is_read_as_ever() -> None:
    payload = json.loads(canonical_json(feedback(1, 7, "REJECT", "good")))
    del payload["boxes"]
    assert read_record(FeedbackRecord, json.dumps(payload).encode()) == feedback(1, 7, "REJECT", "good")
