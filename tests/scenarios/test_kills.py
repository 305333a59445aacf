"""kill -9 of daemon, broker and collector in turn, at random, while parts pass: what was told is there, and once."""

import random
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from subprocess import Popen
from typing import Self

import pytest
from brokers import eventually
from line_kit import Line, make_line
from station_kit import end

from cloud_sync.wire.broker import LocalBroker, available_kinds, free_port

PARTS = 200_000
KILLS = [
    pytest.param(6, id="6"),
    pytest.param(200, id="200", marks=[pytest.mark.soak, pytest.mark.timeout(3600)]),
]


class Victim:
    """A process that is started again whenever it was killed; a context manager."""

    def __init__(self, starting: Callable[[], AbstractContextManager["Popen[str]"]]) -> None:
        self._starting = starting

    def __enter__(self) -> Self:
        self._lives = self._starting()
        self._child = self._lives.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._lives.__exit__(None, None, None)

    def die_and_live(self) -> None:
        """kill -9 and start again."""
        end(self._child, signal.SIGKILL)
        self.__exit__()
        self.__enter__()


def kill_in_turn(line: Line, victims: dict[str, Callable[[], None]], kills: int, chance: random.Random) -> Counter[str]:
    """Kill at random, between any two verdicts; one time in eight a victim that has only just been started."""
    killed: Counter[str] = Counter()
    while killed.total() < kills:
        goal = line.told() + chance.randint(1, 60)
        eventually(lambda goal=goal: line.told() >= goal, 60)
        name = chance.choice(sorted(victims))
        for again in range(1 + (chance.random() < 1 / 8)):
            threading.Event().wait(chance.uniform(0, 1) * again)
            victims[name]()
            killed[name] += 1
        sys.stderr.write(f"\rkilled {dict(killed)}, told {line.told()} ")
    return killed


@pytest.mark.parametrize("kills", KILLS)
def test_kills_lose_no_told_verdict_and_tell_none_twice(tmp_path: Path, kills: int) -> None:
    broker = LocalBroker(available_kinds()[0], tmp_path / "broker", free_port(), persistence=True)
    line = make_line(tmp_path, broker)

    def kill_broker() -> None:
        broker.kill()
        broker.start()

    with broker, Victim(line.collector) as collector, Victim(line.daemon) as daemon:
        victims = {"daemon": daemon.die_and_live, "broker": kill_broker, "collector": collector.die_and_live}
        with line.simulator(PARTS, "--in-flight", "4", "--rate", "200") as simulator:
            killed = kill_in_turn(line, victims, kills, random.Random(7))
            end(simulator, signal.SIGKILL)
        line.await_acknowledged(90)
    report = line.check()
    assert report.clean, report
    assert len(killed) == len(victims)
    assert line.events("disconnected")
    assert report.tally["inspections"] == report.tally["outcomes"]
