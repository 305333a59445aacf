"""From the command to the first verdict told, cold and warm, beside what Python alone takes to load the libraries.

Cold: no graph was compiled here before. Warm: the one that the start before kept. The files themselves are in the
system's page cache in both, as they are after the first start of a day.
"""

import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import pytest
from edge_kit import LineClient
from full_size_kit import anomaly_256, detector_640
from paced_kit import prepared
from station_kit import Station, process

from models.bundle_store import activate

pytestmark = pytest.mark.benchmark
ROUNDS = 5
CLASSES = {"anomaly": ("anomaly",), "detector": tuple(f"defect-{number}" for number in range(6))}
MAKE = {"anomaly": anomaly_256, "detector": detector_640}


@dataclass(frozen=True, slots=True)
class Start:
    """Seconds from the command to the line port, to `ready`, and to the first verdict told."""

    port_s: float
    ready_s: float
    told_s: float


@pytest.fixture(params=list(MAKE))
def station(request: pytest.FixtureRequest, tmp_path: Path) -> Station:
    kind = request.param
    made = Station(tmp_path, settings={"camera": {"timeout_ms": 2000}, "line": {"deadline_ms": 5000}})
    text = made.write_config().read_text().replace("'blob'", f"'{kind}'") + f"[product.recipe]\nkind = '{kind}'\n"
    made.config.write_text(text + "".join(f"[product.recipe.classes.{name}]\n" for name in CLASSES[kind]))
    frames = prepared(4, (640, 480))
    activate(made.bundles, kind, MAKE[kind](made.bundles, frames).model_id.version)
    (tmp_path / "frames").mkdir()
    for number, frame in enumerate(frames):
        cv2.imwrite(str(tmp_path / "frames" / f"{number}.bmp"), frame)
    return made


def start(station: Station) -> Start:
    """Start, trigger one part, stop."""
    started_s = time.monotonic()
    run = ["edge", "run", "-c", str(station.config)]
    with process(run, station.folder / "daemon.log", bytecode(station.folder)), connected(station) as line:
        port_s = time.monotonic() - started_s
        line.hear_ready(ready=True)
        ready_s = time.monotonic() - started_s
        product = next(iter(station.bundles.iterdir())).name
        line.trigger("p-1", product)
        told = line.hear()
        told_s = time.monotonic() - started_s
        assert told["verdict"] != "UNDECIDED", told
        line.ack("p-1")
    return Start(port_s, ready_s, told_s)


@contextlib.contextmanager
def connected(station: Station) -> Iterator[LineClient]:
    until_s = time.monotonic() + 60
    while time.monotonic() < until_s:
        try:
            line = LineClient(station.port)
        except OSError:
            time.sleep(0.005)
            continue
        with line:
            yield line
            return
    raise AssertionError((station.folder / "daemon.log").read_text())


def bytecode(folder: Path) -> dict[str, str]:
    """Python keeps what it compiled, as it does where the product was installed by pip."""
    return {"PYTHONPYCACHEPREFIX": str(folder / "bytecode"), "PYTHONDONTWRITEBYTECODE": ""}


def imports_s(folder: Path) -> float:
    started_s = time.monotonic()
    text = "import openvino, numpy, cv2"
    subprocess.run([sys.executable, "-c", text], check=True, env={**os.environ, **bytecode(folder)})
    return time.monotonic() - started_s


def test_start_to_first_verdict_over_what_the_libraries_take(station: Station) -> None:
    start(station)
    imports_s(station.folder)
    cold: list[Start] = []
    warm: list[Start] = []
    alone: list[float] = []
    for _ in range(ROUNDS):
        shutil.rmtree(station.folder / "data" / "cache")
        alone.append(imports_s(station.folder))
        cold.append(start(station))
        warm.append(start(station))
    imports = statistics.median(alone)
    sys.stdout.write(f"\nimport openvino, numpy, cv2 alone: {imports:.2f} s\n")
    for name, found in (("cold", cold), ("warm", warm)):
        port, ready, told = (statistics.median(getattr(one, what) for one in found) for what in Start.__slots__)
        ratio = statistics.median(one.told_s / base for one, base in zip(found, alone, strict=True))
        sys.stdout.write(
            f"{name}: port {port:.2f} s, ready {ready:.2f} s, first verdict {told:.2f} s = {ratio:.2f} x the imports\n"
        )
    assert statistics.median(one.told_s for one in warm) < 1.1 * statistics.median(one.told_s for one in cold)
