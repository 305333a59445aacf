"""How far the live page is behind the line at ten parts a second, and what three who look cost the parts.

One machine plays everything here, so those who look (a real browser and two readers of the stream with its pictures)
run at the lowest priority: in a factory they are other machines. Daemon, line and `edge web` run as they do there.
"""

import json
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from brokers import eventually
from full_size_kit import anomaly_256
from paced_kit import prepared
from pages_kit import CHROMIUM, MISSING, PASSWORD
from playwright.sync_api import Page, sync_playwright
from station_kit import Station, end, process, run_json

from cloud_sync.wire.broker import free_port
from edge.processes import command
from models.bundle_store import activate

pytestmark = [pytest.mark.benchmark, pytest.mark.skipif(bool(MISSING), reason=MISSING)]
TURNS = 6
PARTS = 150
RATE = 10
VIEWER = Path(__file__).parents[1] / "kit" / "live_viewer.py"
NOTE_DRAWN = """() => { window.seen = {}; document.addEventListener("drawn", ({ detail }) =>
  requestAnimationFrame(() => { window.seen[detail] = performance.timeOrigin + performance.now(); })); }"""


@dataclass
class Seen:
    """What a turn showed: trigger to told by the line's log, told to drawn in the browser, milliseconds."""

    told_ms: list[float]
    drawn_ms: list[float]


def test_the_live_page_is_close_behind_the_line_and_costs_it_nothing(tmp_path: Path) -> None:
    made = station(tmp_path)
    turns: dict[bool, list[Seen]] = {False: [], True: []}
    with pages_beside_the_line(made, tmp_path) as address, browser(tmp_path) as page:
        log_in(page, address)
        serve(made, tmp_path, "warm")
        for turn in range(TURNS):
            watched = turn % 4 in {1, 2}
            with viewers(address, tmp_path) if watched else ExitStack():
                turns[watched].append(one_turn(made, tmp_path, page, address if watched else "", f"turn{turn}"))
    report(turns)
    assert all(seen.drawn_ms for seen in turns[True]), "the browser drew nothing"


def report(turns: dict[bool, list[Seen]]) -> None:
    alone, watched = ([ms for seen in turns[which] for ms in seen.told_ms] for which in (False, True))
    drawn = [ms for seen in turns[True] for ms in seen.drawn_ms]
    alone_p50, alone_p99 = np.percentile(alone, (50, 99))
    p50, p99 = np.percentile(watched, (50, 99))
    by_turn = [f"{np.percentile(seen.told_ms, 99):.1f}" for which in (False, True) for seen in turns[which]]
    behind = np.percentile(drawn, (50, 90, 99))
    within = sum(ms <= 300 for ms in drawn) / len(watched)
    sys.stdout.write(
        f"\ntold to drawn, {len(drawn)} of {len(watched)} parts drawn: p50 {behind[0]:.0f} ms, p90 {behind[1]:.0f}, "
        f"p99 {behind[2]:.0f}, worst {max(drawn):.0f}; {within:.1%} of all parts within 300 ms"
        f"\ntrigger to told without viewers p50 {alone_p50:.1f} ms, p99 {alone_p99:.1f}, worst {max(alone):.1f}; with "
        f"three p50 {p50:.1f} ({p50 / alone_p50:.2f}x), p99 {p99:.1f} ({p99 / alone_p99:.2f}x), worst "
        f"{max(watched):.1f}; p99 of each turn, without and then with: {', '.join(by_turn)}\n"
    )


def one_turn(made: Station, folder: Path, page: Page, address: str, name: str) -> Seen:
    """Some parts at the line's pace; with an address, the browser looks."""
    page.goto(address or "about:blank")
    if address:
        page.wait_for_selector("#ready.yes")
        page.evaluate(NOTE_DRAWN)
    told = serve(made, folder, name)
    if not address:
        return Seen([event["latency_ms"] for event in told], [])
    seen: dict[str, float] = page.evaluate("window.seen")
    ahead_ms = browser_ahead_ms(page)
    behind = [seen[part] - ahead_ms - told_at for part, told_at in wall_ms(told).items() if part in seen]
    return Seen([event["latency_ms"] for event in told], behind)


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
def pages_beside_the_line(made: Station, folder: Path) -> Iterator[str]:
    """The daemon and the pages, each a process; gives the pages' address."""
    for name in ("one", "two", "three"):
        add = [command("edge"), "user", "add", name, "-c", str(made.config)]
        subprocess.run(add, input=PASSWORD, text=True, check=True, capture_output=True)
    listen = f"127.0.0.1:{free_port()}"
    daemon = process(["edge", "run", "-c", str(made.config)], folder / "daemon.log")
    web = process(["edge", "web", "-c", str(made.config), "--listen", listen, "--json"], folder / "web.log")
    with daemon, web as child:
        assert child.stdout is not None
        assert json.loads(child.stdout.readline())["ok"]
        yield f"http://{listen}"


@contextmanager
def browser(folder: Path) -> Iterator[Page]:
    """Debian's Chromium at the lowest priority."""
    program = folder / "chromium"
    program.write_text(f'#!/bin/sh\nexec nice -n 19 {shlex.quote(str(CHROMIUM))} "$@"\n')
    program.chmod(0o700)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            yield running.new_page(viewport={"width": 1280, "height": 800})
        finally:
            running.close()


def log_in(page: Page, address: str) -> None:
    page.goto(address)
    page.fill("input[name=name]", "one")
    page.fill("input[name=password]", PASSWORD)
    page.click("button.main")
    page.wait_for_selector("header nav")


@contextmanager
def viewers(address: str, folder: Path) -> Iterator[None]:
    """Two more who look, each a process at the lowest priority."""
    logs = [folder / f"{name}.log" for name in ("two", "three")]
    running = []
    for name, log in zip(("two", "three"), logs, strict=True):
        with log.open("w") as out:
            arguments = ["nice", "-n", "19", sys.executable, str(VIEWER), address, name, PASSWORD]
            running.append(subprocess.Popen(arguments, stdout=out, text=True))
    try:
        eventually(lambda: all(child.poll() is None for child in running))
        yield
    finally:
        for child in running:
            end(child)
    assert all(log.read_text() for log in logs), "somebody saw no picture"
