"""`cloud serve` keeps the collector and the worker running, and leaves nothing behind."""

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from brokers import eventually
from clouds import CLOUD
from retraining_kit import write_cloud

from cloud_sync.wire.broker import free_port


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
    web = f'\n[web]\nlisten = "127.0.0.1:{free_port()}"\n'
    made = Serving(write_cloud(tmp_path, str(tmp_path / "cloud.db"), more=web))
    yield made
    made.close()


@pytest.fixture
def crowded(tmp_path: Path) -> Iterator[Serving]:
    """Somebody else has the pages' port."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        web = f'\n[web]\nlisten = "127.0.0.1:{taken.getsockname()[1]}"\n'
        made = Serving(write_cloud(tmp_path, str(tmp_path / "cloud.db"), more=web))
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


def test_pages_that_cannot_be_served_end_neither_collector_nor_worker(crowded: Serving) -> None:
    eventually(lambda: len(crowded.events("ended", "web")) >= 2, 60)
    assert {event["exit_code"] for event in crowded.events("ended", "web")} == {2}
    assert crowded.process.poll() is None
    assert [len(crowded.pids(name)) for name in ("collect", "work")] == [1, 1]
