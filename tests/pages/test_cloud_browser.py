"""The fleet's pages in a real browser: by keys alone, kept fresh, and honest when they are not."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fleet_kit import RELEASE, drifts, health, rollout, run, station
from pages_kit import MISSING, check_quiet, chromium, enter, let_in, served
from playwright.sync_api import Browser, expect
from retraining_kit import write_cloud
from stores import ask

from cloud_sync.hub.retraining.cloud_toml import load_config
from cloud_sync.hub.store.writing import StoreWriter
from cloud_sync.hub.web.site import make_fleet_pages
from cloud_sync.pages.serving import Listen

pytestmark = [pytest.mark.long, pytest.mark.skipif(bool(MISSING), reason=MISSING)]

_PAGES = ("/", "/stations/press-01", "/runs", "/rollouts", f"/rollouts/{RELEASE}", "/triggers", "/health")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> str:
    found, now_ms = str(tmp_path_factory.mktemp("cloud") / "cloud.db"), time.time_ns() // 1_000_000
    StoreWriter(found).close()
    for number in range(1, 13):
        station(found, f"press-{number:02}", now_ms, judged=(80 + number, 9, number % 3))
    station(found, "press-20", now_ms, said=health(now_ms, ready=False, faults={"camera": "no frame for 9 s"}))
    drifts(found, "press-03")
    run(found, now_ms)
    rollout(found, now_ms, ("press-01", "press-02", "press-03"))
    return found


@pytest.fixture(scope="module")
def address(place: str) -> Iterator[str]:
    app = make_fleet_pages(load_config(write_cloud(Path(place).parent, place)), Listen())
    let_in(app)
    with served(app) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


def test_the_fleet_is_sorted_and_filtered_by_keys_and_stays_where_one_was(browser: Browser, address: str) -> None:
    page = enter(browser, address, "operator")
    page.wait_for_load_state()  # keys are heard from then on
    page.keyboard.press("/")
    page.keyboard.type("press-20")
    page.keyboard.press("Enter")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.locator("#f-attention").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#f-attention")).to_have_attribute("aria-current", "true")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.locator("#o-state").focus()
    page.keyboard.press("Enter")
    page.locator("#s-press-20").focus()
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("press-20")
    page.keyboard.press("5")
    expect(page.locator("h1")).to_have_text("Rollouts")
    check_quiet(page)


def test_a_page_keeps_itself_fresh_and_says_so_when_it_cannot(browser: Browser, address: str, place: str) -> None:
    page = enter(browser, address, "operator")
    page.clock.install()
    page.goto(address)
    expect(page.locator("#s-press-30")).to_have_count(0)
    page.locator("#s-press-05").focus()
    station(place, "press-30", time.time_ns() // 1_000_000)
    page.clock.fast_forward(11_000)
    expect(page.locator("#s-press-30")).to_be_visible()
    expect(page.locator("#s-press-05")).to_be_focused()
    expect(page.locator("#stale")).to_be_hidden()
    page.context.set_offline(True)
    page.clock.fast_forward(60_000)
    expect(page.locator("#stale")).to_be_visible()
    page.context.set_offline(False)
    page.clock.fast_forward(11_000)
    expect(page.locator("#stale")).to_be_hidden()


@pytest.mark.parametrize("width", [1024, 3840])
def test_no_page_is_wider_than_its_screen(browser: Browser, address: str, width: int) -> None:
    page = enter(browser, address, "engineer", size=(width, width * 9 // 16))
    for path in _PAGES:
        page.goto(address + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        assert page.locator("h1").count() == 1, path
    check_quiet(page)


def test_a_rollout_is_stopped_in_two_steps_and_what_happens_is_said_between(
    browser: Browser, address: str, place: str
) -> None:
    page = enter(browser, f"{address}/rollouts/{RELEASE}", "engineer")
    page.click("a.danger")
    expect(page.locator("form.card li")).to_contain_text("press-01")
    page.fill("input[name=why]", "scratches pass")
    page.click("button.danger")
    expect(page.locator(".state-stopped").first).to_be_visible()
    assert ask(place, "SELECT state FROM rollouts") == [("stopped",)]
    check_quiet(page)
