"""The line goes on while the cloud trains, proves and rolls out: parts pass, and each step is told as it comes."""

import queue
import subprocess
import threading
import time
from dataclasses import dataclass

from rich.console import Console

from edge.demo.events import Course, Step
from edge.demo.plant import Plant, ended_well
from edge.domain.errors import OutputError
from edge.processes import ask_json, follow

LONGEST_S = 1200.0
_RATE_HZ = 10.0  # while it trains
_ROLLOUT_HZ = 30.0  # each stage waits for its parts
_PARTS = 30  # after so many the rollout is asked for


@dataclass(frozen=True, slots=True)
class Round:
    """How it ended, how many parts passed meanwhile, and how many of them the line was not told."""

    course: Course
    parts: int
    untold: int


def go_round(plant: Plant, work: "subprocess.Popen[str]", console: Console) -> Round:
    """Let parts pass until what the cloud's worker does is over.

    Args:
        plant: its station runs.
        work: `cloud work --json`.
        console: told of each step.

    Raises:
        OutputError: the line, the worker or a command failed.
    """
    course, events, passed, untold = Course(time.monotonic()), _events(work), 0, 0

    def look() -> None:
        while not events.empty():
            _say(course, course.heard(events.get(), time.monotonic()), console)

    while not course.over and time.monotonic() - course.started_s < LONGEST_S:
        number = passed // _PARTS + 1
        with plant.line(_PARTS, f"line{number}", _ROLLOUT_HZ if course.release else _RATE_HZ) as line:
            said = ended_well(line, follow(line, look), plant.folder / "logs")
        passed, untold = passed + _PARTS, untold + int(str(said["untold"]))
        if work.poll() is not None:
            raise OutputError(f"`cloud work` ended with exit code {work.returncode}: see {plant.log('work')}")
        if course.release:
            told = ask_json(["cloud", "rollout", "show", course.release, "--store", str(plant.store), "--json"])
            _say(course, course.rolled(told, time.monotonic()), console)
    return Round(course, passed, untold)


def _events(work: "subprocess.Popen[str]") -> "queue.SimpleQueue[str]":
    """What it says, line by line, read by a thread that ends with it."""
    found: queue.SimpleQueue[str] = queue.SimpleQueue()

    def read() -> None:
        for line in work.stdout or ():
            found.put(line)

    threading.Thread(target=read, name="events", daemon=True).start()
    return found


def _say(course: Course, steps: list[Step], console: Console) -> None:
    for step in steps:
        if step.name == "rollout":
            console.print("8/9 roll out: shadow beside the model in use, then canary, then all; the line goes on")
        console.print(f"  {step.at_s - course.fired_s:6.1f} s  {step.text}", highlight=False, soft_wrap=True)
