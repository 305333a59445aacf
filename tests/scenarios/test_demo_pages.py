"""The pages on what the demo left: each flow's page, with real parts, a real training and a real rollout behind it."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pages_kit
import pytest
from pages_kit import MISSING, check_quiet, chromium, enter
from playwright.sync_api import Browser, Page

from cloud_sync.wire.broker import available_kinds, free_port
from edge.demo.pages import NAME, Pages, open_pages
from edge.demo.plant import Plant
from edge.demo.settings import FAST_LOOP, DemoSettings
from edge.processes import command

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(900),
    pytest.mark.skipif(bool(MISSING), reason=MISSING),
]
LEFT = Path(__file__).parents[2] / "build" / "demo-run"  # what CI's first step made


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Plant:
    pytest.importorskip("elpv_dataset", reason="package elpv-dataset (extra: demo) is absent")
    folder = tmp_path_factory.mktemp("demo") / "run"
    if (LEFT / "summary.json").exists():
        shutil.copytree(LEFT, folder, symlinks=True)
    else:
        subprocess.run([command("edge"), "demo", "--fast", "--folder", str(folder), "--json"], check=True)
    for left in folder.rglob("pages.db*"):  # whom the demo let in
        left.unlink()
    return Plant(folder, available_kinds()[0], free_port(), free_port(), DemoSettings(FAST_LOOP))


@pytest.fixture(scope="module")
def pages(plant: Plant) -> Iterator[Pages]:
    with plant.collecting(), open_pages(plant) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


def entered(browser: Browser, pages: Pages, site: str, monkeypatch: pytest.MonkeyPatch) -> Page:
    monkeypatch.setattr(pages_kit, "PASSWORD", pages.password)
    return enter(browser, getattr(pages, site), NAME, size=(1440, 900))


@pytest.mark.parametrize("site", ["station", "cloud"])
def test_every_page_of_the_menu_stands_and_the_browser_has_nothing_to_complain_of(
    pages: Pages, browser: Browser, site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = entered(browser, pages, site, monkeypatch)
    links = page.eval_on_selector_all("header nav a", "all => all.map(each => each.getAttribute('href'))")
    assert len(links) >= 7
    for link in links:
        answer = page.goto(getattr(pages, site).rstrip("/") + link)
        assert answer is not None
        assert answer.status == 200, link
        page.wait_for_selector("main h1, main h2")
        check_quiet(page)


def test_the_line_is_seen_as_it_runs_and_a_part_of_it_with_its_picture(
    pages: Pages, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = entered(browser, pages, "station", monkeypatch)
    page.wait_for_function("() => document.querySelector('main').innerText.includes('look-0')")
    page.goto(f"{pages.station}history?verdict=REJECT")
    page.locator("main a[href^='/history/']").last.click()  # the newest may wait for its picture yet
    picture = page.wait_for_selector("svg.look image", state="attached").get_attribute("href")
    answer = page.request.get(f"{pages.station.rstrip('/')}{picture}")
    assert (answer.status, answer.headers["content-type"]) == (200, "image/jpeg")
    assert page.locator("svg.look rect").count() >= 1
    check_quiet(page)


def test_what_the_loop_did_is_on_the_clouds_pages(
    plant: Plant, pages: Pages, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = json.loads((plant.folder / "summary.json").read_text())["loop"]
    page = entered(browser, pages, "cloud", monkeypatch)
    page.goto(f"{pages.cloud}runs")
    assert "new labels" in page.locator("main").inner_text()
    page.goto(f"{pages.cloud}rollouts")
    assert said["release"].removesuffix(".bundle") in page.locator("main").inner_text()
    check_quiet(page)
