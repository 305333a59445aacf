"""`cloud serve` keeps the collector and the worker running, and leaves nothing behind."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from brokers import eventually
from clouds import CLOUD
from retraining_kit import write_cloud


class Serving:
    """The process, and the events it said so far."""

    def __init__(self, config: Path) -> None:
        self._log = config.with_suffix(".log").open("wb")
        self._out = config.with_suffix(".out")
        words = [*CLOUD, "serve", "--config", str(config), "--json"]
        with self._out.open("wb") as out:
            self.process = subprocess.Popen(words, stdout=out, stderr=self._log)

    def events(self, name: str, process: str) -> list[dict[str, object]]:
        lines = [json.loads(line) for line in self._out.read_text().splitlines()]
        return [line for line in lines if line["event"] == name and line.get("process") == process]

    def pids(self, process: str) -> list[int]:
        return [int(str(event["pid"])) for event in self.events("started", process)]

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(20)
        self._log.close()


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    made = Serving(write_cloud(tmp_path, str(tmp_path / "cloud.db")))
    yield made
    made.close()


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def test_what_ends_is_started_again_and_all_of_it_ends_with_serve(serving: Serving) -> None:
    eventually(lambda: serving.pids("collect") and serving.pids("work"), 30)
    [first] = serving.pids("collect")
    os.kill(first, signal.SIGKILL)
    eventually(lambda: len(serving.pids("collect")) == 2, 30)
    [ended] = serving.events("ended", "collect")
    assert ended["exit_code"] == -signal.SIGKILL
    assert len(serving.pids("work")) == 1
    serving.process.send_signal(signal.SIGTERM)
    assert serving.process.wait(60) == 0
    assert all(gone(pid) for pid in [*serving.pids("collect"), *serving.pids("work")])


def test_a_serve_that_is_killed_leaves_neither_collector_nor_worker(serving: Serving) -> None:
    eventually(lambda: serving.pids("collect") and serving.pids("work"), 30)
    serving.process.kill()
    serving.process.wait(20)
    eventually(lambda: all(gone(pid) for pid in [*serving.pids("collect"), *serving.pids("work")]))
