"""`cloud web` as it runs in the field: a process of its own, and people who ask it over HTTP."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import requests
from pages_kit import PASSWORD, TOKEN


@dataclass
class WebProcess:
    """A running one; its stderr lies beside its cloud.toml."""

    address: str
    pid: int
    log_file: Path
    clients: list[requests.Session] = field(default_factory=list)

    def log(self) -> str:
        return self.log_file.read_text()

    def person(self, role: str) -> "Person":
        """Somebody of a role who just logged in; see `pages_kit.let_in`."""
        found = logged_in(self.address, role)
        self.clients.append(found.client)
        return found


@dataclass
class Person:
    """Who asks; `csrf` is their session's token."""

    client: requests.Session
    address: str
    csrf: str = ""

    def get(self, path: str, headers: dict[str, str] | None = None) -> requests.Response:
        return self.client.get(self.address + path, headers=headers, allow_redirects=False, timeout=60)

    def post(self, path: str, data: dict[str, object] | None = None) -> requests.Response:
        """A form."""
        form = {"csrf": self.csrf, **(data or {})}
        return self.client.post(self.address + path, data=form, allow_redirects=False, timeout=60)

    def say(self, path: str, content: object) -> requests.Response:
        """What a page's script sends."""
        return self.client.post(
            self.address + path, json=content, headers={"X-CSRF-Token": self.csrf}, allow_redirects=False, timeout=60
        )


def logged_in(address: str, role: str) -> Person:
    """Somebody of a role who just logged in."""
    client = requests.Session()
    client.headers["accept"] = "text/html"
    found = Person(client, address.rstrip("/"))
    assert found.post("/login", {"name": role, "password": PASSWORD}).status_code == 303
    token = TOKEN.search(found.get("/account").text)
    assert token
    found.csrf = token.group(1)
    return found


@contextmanager
def web_process(config: Path) -> Iterator[WebProcess]:
    """Serve the pages of a cloud.toml; ended in order afterwards."""
    log = config.with_suffix(".web.log")
    command = [sys.executable, "-m", "cloud_sync.hub.cli", "web", "--config", str(config), "--listen", "127.0.0.1:0"]
    with log.open("ab") as into:
        process = subprocess.Popen([*command, "--json"], stdout=subprocess.PIPE, stderr=into, text=True, env=os.environ)
    assert process.stdout is not None
    found = WebProcess("", process.pid, log)
    try:
        found.address = json.loads(process.stdout.readline())["address"]
        yield found
    finally:
        for client in found.clients:
            client.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        process.stdout.close()
