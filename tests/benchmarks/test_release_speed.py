"""What a release costs the line: how late parts are told, and the longest gap, from its trial until it decides."""

import sys
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from daemon_kit import daemon, line_to
from edge_kit import LineClient
from full_size_kit import anomaly_256
from paced_kit import prepared
from release_kit import OPEN, Cloud, Heard, asks
from station_kit import Station, write_frames

from cloud_sync.wire.messages import Probation
from models.bundle_store import activate, copy_next

pytestmark = pytest.mark.benchmark
EVERY_S = 0.1
QUIET_PARTS = 200


@dataclass
class Paced:
    """Parts at a steady pace; how long each took to be told, by the stage of the release at that time."""

    client: LineClient
    stage: str = "without"
    took_ms: dict[str, list[float]] = field(default_factory=dict)
    gaps_ms: dict[str, list[float]] = field(default_factory=dict)

    def run(self, stop: threading.Event) -> None:
        number, before_s, next_s = 0, time.monotonic(), time.monotonic()
        while not stop.wait(max(0.0, next_s - time.monotonic())):
            next_s = max(next_s + EVERY_S, time.monotonic())
            stage, asked_s = self.stage, time.monotonic()
            self.client.trigger(f"p-{number}")
            said = self.client.hear()
            told_s = time.monotonic()
            self.client.ack(said["part_id"])
            assert said["verdict"] != "UNDECIDED", said
            self.took_ms.setdefault(stage, []).append((told_s - asked_s) * 1000)
            self.gaps_ms.setdefault(stage, []).append((told_s - before_s) * 1000)
            number, before_s = number + 1, told_s


def test_what_a_release_costs_the_line(tmp_path: Path) -> None:
    made = Station(tmp_path / "station", settings={"line": {"deadline_ms": 4000}, "release": OPEN})
    made.write_config()
    made.config.write_text(made.config.read_text().replace("bundle = 'blob'", "bundle = 'anomaly'"))
    first = anomaly_256(made.bundles, prepared(4))
    activate(made.bundles, "anomaly", 1)
    write_frames(made.folder / "frames", 6)
    cloud = Cloud(tmp_path / "cloud", made)
    release = copy_next(tmp_path / "trained", "anomaly", first, datetime.now(UTC))
    job, file = cloud.release(release)
    limits = Probation(parts=100, disagreement_most=1, escape_most=1, reject_shift_most=1)
    with daemon(made) as running, line_to(made) as client, cloud.answering(running):
        client.hear_ready(ready=True)
        station = running._station  # noqa: SLF001 - as the downlink hands over
        heard, paced, stop = Heard(station.handover), Paced(client), threading.Event()
        thread = threading.Thread(target=paced.run, args=(stop,))
        thread.start()
        wait_for(lambda: len(paced.took_ms.get("without", [])) >= QUIET_PARTS)
        paced.stage = "tried"
        station.handover.asked(asks(job, "live", limits))
        station.handover.fetched(asks(job, "live", limits), file)
        wait_for(heard.is_at("shadow"))
        paced.stage = "in shadow"
        wait_for(heard.is_at("live"))
        paced.stage = "taking over"
        wait_for(lambda: station.products["blob"].engine.model_id.sha256 != first.model_id.sha256)
        wait_for(lambda: len(paced.took_ms.get("taking over", [])) >= 20)
        paced.stage = "live"
        wait_for(lambda: len(paced.took_ms.get("live", [])) >= QUIET_PARTS)
        stop.set()
        thread.join(10)
    quiet_ms = max(paced.gaps_ms["without"])
    for stage, took in paced.took_ms.items():
        gap_ms, p99_ms = max(paced.gaps_ms[stage]), np.percentile(took, 99)
        sys.stdout.write(
            f"\n{stage}: {len(took)} parts, told p50 {np.median(took):.1f} ms, p99 {p99_ms:.1f}, worst "
            f"{max(took):.1f}; longest gap {gap_ms:.0f} ms, {gap_ms / quiet_ms:.2f} of that without"
        )
        assert max(took) < 4000, "no part is late"


def wait_for(check: object, within_s: float = 300.0) -> None:
    until_s, pause = time.monotonic() + within_s, threading.Event()
    while not check():  # type: ignore[operator]
        assert time.monotonic() < until_s, check
        pause.wait(0.005)
