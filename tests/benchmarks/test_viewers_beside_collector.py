"""Twenty people before the cloud's pages: how late the collector acknowledges meanwhile, and what the pages take."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import viewers
from clouds import CloudProcess
from lag_kit import Asker, busy_s, figures, memory_mb
from large_kit import PRODUCT, Size, large_store
from pages_kit import let_in
from web_process import WebProcess, web_process

from cloud_sync.hub.retraining.cloud_toml import load_config
from cloud_sync.hub.web.site import make_fleet_pages
from cloud_sync.pages.serving import Listen
from cloud_sync.wire.broker import LocalBroker, available_kinds, free_port

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(900)]
SPAN_S, ROUNDS, PEOPLE, RECORDS = 8.0, 2, 20, 20_000
SIZE = Size(samples=20_000, labels=1_000, runs=100, rollouts=4, days=2)
HOW = {"nobody": None, "20 people": 1.0, "20 who never pause": 0.0}


@contextmanager
def looking(web: WebProcess, pace: float | None) -> Iterator[dict[str, float]]:
    """So many people, once all of them are there; what they saw is in what is given, afterwards."""
    found: dict[str, float] = {}
    if pace is None:
        yield found
        return
    kit = Path(viewers.__file__)
    environment = {**os.environ, "PYTHONPATH": f"{kit.parent}:{os.environ.get('PYTHONPATH', '')}"}
    command = [sys.executable, str(kit), web.address, str(PEOPLE), str(pace)]
    people = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    assert people.stdout is not None
    assert people.stdout.readline() == "here\n"
    began_s, busy = time.monotonic(), busy_s(web.pid)
    yield found
    span_s, spent_s = time.monotonic() - began_s, busy_s(web.pid) - busy
    said, _ = people.communicate("", 120)
    assert people.returncode == 0
    found |= json.loads(said) | {"cores": spent_s / span_s}


def served_store(folder: Path) -> tuple[str, Path]:
    """A large store, and a cloud.toml whose pages let people in."""
    place, config = str(folder / "store.db"), folder / "cloud.toml"
    large_store(place, time.time_ns() // 1_000_000, SIZE)
    config.write_text(f'[cloud]\nstore = "{place}"\n[[product]]\nid = "{PRODUCT}"\nbundle = "cells"\n')
    let_in(make_fleet_pages(load_config(config), Listen()))
    return place, config


def test_twenty_people_before_the_pages_leave_the_collectors_lag_as_it_is(tmp_path: Path) -> None:
    if "mosquitto" not in available_kinds():
        pytest.skip("mosquitto is not on this machine")
    place, config = served_store(tmp_path)
    lags: dict[str, list[float]] = {how: [] for how in HOW}
    with LocalBroker("mosquitto", tmp_path / "broker", free_port()) as broker, web_process(config) as web:
        collector = CloudProcess(broker.address, place)
        collector.start()
        asker = Asker(broker, "press-001", RECORDS)
        web.person("operator").get("/")
        before_mb = memory_mb(web.pid)
        try:
            for _ in range(ROUNDS):
                for how, pace in HOW.items():
                    with looking(web, pace) as saw:
                        lags[how] += asker.span_s(SPAN_S)
                    sys.stdout.write(f"\n{how}: {json.dumps(saw)}")
        finally:
            asker.stop()
            collector.stop()
        sys.stdout.write(f"\nthe pages hold {memory_mb(web.pid):.0f} MB, {before_mb:.0f} before anybody looked")
        assert memory_mb(web.pid) < before_mb + 200
    said = {how: figures(seconds) for how, seconds in lags.items()}
    quiet = said["nobody"]
    for how, (p50_ms, p99_ms) in said.items():
        ratios = f"{p50_ms / quiet[0]:.2f} and {p99_ms / quiet[1]:.2f} times"
        sys.stdout.write(f"\n{how}: acknowledged after p50 {p50_ms:.1f} ms, p99 {p99_ms:.1f} ms: {ratios}")
    assert said["20 people"][0] < 2 * quiet[0]
