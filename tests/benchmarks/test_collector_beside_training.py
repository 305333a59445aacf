"""How late a collector acknowledges a record while a model is trained on the same cores, against a quiet machine."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from brokers import eventually
from classifier_kit import painted_folders
from clouds import CloudProcess
from lag_kit import Asker, busy_s, figures

from cloud_sync.hub.retraining.child import Orders
from cloud_sync.hub.retraining.training import QUIET, TRAIN, Room
from cloud_sync.wire.broker import LocalBroker, available_kinds, free_port

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(900)]
BLOCK, ROUNDS, STATION = 200, 3, "bench-1"
LOW, NORMAL = Room(), Room(nice=0, idle=False)


@contextmanager
def training(folder: Path, images: Path, room: Room) -> Iterator[None]:
    """A probe that is really trained, from the moment on that it works."""
    orders = Orders(os.getpid(), "", room.nice, room.idle, room.threads)
    out = folder / "out" / f"c{time.monotonic_ns()}" / "v1"
    words = [*TRAIN, "--data", str(images), "--out", str(out), "--kind", "classifier", "--json"]
    command = [sys.executable, "-m", "cloud_sync.hub.retraining.child", orders.as_json(), *words]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**QUIET, **os.environ})
    try:
        eventually(lambda: busy_s(process.pid) > 4, 120)
        yield
        assert process.poll() is None, "the training ended before the measuring"
    finally:
        process.kill()
        process.wait()


def test_a_training_at_low_priority_keeps_the_collectors_lag_flat(tmp_path: Path) -> None:
    if "mosquitto" not in available_kinds():
        pytest.skip("mosquitto is not on this machine")
    images = painted_folders(tmp_path / "images", 250, 128)
    found: dict[str, list[float]] = {"quiet": [], "low": [], "normal": []}
    with LocalBroker("mosquitto", tmp_path / "broker", free_port()) as broker:
        collector = CloudProcess(broker.address, tmp_path / "store.db")
        collector.start()
        asker = Asker(broker, STATION, BLOCK * ROUNDS * 3)
        try:
            for _ in range(ROUNDS):
                found["quiet"] += asker.block_s(BLOCK)
                with training(tmp_path, images, LOW):
                    found["low"] += asker.block_s(BLOCK)
                with training(tmp_path, images, NORMAL):
                    found["normal"] += asker.block_s(BLOCK)
        finally:
            asker.stop()
            collector.stop()
    said = {name: figures(seconds) for name, seconds in found.items()}
    for name, (p50_ms, p99_ms) in said.items():
        quiet = said["quiet"]
        sys.stdout.write(
            f"{name}: p50 {p50_ms:.1f} ms ({p50_ms / quiet[0]:.2f}x), p99 {p99_ms:.1f} ms ({p99_ms / quiet[1]:.2f}x)\n"
        )
    assert said["low"][0] < 2 * said["quiet"][0]
    assert said["low"][1] < 3 * said["quiet"][1]
