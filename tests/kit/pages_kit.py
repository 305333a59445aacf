"""Pages under test: people of every role, a client that is logged in, a site served for a real browser."""

import re
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from brokers import eventually
from fastapi import FastAPI
from playwright.sync_api import Browser, Page, expect, sync_playwright
from starlette.testclient import TestClient

from cloud_sync.pages.passwords import hashed
from cloud_sync.pages.people import Role
from cloud_sync.pages.server import PagesServer, make_config
from cloud_sync.pages.site import Rooms
from cloud_sync.pages.store import PagesStore

CHROMIUM = shutil.which("chromium")
MISSING = "" if CHROMIUM else "Debian's chromium is not installed"
PASSWORD = "as-long-as-it-takes"  # noqa: S105 - of people who live for a test
expect.set_options(timeout=30_000)  # a page on a machine that has other work, too
TOKEN = re.compile(r'"X-CSRF-Token": "([^"]+)"')


def let_in(app: FastAPI) -> None:
    """A person of each role, called as the role, with `PASSWORD`."""
    rooms: Rooms = app.state.rooms
    people = [(role.value, role.value, _hashed(), "", "auto", "2026-01-01T00:00:00+00:00") for role in Role]
    with PagesStore(rooms.site.database).transaction() as connection:
        connection.executemany("INSERT INTO people VALUES (?, ?, ?, ?, ?, ?)", people)


@cache
def _hashed() -> str:
    """Once for all tests: it takes its time."""
    return hashed(PASSWORD)


@dataclass
class Visitor:
    """A client without a browser; `post` carries the page's token."""

    client: TestClient
    csrf: str = ""

    def get(self, path: str, **more: object):  # noqa: ANN201 - httpx's answer
        """GET as a browser asks."""
        headers = {"accept": "text/html", **more.pop("headers", {})}  # type: ignore[dict-item]
        return self.client.get(path, headers=headers, **more)  # type: ignore[arg-type]

    def post(self, path: str, data: dict[str, object] | None = None, **more: object):  # noqa: ANN201
        """POST a form with the session's token."""
        return self.client.post(path, data={"csrf": self.csrf, **(data or {})}, **more)  # type: ignore[arg-type]


def visitor(app: FastAPI, role: str = "") -> Visitor:
    """Somebody who asks; logged in as the person of a role, if one is named (see `let_in`)."""
    found = Visitor(TestClient(app, base_url="http://127.0.0.1", follow_redirects=False, raise_server_exceptions=False))
    if role:
        answer = found.client.post("/login", data={"name": role, "password": PASSWORD})
        assert answer.status_code == 303, answer.text
        token = TOKEN.search(found.get("/account").text)
        assert token
        found.csrf = token.group(1)
    return found


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """The application at a loopback port; gives its address."""
    server = PagesServer(app, make_config(app))
    with socket.create_server(("127.0.0.1", 0)) as bound:
        thread = threading.Thread(target=server.run, args=([bound],), name="pages under test")
        thread.start()
        try:
            eventually(lambda: server.started)
            yield f"http://127.0.0.1:{bound.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(20)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def enter(browser: Browser, address: str, role: str, *, size: tuple[int, int] = (1280, 800), **more: object) -> Page:
    """A page of somebody of a role who just logged in; a script's error or a blocked load fails at `check_quiet`."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, **more)  # type: ignore[arg-type]
    page = context.new_page()
    page.said = []  # type: ignore[attr-defined]
    page.on("console", lambda message: message.type == "error" and page.said.append(message.text))  # type: ignore[attr-defined]
    page.on("pageerror", lambda error: page.said.append(str(error)))  # type: ignore[attr-defined]
    page.goto(address)
    page.fill("input[name=name]", role)
    page.fill("input[name=password]", PASSWORD)
    page.click("button.main")
    page.wait_for_selector("header nav")
    page.wait_for_load_state()  # its scripts, too, have begun
    return page


def check_quiet(page: Page) -> None:
    """The browser had nothing to complain of."""
    assert page.said == []  # type: ignore[attr-defined]


def shoot(page: Page, folder: Path, name: str) -> Path:
    """A picture of the page, to be looked at."""
    path = folder / f"{name}.png"
    page.screenshot(path=path)
    return path
