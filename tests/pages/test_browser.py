"""The frame in a real browser."""

from pathlib import Path

import pytest
from pages_kit import MISSING, check_quiet, chromium, enter, let_in, served
from station_kit import Station

from cloud_sync.pages.serving import Listen
from edge.config import load_config
from edge.web.site import make_station_pages

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)


def test_somebody_logs_in_changes_the_language_by_keys_alone_and_logs_out(tmp_path: Path) -> None:
    app = make_station_pages(load_config(Station(tmp_path / "station").write_config()), Listen())
    let_in(app)
    with served(app) as address, chromium() as browser:
        keeper = enter(browser, f"{address}/bundles", "engineer")
        with keeper.expect_request("**/bundles/standing") as polled:
            pass
        assert polled.value.headers.get("x-by-itself") == "yes"  # or it would keep them logged in for ever
        page = enter(browser, f"{address}/account", "operator")
        page.select_option("select[name=language]", "zh")
        page.click("form[action='/account/looks'] button")
        page.wait_for_selector("html[lang=zh]")
        page.keyboard.press("?")
        assert page.locator("dialog#keys dt").all_inner_texts()
        page.keyboard.press("Escape")
        page.click("form[action='/logout'] button")
        page.wait_for_selector("input[name=password]")
        check_quiet(page)
