"""What a shadow, and a changeover under load, cost the parts on the line: trigger to told, each with and without."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from brokers import eventually
from daemon_kit import line_to
from edge_kit import LineClient
from edge_rows import rows
from full_size_kit import anomaly_256
from paced_kit import prepared
from station_kit import Station, end

from models.bundle import Bundle, open_bundle
from models.bundle_store import activate, copy_next, version_path

pytestmark = pytest.mark.benchmark
PARTS = 60
TURNS = 4
SCRIPT = Path(__file__).parents[1] / "kit" / "shadowed_station.py"


@pytest.mark.parametrize(
    "period_s",
    [
        pytest.param(0.2, id="5 a second"),
        pytest.param(0.07, id="14 a second"),
        pytest.param(0.0, id="back to back"),
    ],
)
def test_parts_wait_hardly_longer_while_a_challenger_looks(tmp_path: Path, period_s: float) -> None:
    made, bundle = station(tmp_path)
    waits: dict[bool, list[float]] = {False: [], True: []}
    with shadowed(made, bundle) as child, line_to(made) as line:
        line.hear_ready(ready=True)
        serve(line, "warm", period_s)
        seen = []
        for turn in range(TURNS):
            looking = bool(turn % 2)
            if looking:
                child.send_signal(signal.SIGUSR1)
                eventually(lambda: figures(made)["state"] == "looking", 60)
            waits[looking] += serve(line, f"turn-{turn}", period_s)
            if looking:
                seen.append(figures(made))
                child.send_signal(signal.SIGUSR2)
                eventually(lambda: figures(made)["state"] == "none", 60)
    quiet, busy = (np.percentile(waits[looking], (50, 99)) for looking in (False, True))
    parts, skipped = (sum(one[name] for one in seen) for name in ("parts", "skipped"))
    sys.stdout.write(
        f"\na part each {period_s:g} s: trigger to told p50 {quiet[0]:.1f} ms, p99 {quiet[1]:.1f}; beside a challenger "
        f"that saw {parts} and skipped {skipped}: p50 {busy[0]:.1f} ms ({busy[0] / quiet[0]:.2f}x), p99 {busy[1]:.1f} "
        f"({busy[1] / quiet[1]:.2f}x), worst {max(waits[True]):.1f} against {max(waits[False]):.1f}"
    )
    assert max(waits[True]) < 1000, "no part missed its deadline"
    assert sum(one["faults"] for one in seen) == 0


def test_parts_wait_hardly_longer_while_a_challenger_is_loaded(tmp_path: Path) -> None:
    made, bundle = station(tmp_path)
    with shadowed(made, bundle) as child, line_to(made) as line:
        line.hear_ready(ready=True)
        serve(line, "warm", 0.07)
        quiet = serve(line, "quiet", 0.07)
        child.send_signal(signal.SIGUSR1)
        busy = serve(line, "loading", 0.07)
        assert figures(made)["state"] == "looking"
    sys.stdout.write(
        f"\ntrigger to told p99 {np.percentile(quiet, 99):.1f} ms, worst {max(quiet):.1f}; while a challenger is "
        f"loaded: p99 {np.percentile(busy, 99):.1f}, worst {max(busy):.1f}"
    )
    assert max(busy) < 1000, "no part missed its deadline"


@pytest.mark.parametrize("period_s", [pytest.param(0.07, id="14 a second"), pytest.param(0.0, id="back to back")])
@pytest.mark.parametrize("warm", [pytest.param(False, id="never seen"), pytest.param(True, id="after a shadow")])
def test_a_bundle_that_goes_live_delays_no_part_beyond_its_deadline(
    tmp_path: Path,
    period_s: float,
    warm: bool,  # noqa: FBT001
) -> None:
    made, bundle = station(tmp_path)
    with shadowed(made, bundle) as child, line_to(made) as line:
        line.hear_ready(ready=True)
        serve(line, "warm", period_s)
        if warm:
            child.send_signal(signal.SIGUSR1)
            eventually(lambda: figures(made)["state"] == "looking", 60)
            child.send_signal(signal.SIGUSR2)
        usual = serve(line, "usual", period_s)
        thread = threading.Timer(0.2, activate, (made.bundles, "anomaly", 2))
        thread.start()
        swapped = serve(line, "swap", period_s)
        thread.join()
    found = [json.loads(row) for (row,) in rows(made.database, RECORDS)]  # type: ignore[arg-type]
    shas = [view["model"]["sha256"] for record in found for view in record["views"]]
    old = open_bundle(version_path(made.bundles, "anomaly", 1)).model_id.sha256
    changed = shas.index(bundle.model_id.sha256)
    assert shas == [old] * changed + [bundle.model_id.sha256] * (len(shas) - changed)
    sys.stdout.write(
        f"\na part each {period_s:g} s: trigger to told p50 {np.median(usual):.1f} ms, worst {max(usual):.1f}; while a "
        f"bundle goes live ({'its graph in the cache' if warm else 'never compiled'}): p50 {np.median(swapped):.1f}, "
        f"worst {max(swapped):.1f} ({max(swapped) / max(usual):.2f}x)"
    )
    assert max(swapped) < 1000, "no part missed its deadline"
    assert [record["part_id"] for record in found][-PARTS:] == [f"swap-{number}" for number in range(PARTS)]


RECORDS = "SELECT payload FROM records WHERE stream = 'inspections' ORDER BY seq"


def station(folder: Path) -> tuple[Station, Bundle]:
    """A station of full size, and its model's next version, whose graph is another."""
    settings = {"line": {"deadline_ms": 1000}, "camera": {"source": "frames"}, "inference": {"threads": 1}}
    made = Station(folder / "station", settings=settings)
    made.config.parent.mkdir()
    made.config.write_text(made.write_config().read_text().replace("bundle = 'blob'", "bundle = 'anomaly'"))
    frames = prepared(4, (640, 480))
    anomaly_256(made.bundles, frames)
    other = anomaly_256(folder / "other", prepared(4, (640, 480), seed=1))
    activate(made.bundles, "anomaly", 1)
    (made.folder / "frames").mkdir()
    for number, frame in enumerate(frames):
        cv2.imwrite(str(made.folder / "frames" / f"{number}.bmp"), frame)
    return made, copy_next(made.bundles, "anomaly", other, datetime.now(UTC))


@contextmanager
def shadowed(made: Station, bundle: Bundle) -> Iterator["subprocess.Popen[bytes]"]:
    with (made.folder / "daemon.log").open("ab") as log:
        words = [sys.executable, str(SCRIPT), str(made.config), "blob", str(bundle.path)]
        child = subprocess.Popen(words, stderr=log)
    try:
        yield child
    finally:
        end(child)  # type: ignore[arg-type]


def figures(made: Station) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((made.folder / "figures.json").read_text())
    return found


def serve(line: LineClient, name: str, period_s: float) -> list[float]:
    """Milliseconds from trigger to told of each part; with a period of 0 each is triggered once the last was told."""
    waits_ms, pause, next_s = [], threading.Event(), time.monotonic()
    for number in range(PARTS):
        pause.wait(max(0.0, next_s - time.monotonic()))
        next_s = max(next_s + period_s, time.monotonic())
        started_s = time.monotonic()
        line.trigger(f"{name}-{number}")
        told = line.hear()
        waits_ms.append((time.monotonic() - started_s) * 1000)
        line.ack(told["part_id"])
        assert told["verdict"] != "UNDECIDED", told
    return waits_ms
