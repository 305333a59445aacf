"""The demo's end: the pages of station and cloud, alive, with somebody who may log in."""

import http.client
import secrets
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from http.cookiejar import CookieJar
from pathlib import Path

from rich.console import Console

from cloud_sync.wire.broker import free_port
from edge.demo.plant import Plant
from edge.demo.settings import LINE
from edge.domain.errors import OutputError
from edge.processes import answering, command

NAME = "demo"
_LOOK = "look"  # what the names of the parts begin with that pass while somebody looks
_RATE_HZ = 2.0
_PARTS = 1_000_000
_PATIENCE_S = 30.0
_LOOK_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class Pages:
    """Where the pages are, and who may log in."""

    station: str
    cloud: str
    name: str
    password: str = field(repr=False)


@contextmanager
def open_pages(plant: Plant) -> Iterator[Pages]:
    """Station, line and both pages run, each a process of its own, until the block ends.

    Raises:
        OutputError: one of them did not start, or a page did not answer.
    """
    password, plant = secrets.token_urlsafe(12), on_a_free_line(plant)
    with ExitStack() as stack:
        stack.enter_context(plant.inspecting(LINE))
        stack.enter_context(plant.line(_PARTS, _LOOK, _RATE_HZ))
        addresses = []
        for program, config in (("edge", plant.config), ("cloud", plant.cloud)):
            _let_in(program, str(config), password)
            addresses.append(stack.enter_context(served(program, config, plant.log(f"{program}-web"))))
        pages = Pages(addresses[0], addresses[1], NAME, password)
        for address in addresses:
            _await_alive(address, password)
        yield pages


def on_a_free_line(plant: Plant) -> Plant:
    """The plant, with another line port where somebody took its own since its station last ran."""
    try:
        socket.create_server(("127.0.0.1", plant.line_port)).close()
    except OSError:
        return replace(plant, line_port=free_port())
    return plant


@contextmanager
def served(program: str, config: Path, log: Path) -> Iterator[str]:
    """A site's pages, where the system found a port as it served them: one chosen before might be another's by then.

    Args:
        program: `edge` or `cloud`.
        config: its file.
        log: for its stderr.

    Raises:
        OutputError: it ended before it could be asked.
    """
    with answering([program, "web", "--config", str(config), "--listen", "127.0.0.1:0", "--json"], log) as said:
        yield str(said["address"])


def show_pages(pages: Pages, console: Console, *, stay: bool) -> None:
    """Print where the pages are; with `stay` they stay until Ctrl-C, SIGTERM, or the terminal is closed."""
    console.print("[bold]The pages are alive[/bold]; parts pass the station, two a second:")
    console.print(f"station: {pages.station}\n  cloud: {pages.cloud}", highlight=False)
    console.print(f"log in as {pages.name}, password {pages.password}", highlight=False)
    if not stay:
        console.print("They end with this demo, for nobody sits at this terminal.")
        return
    for ending in (signal.SIGTERM, signal.SIGHUP):  # as Ctrl-C: else line, station and pages would run on by themselves
        signal.signal(ending, signal.default_int_handler)
    try:
        console.print("Ctrl-C ends the demo.")
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        console.print("The demo ends.")


def _let_in(program: str, config: str, password: str) -> None:
    words = [command(program), "user", "add", NAME, "--role", "admin", "--config", config, "--json"]
    done = subprocess.run(words, input=password, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode:
        raise OutputError(f"`{program} user add` ended with exit code {done.returncode}: {done.stderr.strip()}")


def _await_alive(address: str, password: str) -> None:
    """Log in as a browser does, and see the first page. Raises OutputError."""
    until_s, found = time.monotonic() + _PATIENCE_S, ""
    while time.monotonic() < until_s:
        try:
            found = _first_page(address, password)
        except (OSError, http.client.HTTPException) as error:  # HTTPError and URLError are OSErrors
            found = str(error)
        if f">{NAME}<" in found:
            return
        time.sleep(_LOOK_EVERY_S)
    raise OutputError(f"the page at {address} did not answer within {_PATIENCE_S:g} s: {found[-300:]}")


def _first_page(address: str, password: str) -> str:
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    form = urllib.parse.urlencode({"name": NAME, "password": password}).encode()
    with opener.open(f"{address}login", form, _PATIENCE_S) as answer:
        found: str = answer.read().decode()
    return found
