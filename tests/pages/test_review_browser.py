"""A reviewer at work in a real browser, by keys alone."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from brokers import eventually
from labels_kit import PRODUCT, id_of, say
from pages_kit import MISSING, check_quiet, chromium, enter, let_in, served
from playwright.sync_api import Browser, Page
from review_kit import pages_on, store_with
from stores import ask, engine

from cloud_sync.hub.labels.truths import defect, good
from cloud_sync.hub.store.label_tables import samples

pytestmark = [pytest.mark.long, pytest.mark.skipif(bool(MISSING), reason=MISSING)]
SAMPLES = 12


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("first")
    store_with(folder, [("novel",)] * SAMPLES)
    let_in(pages_on(folder, kind="detector"))
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture
def place(first: Path, tmp_path: Path) -> str:
    shutil.copytree(first, tmp_path, dirs_exist_ok=True)
    return str(tmp_path / "cloud.db")


@pytest.fixture
def page(browser: Browser, place: str) -> Iterator[Page]:
    with served(pages_on(Path(place).parent, kind="detector")) as address:
        found = enter(browser, f"{address}/review", "operator")
        shown(found)
        yield found
        found.context.close()


def shown(page: Page, other_than: str = "") -> str:
    """The sample on the screen, once its picture is."""
    page.wait_for_function(
        "other => (document.getElementById('review').dataset.shown || other) !== other", arg=other_than
    )
    return str(page.get_attribute("#review", "data-shown"))


def press(page: Page, *keys: str) -> str:
    """Press them; the sample that is on the screen after the last, which moved on."""
    before = shown(page)
    for key in keys:
        page.keyboard.press(key)
    return shown(page, before)


def labels(place: str) -> list[tuple[object, ...]]:
    return ask(place, "SELECT seq, sample, says, classes, said_by, supersedes FROM labels ORDER BY seq")


def test_each_key_says_what_it_stands_for_and_the_next_one_is_there(page: Page, place: str) -> None:
    seen = [shown(page)]
    said = (("g",), ("1",), ("u",), ("a",), ("n", *"scr", "Enter"))
    seen += [press(page, *keys) for keys in said]
    eventually(lambda: len(labels(place)) == 5)

    assert [row[1:5] for row in labels(place)] == [
        (seen[0], "good", "", "operator"),
        (seen[1], "defect", "dent", "operator"),
        (seen[2], "unsure", "", "operator"),
        (seen[3], "good", "", "operator"),
        (seen[4], "defect", "scratch", "operator"),
    ]
    assert len(set(seen)) == 6
    check_quiet(page)


def test_a_new_class_is_made_by_an_engineer_and_an_operator_is_told_so(
    page: Page, browser: Browser, place: str
) -> None:
    for key in ("n", *"crack", "Enter", "Enter"):
        page.keyboard.press(key)
    assert "engineer" in page.inner_text("#typed_said")
    other = enter(browser, page.url, "engineer")
    press(other, "n", *"crack", "Enter", "Enter")
    eventually(lambda: [row[2:5] for row in labels(place)] == [("defect", "crack", "engineer")])
    other.context.close()


def test_undo_goes_back_and_what_is_said_then_supersedes(page: Page, place: str) -> None:
    one = shown(page)
    press(page, "g")
    eventually(lambda: len(labels(place)) == 1)
    assert press(page, "z") == one
    press(page, "2")
    eventually(lambda: len(labels(place)) == 2)

    assert labels(place)[1] == (2, one, "defect", "scratch", "operator", 1)


def test_a_box_is_drawn_moved_and_named_by_keys(page: Page, place: str) -> None:
    one = shown(page)
    for key in ("b", "ArrowRight", "ArrowRight", "Shift+ArrowDown", "2"):
        page.keyboard.press(key)
    assert page.locator("#good").is_disabled()
    press(page, "Enter")
    eventually(lambda: len(labels(place)) == 1)
    (name, left, top, right, bottom), *others = json.loads(str(ask(place, "SELECT boxes FROM labels")[0][0]))

    assert (labels(place)[0][1:4], name, others) == ((one, "boxes", "scratch"), "scratch", [])
    assert 36 < left < right <= 96
    assert bottom - top > 16
    check_quiet(page)


@pytest.mark.long
def test_a_box_is_drawn_by_dragging(page: Page, place: str) -> None:
    stage = page.locator("#stage").bounding_box()
    assert stage
    x, y = stage["x"] + stage["width"] / 2, stage["y"] + stage["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 60, y + 40, steps=4)
    page.mouse.up()
    press(page, "1", "Enter")
    eventually(lambda: len(labels(place)) == 1)

    assert labels(place)[0][2:4] == ("boxes", "dent")


def test_contrast_and_zoom_ask_the_server_for_nothing(page: Page) -> None:
    page.wait_for_load_state("networkidle")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for key in ("c", "+", "+", "ArrowLeft", "0", "h", "h", "-"):
        page.keyboard.press(key)

    assert "contrast" in str(page.evaluate("document.getElementById('picture').style.filter"))
    assert asked == []


def test_an_answer_that_does_not_get_through_is_said_loudly_kept_and_told_again(page: Page, place: str) -> None:
    page.context.route("**/review/say", lambda route: route.abort())
    press(page, "g")
    press(page, "1")
    page.wait_for_selector("#outbox:not([hidden])")
    assert labels(place) == []
    page.on("dialog", lambda dialog: dialog.dismiss())
    with page.expect_event("dialog") as told:
        page.close(run_before_unload=True)
    assert told.value.type == "beforeunload"
    page.context.unroute("**/review/say")
    page.evaluate("window.dispatchEvent(new Event('online'))")
    eventually(lambda: len(labels(place)) == 2)
    page.wait_for_selector("#outbox", state="hidden")


def test_a_key_that_is_held_or_bounces_is_a_word_on_one_picture_alone(page: Page, place: str) -> None:
    one = shown(page)
    page.evaluate(
        """() => new Promise((end) => {
          const down = (repeat) => document.body.dispatchEvent(
            new KeyboardEvent("keydown", { key: "g", repeat, bubbles: true }));
          let frames = 0;
          const next = () => {
            down(frames > 3);
            if (frames++ < 60) requestAnimationFrame(next); else end();
          };
          next();
        })"""
    )
    eventually(lambda: len(labels(place)) >= 1)
    press(page, "1")
    eventually(lambda: ("defect", "dent") in [row[2:4] for row in labels(place)])

    assert [row[1] for row in labels(place)].count(one) == 1
    assert len(labels(place)) == 2


def test_answers_of_one_person_are_never_stored_as_those_of_another(page: Page, browser: Browser, place: str) -> None:
    mine = page.context.cookies()
    other = enter(browser, page.url, "engineer")
    page.context.add_cookies(other.context.cookies())
    other.context.close()
    press(page, "g")
    page.wait_for_selector("#outbox:not([hidden])")
    assert "engineer" in page.inner_text("#outbox")
    page.evaluate("window.dispatchEvent(new Event('online'))")
    page.wait_for_timeout(1500)  # more than one try of its own
    assert labels(place) == []
    page.context.add_cookies(mine)
    page.evaluate("window.dispatchEvent(new Event('online'))")
    eventually(lambda: [row[4] for row in labels(place)] == ["operator"])


@pytest.mark.long
def test_an_answer_that_is_refused_stays_until_somebody_drops_it(page: Page, place: str) -> None:
    one = shown(page)
    with engine(place).begin() as connection:
        connection.execute(sa.delete(samples).where(samples.c.id == one))
    press(page, "g")
    page.wait_for_selector("#outbox button.danger")
    press(page, "1")
    eventually(lambda: len(labels(place)) == 1)
    page.click("#outbox button.danger")
    page.wait_for_selector("#outbox", state="hidden")


@pytest.mark.long
def test_whoever_was_logged_out_logs_in_in_another_tab_and_nothing_is_lost(page: Page, place: str) -> None:
    session = page.context.cookies()
    page.context.clear_cookies()
    press(page, "g")
    page.wait_for_selector("#outbox:not([hidden])")
    assert labels(place) == []
    page.context.add_cookies(session)
    page.evaluate("window.dispatchEvent(new Event('online'))")
    eventually(lambda: len(labels(place)) == 1)


def test_two_reviewers_have_different_samples_before_them(page: Page, browser: Browser) -> None:
    other = enter(browser, page.url, "engineer")
    first, second = shown(page), shown(other)
    other.context.close()

    assert first != second


@pytest.mark.long
def test_an_engineer_settles_a_dispute_by_keys(page: Page, browser: Browser, place: str) -> None:
    say(place, id_of(1), good(), "ada")
    say(place, id_of(1), defect("dent"), "ben", 0)
    other = enter(browser, f"{page.url.rsplit('/', 1)[0]}/labels?product={PRODUCT}&only=disputed", "engineer")
    other.click(".samples a")
    other.check("input[value='class:scratch']")
    other.keyboard.press("r")
    other.wait_for_selector("form[action$=resolve]", state="detached")
    check_quiet(other)
    other.context.close()

    assert ask(place, "SELECT id FROM samples WHERE conflict") == []
