"""What people say of samples: kept for good, the newest counts, two who speak at once are both heard."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from facts_kit import label_facts
from labels_kit import PRODUCT, declare, id_of, picture, receive, sample, say
from stores import ask, engine

from cloud_sync.hub.labels.classes import check_known, checked_class
from cloud_sync.hub.labels.errors import LabelError
from cloud_sync.hub.labels.labelling import NewLabel, Standing, add_labels, heads, history
from cloud_sync.hub.labels.listing import Wanted, list_samples
from cloud_sync.hub.labels.projecting import catch_up
from cloud_sync.hub.labels.truths import LabelBox, LabelTruth, boxed, clipped, defect, good, truth_of, unsure

ONE = id_of(1)
CRACK, DENT = defect("crack"), defect("dent")


@pytest.fixture
def store(place: str) -> str:
    """Three samples, and two classes."""
    receive(place, *(sample(seq, seq) for seq in (1, 2, 3)))
    catch_up(place)
    declare(place, "crack", "dent")
    return place


def newest(place: str) -> list[tuple[object, ...]]:
    query = "SELECT l.classes, l.said_by, s.conflict FROM samples s JOIN labels l ON l.seq = s.label WHERE s.id = '{}'"
    return [(row[0], row[1], bool(row[2])) for row in ask(place, query.format(ONE))]


def test_a_label_is_superseded_and_never_overwritten(store: str) -> None:
    say(store, ONE, CRACK)
    say(store, ONE, good(), "Bo")
    say(store, ONE, DENT, "Cy")

    with engine(store).connect() as connection:
        said = history(connection, ONE)
    assert [(label.seq, label.truth, label.by, label.supersedes) for label in said] == [
        (1, CRACK, "Ada", 0),
        (2, good(), "Bo", 1),
        (3, DENT, "Cy", 2),
    ]
    assert newest(store) == [("dent", "Cy", False)]


def test_two_who_label_at_once_are_both_kept_and_the_conflict_is_seen_until_somebody_decides(store: str) -> None:
    say(store, ONE, CRACK, "Ada", seen=0)
    say(store, ONE, DENT, "Bo", seen=0)  # he had not seen hers
    assert newest(store) == [("dent", "Bo", True)]
    with engine(store).connect() as connection:
        assert [view.id for view in list_samples(connection, Wanted(conflicts=True))] == [ONE]
        assert label_facts(connection, PRODUCT).conflicts == 1

    say(store, ONE, CRACK, "Cy")  # he saw both

    assert newest(store) == [("crack", "Cy", False)]
    assert ask(store, "SELECT count(*) FROM labels") == [(3,)]


def test_two_who_say_the_same_at_once_are_in_no_conflict(store: str) -> None:
    say(store, ONE, CRACK, "Ada", seen=0)
    say(store, ONE, CRACK, "Bo", seen=0)

    assert newest(store) == [("crack", "Ada", False)]


def test_nobody_is_in_conflict_with_himself(store: str) -> None:
    say(store, ONE, CRACK, "Ada", seen=0)
    say(store, ONE, DENT, "Ada", seen=0)

    assert newest(store) == [("dent", "Ada", False)]


def test_many_who_label_at_once_lose_no_label_and_share_no_number(store: str) -> None:
    people = [f"person {number}" for number in range(6)]

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda by: say(store, ONE, CRACK if int(by[-1]) % 2 else DENT, by, seen=0), people))

    rows = ask(store, "SELECT count(*), count(DISTINCT seq), max(seq) FROM labels")
    assert rows == [(rows[0][0],) * 3]
    assert rows[0][0] >= 2  # type: ignore[operator]
    assert ask(store, "SELECT value FROM label_counter") == [(rows[0][0],)]
    assert newest(store)[0][2] is True


def test_all_labels_of_one_call_or_none(store: str) -> None:
    new = [NewLabel(ONE, CRACK, "review", "Ada", 1), NewLabel("f" * 32, CRACK, "review", "Ada", 1)]

    with pytest.raises(LabelError, match="no sample 'ffff"), engine(store).begin() as connection:
        add_labels(connection, new, 1)

    assert ask(store, "SELECT count(*) FROM labels") == [(0,)]
    assert ask(store, "SELECT value FROM label_counter") == [(0,)]


def test_a_label_that_a_database_would_not_hold_is_held(store: str) -> None:
    say(store, ONE, CRACK, "A\0da")

    assert newest(store) == [("crack", "A\ufffdda", False)]


def test_heads_are_what_nobody_who_saw_them_replaced() -> None:
    said = [
        Standing(1, CRACK, "review", "a", 1, 0),
        Standing(2, DENT, "review", "b", 1, 0),
        Standing(3, good(), "review", "c", 1, 1),
        Standing(4, good(), "review", "d", 1, 1),
    ]
    assert [label.seq for label in heads(said)] == [2, 3, 4]
    assert heads([]) == []


TRUTHS = [good(), unsure(), CRACK, boxed([LabelBox("crack", (1, 2, 3.5, 4)), LabelBox("dént", (0, 0, 9, 9))])]


@pytest.mark.parametrize("truth", TRUTHS, ids=lambda truth: truth.says)
def test_a_truth_comes_back_out_of_its_columns(truth: LabelTruth) -> None:
    assert truth_of(**truth.columns()) == truth


def test_of_several_boxes_the_class_that_covers_most_is_the_images() -> None:
    assert (
        boxed([LabelBox("a", (0, 0, 5, 5)), LabelBox("b", (0, 0, 4, 4)), LabelBox("b", (0, 0, 4, 4))]).defect() == "b"
    )
    assert (good().defect(), CRACK.defect()) == ("", "crack")


NOT_BOXES = [
    pytest.param((float("nan"), 0, 1, 1), id="not a number"),
    pytest.param((0, 0, float("inf"), 1), id="endless"),
    pytest.param((5, 0, 5, 1), id="no width"),
    pytest.param((0, 5, 1, 4), id="upside down"),
]


@pytest.mark.parametrize("corners", NOT_BOXES)
def test_a_box_that_is_none_is_refused(corners: tuple[float, float, float, float]) -> None:
    with pytest.raises(LabelError, match="a box is left < right"):
        LabelBox("crack", corners)


def test_a_box_may_stand_out_by_a_pixel_and_no_more() -> None:
    assert clipped(LabelBox("a", (-1, 0, 10.5, 8)), 10, 8).corners_px == (0, 0, 10, 8)
    with pytest.raises(LabelError, match="outside its image of 10x8"):
        clipped(LabelBox("a", (-2, 0, 10, 8)), 10, 8)


@pytest.mark.parametrize(
    "name", ["", "..", "a/b", "a\\b", "good", "Test", "train2", " x", "a\nb", "x" * 101, ".hid", "a:b"]
)
def test_what_cannot_name_a_class_is_refused(name: str) -> None:
    with pytest.raises(LabelError, match="a class is 1 to 100 printable"):
        checked_class(name)


def test_a_class_that_nobody_declared_is_refused_by_name() -> None:
    with pytest.raises(LabelError, match="unknown class 'scrtach', known are crack"):
        check_known(("crack",), ("scrtach", "crack"))


def test_samples_are_listed_by_what_is_asked(store: str) -> None:
    receive(store, sample(9, 9, ["audit", "novel"], product="lid"))
    catch_up(store)
    say(store, ONE, CRACK)

    def ids(wanted: Wanted) -> set[str]:
        with engine(store).connect() as connection:
            return {view.id for view in list_samples(connection, wanted)}

    assert ids(Wanted()) == {id_of(seq) for seq in (1, 2, 3, 9)}
    assert ids(Wanted(product="lid")) == ids(Wanted(reason="audit")) == {id_of(9)}
    assert ids(Wanted(product=PRODUCT, unlabelled=True)) == {id_of(2), id_of(3)}
    assert ids(Wanted(station="press-4")) == ids(Wanted(reason="overruled")) == set()


def test_a_listed_sample_says_all_that_is_known_of_it(store: str) -> None:
    say(store, ONE, CRACK)
    with engine(store).connect() as connection:
        view = next(view for view in list_samples(connection, Wanted()) if view.id == ONE)

    assert (view.image, view.reasons, view.truth, view.by, view.source) == (
        "waiting",
        ("uncertain",),
        CRACK,
        "Ada",
        "review",
    )
    assert view.proposals["champion"]["detections"][0]["label"] == "scratch"


def test_a_page_ends_and_the_next_begins_without_a_gap(store: str) -> None:
    from labels_kit import put_directly

    content = picture(1)
    put_directly(store, [(f"{number:032x}", content) for number in range(1203)], product="lid")

    with engine(store).connect() as connection:
        ids = [view.id for view in list_samples(connection, Wanted(product="lid"))]
    assert ids == [f"{number:032x}" for number in range(1203)]


def test_the_labels_stay_when_a_newer_sample_record_of_the_same_view_comes(store: str) -> None:
    say(store, ONE, CRACK)
    receive(store, sample(8, 1, ["disagreement"]))
    catch_up(store)

    assert newest(store) == [("crack", "Ada", False)]
    with engine(store).connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM samples")) == 3
