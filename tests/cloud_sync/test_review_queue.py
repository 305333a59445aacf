"""The review queue: who is given what, in which order, once; on SQLite and PostgreSQL."""

import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from labels_kit import PRODUCT, blobs_of, declare, have_file, id_of, images, picture, put_directly, receive, sample, say
from outboxes import STATION
from stores import ask, engine

from cloud_sync.hub.labels.agreement import kappa, same_said
from cloud_sync.hub.labels.claims import LEASE_MS, claim, release, skip
from cloud_sync.hub.labels.errors import LabelError
from cloud_sync.hub.labels.labelling import history
from cloud_sync.hub.labels.projecting import catch_up
from cloud_sync.hub.labels.review_progress import progress
from cloud_sync.hub.labels.review_queue import Chosen, Reviewer, classes_proposed, count_open, next_ids, stations
from cloud_sync.hub.labels.saying import Said
from cloud_sync.hub.labels.saying import say as say_it
from cloud_sync.hub.labels.second_looks import agreements, asked_for, hidden_from, is_judged_twice
from cloud_sync.hub.labels.truths import LabelBox, LabelTruth, boxed, defect, good, unsure
from cloud_sync.hub.labels.usefulness import usefulness_of
from cloud_sync.hub.store.writing import StoreWriter

ADA, BEN = Reviewer("ada", "page-one-1"), Reviewer("ben", "page-two-2")
ALL = Chosen(PRODUCT)
EVERY, NONE = 1.0, 0.0


def filled(place: str, tmp_path: Path, *reasons: tuple[str, ...]) -> None:
    """A sample for each, with its picture; the first is inspection 1."""
    StoreWriter(place).close()
    blobs = blobs_of(place, tmp_path)
    for number, why in enumerate(reasons, 1):
        content = picture(number)
        receive(place, sample(number, number, why), images(number, {"top": content}))
        have_file(place, blobs, content, number)
    catch_up(place)
    declare(place, "scratch", "dent")


def given(place: str, chosen: Chosen = ALL, who: Reviewer = ADA, limit: int = 10, now_ms: int = 1) -> list[str]:
    with engine(place).begin() as connection:
        return next_ids(connection, chosen, who, (), limit, now_ms)


def said(place: str, sample: str, truth: LabelTruth, by: str, share: float = NONE, seen: int = 0) -> int:
    with engine(place).begin() as connection:
        return say_it(connection, Said(sample, truth, by, seen), share, 1)


def test_the_most_useful_come_first_and_of_two_reasons_counts_the_better_one(place: str, tmp_path: Path) -> None:
    filled(
        place,
        tmp_path,
        ("audit",),
        ("novel",),
        ("uncertain",),
        ("overruled",),
        ("uncertain", "audit"),
        ("disagreement",),
    )

    assert given(place) == [id_of(number) for number in (4, 6, 5, 3, 2, 1)]
    assert given(place, limit=2) == [id_of(4), id_of(6)]


def test_a_reason_that_comes_later_moves_a_sample_up(place: str, tmp_path: Path) -> None:
    filled(place, tmp_path, ("audit",), ("novel",))
    receive(place, sample(3, 1, ("overruled",)))
    catch_up(place)

    assert given(place)[0] == id_of(1)


def test_one_can_choose_by_reason_station_and_class_proposed(place: str, tmp_path: Path) -> None:
    filled(place, tmp_path, ("audit",), ("uncertain", "audit"), ("uncertain",))

    assert set(given(place, Chosen(PRODUCT, reason="audit"))) == {id_of(1), id_of(2)}
    assert len(given(place, Chosen(PRODUCT, station=STATION, proposed="scratch"))) == 3
    assert given(place, Chosen(PRODUCT, proposed="dent")) == given(place, Chosen(PRODUCT, station="elsewhere")) == []
    with engine(place).connect() as connection:
        assert stations(connection, PRODUCT) == [STATION]
        assert classes_proposed(connection, PRODUCT) == ["scratch"]
        assert count_open(connection, Chosen(PRODUCT, reason="audit")) == 2


def test_a_sample_without_its_picture_or_with_a_label_is_given_to_nobody(place: str, tmp_path: Path) -> None:
    filled(place, tmp_path, ("novel",), ("novel",), ("novel",))
    with engine(place).begin() as connection:
        connection.execute(sa.text("UPDATE files SET state = 'open' WHERE seq = 2"))
    say(place, id_of(3), good())

    assert given(place) == [id_of(1)]


def test_two_reviewers_are_not_given_the_same_sample_until_a_claim_ends(place: str, tmp_path: Path) -> None:
    filled(place, tmp_path, *[("novel",)] * 4)
    mine = given(place, limit=2)
    with engine(place).begin() as connection:
        assert claim(connection, mine, ADA.holder, 1) == set(mine)

    assert set(given(place, who=BEN)) == {id_of(number) for number in range(1, 5)} - set(mine)
    assert set(given(place, who=BEN, now_ms=LEASE_MS + 2)) == {id_of(number) for number in range(1, 5)}
    with engine(place).begin() as connection:
        assert claim(connection, mine, BEN.holder, 2) == set()
        assert claim(connection, mine, BEN.holder, LEASE_MS + 2) == set(mine)
        release(connection, BEN.holder, mine[:1])
        assert claim(connection, mine, ADA.holder, LEASE_MS + 3) == {mine[0]}


def test_a_label_is_hidden_where_its_own_second_look_waits_and_nowhere_else(place: str, tmp_path: Path) -> None:
    filled(place, tmp_path, *[("novel",)] * 3)
    said(place, id_of(1), good(), "ada", EVERY)
    said(place, id_of(2), good(), "ada", EVERY)
    said(place, id_of(2), good(), "ben", EVERY)
    every = [id_of(number) for number in (1, 2, 3)]
    with engine(place).connect() as connection:
        assert hidden_from(connection, every, "cai") == {id_of(1)}
        assert hidden_from(connection, every, "ada") == frozenset()


def test_reviewers_who_ask_at_the_same_moment_share_nothing(place: str, tmp_path: Path) -> None:
    filled(place, tmp_path, ("novel",))
    put_directly(place, [(f"{number:032x}", picture(number)) for number in range(40)])
    at_once, taken = threading.Barrier(4), {}

    def work(name: str) -> None:
        at_once.wait(10)
        who = Reviewer(name, "page-page")
        with StoreWriter(place, 30) as writer:

            def take(connection: sa.Connection) -> set[str]:
                found = next_ids(connection, ALL, who, (), 8, 1)
                return claim(connection, found, who.holder, 1)

            taken[name] = writer.commit(take)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("a", "b", "c", "d")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    held = [sample for some in taken.values() for sample in some]
    assert len(taken) == 4
    assert held
    assert len(held) == len(set(held))


def test_every_question_of_the_queue_is_one_look_into_an_index(tmp_path: Path) -> None:
    place = str(tmp_path / "store.db")
    filled(place, tmp_path, ("novel",))
    asked: list[tuple[str, tuple[object, ...]]] = []
    choices = (ALL, Chosen(PRODUCT, station=STATION), Chosen(PRODUCT, proposed="scratch"), Chosen(PRODUCT, "novel"))
    with engine(place).connect() as connection:
        sa.event.listen(connection, "before_cursor_execute", lambda *told: asked.append((told[2], told[3])))
        for chosen in choices:
            next_ids(connection, chosen, ADA, ("f" * 32,), 5, 1)
            count_open(connection, chosen)
        stations(connection, PRODUCT)
        progress(connection, ALL, 0, 1)
        plans = {
            query: connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", values).all()
            for query, values in list(asked)
        }

    steps = [(row[3], query) for query, plan in plans.items() for row in plan]
    assert not [
        step
        for step in steps
        if step[0].startswith("SCAN") and not step[0].startswith(("SCAN anon", "SCAN CONST", "SCAN walk_"))
    ]
    assert not [step for step in steps if "TEMP B-TREE" in step[0] and "samples" in step[1]]
    assert any("samples_to_review_by_class" in step[0] for step in steps)


def test_what_one_skips_is_given_to_others(place: str, tmp_path: Path) -> None:
    filled(place, tmp_path, ("novel",))
    with engine(place).begin() as connection:
        skip(connection, id_of(1), "ada", 1)

    assert given(place) == []
    assert given(place, who=BEN) == [id_of(1)]


def test_a_label_and_its_undoing_both_stay_and_the_last_counts(place: str, tmp_path: Path) -> None:
    filled(place, tmp_path, ("novel",))
    seen = said(place, id_of(1), good(), "ada")
    said(place, id_of(1), defect("dent"), "ada", seen=seen)

    with engine(place).connect() as connection:
        first, second = history(connection, id_of(1))
    assert (first.truth, second.truth, second.supersedes) == (good(), defect("dent"), first.seq)
    assert ask(place, "SELECT conflict FROM samples") == [(False,)]


def test_an_unknown_class_is_refused_unless_it_is_meant_as_a_new_one(place: str, tmp_path: Path) -> None:
    filled(place, tmp_path, ("novel",))
    with pytest.raises(LabelError, match="unknown class 'crack'"):
        said(place, id_of(1), defect("crack"), "ada")
    with engine(place).begin() as connection:
        say_it(connection, Said(id_of(1), defect("crack"), "ada", 0, "crack"), NONE, 1)

    assert ask(place, "SELECT name FROM label_classes WHERE said_by = 'ada'") == [("crack",)]


def test_a_second_look_is_given_to_somebody_else_alone(place: str, tmp_path: Path) -> None:
    filled(place, tmp_path, ("novel",))
    said(place, id_of(1), good(), "ada", EVERY)

    with engine(place).connect() as connection:
        assert asked_for(connection, ALL, ADA, (), 5, 1) == []
        assert asked_for(connection, ALL, BEN, (), 5, 1) == [id_of(1)]
        assert asked_for(connection, ALL, BEN, (id_of(1),), 5, 1) == []
    said(place, id_of(1), good(), "ben", EVERY)
    with engine(place).connect() as connection:
        assert asked_for(connection, ALL, Reviewer("cyd", "page-page"), (), 5, 1) == []


def test_two_who_say_different_things_are_a_conflict_and_who_agrees_is_none(place: str, tmp_path: Path) -> None:
    filled(place, tmp_path, ("novel",), ("novel",))
    for number in (1, 2):
        said(place, id_of(number), good(), "ada", EVERY)
    said(place, id_of(1), good(), "ben", EVERY)
    said(place, id_of(2), defect("dent"), "ben", EVERY)

    assert ask(place, "SELECT id FROM samples WHERE conflict") == [(id_of(2),)]
    with engine(place).connect() as connection:
        found = progress(connection, ALL, 0, 2)
        both = agreements(connection, PRODUCT)
    assert (both["ada"].judged, both["ben"].alike, found.disputed, found.left) == (2, 1, 1, 0)
    assert {pace.name: pace.today for pace in found.reviewers} == {"ada": 2, "ben": 1}


def test_who_undoes_a_second_look_ends_the_conflict(place: str, tmp_path: Path) -> None:
    filled(place, tmp_path, ("novel",))
    said(place, id_of(1), defect("dent"), "ada", EVERY)
    seen = said(place, id_of(1), good(), "ben", EVERY)
    said(place, id_of(1), defect("dent"), "ben", EVERY, seen)

    assert ask(place, "SELECT conflict FROM samples") == [(False,)]
    assert ask(place, "SELECT second_name FROM second_looks") == [("dent",)]


def test_boxes_agree_where_they_lie_on_each_other() -> None:
    one = boxed([LabelBox("dent", (10, 10, 30, 30))])
    near, far = boxed([LabelBox("dent", (12, 11, 31, 30))]), boxed([LabelBox("dent", (25, 25, 45, 45))])

    assert same_said(one, near)
    assert not same_said(one, far)
    assert not same_said(one, boxed([LabelBox("scratch", (10, 10, 30, 30))]))
    assert same_said(one, defect("dent"))
    assert not same_said(good(), unsure())


def test_kappa_is_one_of_equal_words_and_none_where_chance_explains_all() -> None:
    assert kappa([("good", "good"), ("dent", "dent")]) == 1
    assert kappa([("good", "good"), ("good", "dent"), ("dent", "good"), ("dent", "dent")]) == 0
    assert kappa([]) is kappa([("good", "good")]) is None


def test_about_the_share_asked_for_is_judged_twice_and_better_reasons_weigh_more() -> None:
    ids = [f"{(2 * number + 1) * 2**128 // 2000:032x}" for number in range(1000)]

    assert sum(is_judged_twice(each, 0.02) for each in ids) == 20
    assert usefulness_of(["uncertain"]) > usefulness_of(["candidate", "novel", "audit", "imported"])
