"""How far the live page is behind the line at ten parts a second, and what three who look cost the parts.

One machine plays everything here, so those who look run at the lowest priority: in a factory they are other machines.
The pages have beside the daemon a tenth of its weight, though their unit gives them a hundredth (CPUWeight): a session
of their own, which the kernel weighs by its autogroup where it has such. Turns of three kinds alternate: nobody looks;
three readers, who take the stream and each new picture; a real browser, and two readers.
"""

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from full_size_kit import anomaly_256
from paced_kit import prepared
from pages_kit import CHROMIUM, MISSING, PASSWORD
from playwright.sync_api import Page, sync_playwright
from station_kit import Station, end, process, run_json

from cloud_sync.wire.broker import free_port
from edge.processes import command
from models.bundle_store import activate

pytestmark = [pytest.mark.benchmark, pytest.mark.skipif(bool(MISSING), reason=MISSING)]
PARTS = 80
RATE = 10
VIEWER = Path(__file__).parents[1] / "kit" / "live_viewer.py"
NOTE_DRAWN = """() => { window.seen = {}; document.addEventListener("drawn", ({ detail }) =>
  requestAnimationFrame(() => { window.seen[detail] = performance.timeOrigin + performance.now(); })); }"""


@dataclass(frozen=True)
class Pages:
    """The pages' process."""

    address: str
    pid: int


class Who(StrEnum):
    """Who looks during a turn."""

    NOBODY = "nobody"
    READERS = "three readers"
    BROWSER = "a browser and two readers"


ORDER = (*Who, *reversed(Who)) * 2


@dataclass
class Seen:
    """What a turn showed: trigger to told by the line's log, told to drawn in the browser, and the pages' CPU share."""

    told_ms: list[float]
    drawn_ms: list[float]
    pages_share: float


def test_the_live_page_is_close_behind_the_line_and_costs_it_nothing(tmp_path: Path) -> None:
    made = station(tmp_path)
    turns: dict[Who, list[Seen]] = {who: [] for who in Who}
    with pages_beside_the_line(made, tmp_path) as pages, browser(tmp_path) as page:
        log_in(page, pages.address)
        serve(made, tmp_path, "warm")
        for number, who in enumerate(ORDER):
            readers = {Who.NOBODY: (), Who.READERS: ("one", "two", "three"), Who.BROWSER: ("two", "three")}[who]
            with viewers(pages.address, readers):
                turns[who].append(one_turn(made, tmp_path, page, pages, who, f"turn{number}"))
    report(turns)
    assert all(seen.drawn_ms for seen in turns[Who.BROWSER]), "the browser drew nothing"


def report(turns: dict[Who, list[Seen]]) -> None:
    drawn = [ms for seen in turns[Who.BROWSER] for ms in seen.drawn_ms]
    parts = sum(len(seen.told_ms) for seen in turns[Who.BROWSER])
    behind, within = np.percentile(drawn, (50, 90, 99)), sum(ms <= 300 for ms in drawn) / len(drawn)
    sys.stdout.write(
        f"\ntold to drawn: {len(drawn)} of {parts} parts were drawn: p50 {behind[0]:.0f} ms, p90 {behind[1]:.0f}, "
        f"p99 {behind[2]:.0f}, worst {max(drawn):.0f}; {within:.1%} of them within 300 ms\n"
    )
    alone = np.percentile([ms for seen in turns[Who.NOBODY] for ms in seen.told_ms], (50, 99))
    for who, found in turns.items():
        told = [ms for seen in found for ms in seen.told_ms]
        p50, p99 = np.percentile(told, (50, 99))
        each = ", ".join(f"{np.percentile(seen.told_ms, 99):.1f}" for seen in found)
        sys.stdout.write(
            f"trigger to told, {who}: p50 {p50:.1f} ms ({p50 / alone[0]:.2f}x), p99 {p99:.1f} ({p99 / alone[1]:.2f}x; "
            f"by turn {each}), worst {max(told):.1f}; the pages took "
            f"{np.mean([seen.pages_share for seen in found]):.1%} of a core\n"
        )


def one_turn(made: Station, folder: Path, page: Page, pages: Pages, who: Who, name: str) -> Seen:
    """Some parts at the line's pace, and how they were drawn where the browser looks."""
    looks = who is Who.BROWSER
    page.goto(pages.address if looks else "about:blank")
    if looks:
        page.wait_for_selector("#ready.yes")
        page.evaluate(NOTE_DRAWN)
    began_s, before_s = time.monotonic(), cpu_s(pages.pid)
    told = serve(made, folder, name)
    share = (cpu_s(pages.pid) - before_s) / (time.monotonic() - began_s)
    seen: dict[str, float] = page.evaluate("window.seen") if looks else {}
    ahead_ms = browser_ahead_ms(page)
    behind = [seen[part] - ahead_ms - told_at for part, told_at in wall_ms(told).items() if part in seen]
    return Seen([event["latency_ms"] for event in told], behind, share)


def cpu_s(pid: int) -> float:
    """Seconds of a core that a process took so far."""
    values = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(values[11]) + int(values[12])) / os.sysconf("SC_CLK_TCK")


def wall_ms(told: list[dict[str, Any]]) -> dict[str, float]:
    offset_ms = (time.time() - time.monotonic()) * 1000
    return {event["part_id"]: event["monotonic_s"] * 1000 + offset_ms for event in told}


def browser_ahead_ms(page: Page) -> float:
    """By how much the browser's clock is ahead of this one's: of some questions, the one that took least."""
    asked = []
    for _ in range(20):
        before = time.time()
        said = page.evaluate("performance.timeOrigin + performance.now()")
        after = time.time()
        asked.append((after - before, said - (before + after) * 500))
    return min(asked)[1]


def serve(made: Station, folder: Path, name: str) -> list[dict[str, Any]]:
    """Let the parts of a turn pass; what the line was told."""
    log = folder / f"{name}.jsonl"
    line = ["edge", "simulate", "--product", "blob", "--port", f"tcp://127.0.0.1:{made.port}", "--log", str(log)]
    code, said = run_json([*line, "--parts", str(PARTS), "--rate", str(RATE), "--prefix", name, "--json"], 120)
    assert code == 0, said
    events = [json.loads(line) for line in log.read_text().splitlines()]
    return [event for event in events if event["event"] == "told"]


def station(folder: Path) -> Station:
    """A station of full size: an anomaly model in INT8, frames of 1280 x 960, pictures kept as JPEG."""
    settings = {"camera": {"source": "frames"}, "retention": {"image_format": "jpeg"}}
    made = Station(folder / "station", settings=settings)
    made.config.parent.mkdir()
    made.config.write_text(made.write_config().read_text().replace("bundle = 'blob'", "bundle = 'anomaly'"))
    frames = prepared(12, (1280, 960))
    anomaly_256(made.bundles, frames[:4])
    activate(made.bundles, "anomaly", 1)
    (made.folder / "frames").mkdir()
    for number, frame in enumerate(frames):
        cv2.imwrite(str(made.folder / "frames" / f"{number:02}.bmp"), frame)
    return made


@contextmanager
def pages_beside_the_line(made: Station, folder: Path) -> Iterator[Pages]:
    """The daemon and the pages, each a process."""
    for name in ("one", "two", "three"):
        add = [command("edge"), "user", "add", name, "-c", str(made.config)]
        subprocess.run(add, input=PASSWORD, text=True, check=True, capture_output=True)
    listen = f"127.0.0.1:{free_port()}"
    arguments = [command("edge"), "web", "-c", str(made.config), "--listen", listen, "--json"]
    with process(["edge", "run", "-c", str(made.config)], folder / "daemon.log"), guest(arguments) as web:
        assert web.stdout is not None
        assert json.loads(web.stdout.readline())["ok"]
        yield Pages(f"http://{listen}", web.pid)


@contextmanager
def guest(arguments: list[str]) -> Iterator[subprocess.Popen[str]]:
    """A process that takes what the line leaves over, until the block ends."""
    child = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, start_new_session=True)
    weight = Path(f"/proc/{child.pid}/autogroup")
    if weight.exists():
        weight.write_text("10")
    try:
        yield child
    finally:
        end(child)


@contextmanager
def browser(folder: Path) -> Iterator[Page]:
    """Debian's Chromium at the lowest priority; in a session of its own, as Playwright starts it."""
    program = folder / "chromium"
    program.write_text(f'#!/bin/sh\nexec nice -n 19 {shlex.quote(str(CHROMIUM))} "$@"\n')
    program.chmod(0o700)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            page = running.new_page(viewport={"width": 1280, "height": 800})
            page.set_default_timeout(120_000)
            yield page
        finally:
            running.close()


def log_in(page: Page, address: str) -> None:
    page.goto(address)
    page.fill("input[name=name]", "one")
    page.fill("input[name=password]", PASSWORD)
    page.click("button.main")
    page.wait_for_selector("header nav")


@contextmanager
def viewers(address: str, names: tuple[str, ...]) -> Iterator[None]:
    """Some who look; each saw a picture before the parts pass."""
    with ExitStack() as stack:
        running = [stack.enter_context(guest([sys.executable, str(VIEWER), address, name, PASSWORD])) for name in names]
        for child in running:
            assert child.stdout is not None
            assert int(child.stdout.readline()) > 0
        yield
        assert all(child.poll() is None for child in running)
