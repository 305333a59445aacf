"""A GigE camera of 1080p at 30 frames a second on loopback: what it costs, what it loses, how soon a loss is known."""

import hashlib
import json
import signal
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import cv2
import gige_kit
import numpy as np
import pytest
from brokers import eventually
from edge_kit import Collected

from edge.capture.drain import CaptureLimits, Drain
from edge.capture.industrial.genicam_settings import GenicamSettings
from edge.capture.industrial.gige import GigeCamera

pytestmark = [
    pytest.mark.benchmark,
    pytest.mark.skipif(bool(gige_kit.missing()), reason=gige_kit.missing() or "all there"),
]
SECONDS = 10
FPS = 30
TRIGGERS = 200
LOSSES = 5
RESULTS = Path("build") / "bench-gige.json"
FREE = GenicamSettings("free", "Line1", 0.5, fps=FPS)
SOFTWARE = GenicamSettings("software", "Line1", 0.5)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with gige_kit.own_network(), ExitStack() as things:
        yield things


def boards(folder: Path) -> Path:
    """Eight 1080p pictures of noise over slopes."""
    folder.mkdir()
    for number in range(8):
        noise = np.random.default_rng(number).integers(0, 256, (1080, 1920), np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), noise)
    return folder


def keep(**figures: float) -> None:
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(known | figures, indent=1))
    print("gige:", json.dumps(figures))  # noqa: T201 - what `make bench` is run for


def test_1080p_at_30_frames_a_second(tmp_path: Path, stack: ExitStack) -> None:
    folder = boards(tmp_path / "boards")
    shown = {_sha(cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)) for file in folder.iterdir()}
    simulated = stack.enter_context(gige_kit.simulated_camera(folder, tmp_path / "log"))
    camera = GigeCamera(gige_kit.ADDRESS, FREE)
    stack.callback(camera.close)
    camera.open()
    images, cpu_s, started_s = 0, time.process_time(), time.monotonic()
    kept = []
    while time.monotonic() - started_s < SECONDS:
        shot = camera.read(0.1)
        if shot is not None:
            images += 1
            if not images % 10:
                kept.append(shot.image)
    cores = (time.process_time() - cpu_s) / (time.monotonic() - started_s)
    exposed = simulated.exposed()
    keep(cores=round(cores, 3), fps=round(images / SECONDS, 2), lost=max(0, exposed - images - 1), images=images)
    assert {_sha(image[..., 0]) for image in kept} <= shown
    assert exposed - images <= 1
    assert camera.counters.incomplete == 0


def test_from_trigger_to_frame(tmp_path: Path, stack: ExitStack) -> None:
    stack.enter_context(gige_kit.simulated_camera(boards(tmp_path / "boards"), tmp_path / "log"))
    camera = GigeCamera(gige_kit.ADDRESS, SOFTWARE)
    stack.callback(camera.close)
    camera.open()
    latency_ms = []
    for number in range(1, TRIGGERS + 1):
        asked_s = time.monotonic()
        camera.trigger(number)
        shot = None
        while shot is None:
            assert time.monotonic() - asked_s < 5
            shot = camera.read(0.1)
        assert shot.trigger_number == number
        latency_ms.append((time.monotonic() - asked_s) * 1000)
    keep(trigger_to_frame_p50_ms=round(statistics.median(latency_ms), 2))


@pytest.mark.parametrize("how", [pytest.param("cut", id="power cut"), pytest.param("hang", id="it hangs")])
@pytest.mark.parametrize("settings", [pytest.param(SOFTWARE, id="triggered"), pytest.param(FREE, id="free")])
def test_lost_and_found(how: str, settings: GenicamSettings, tmp_path: Path, stack: ExitStack) -> None:
    simulated = stack.enter_context(gige_kit.simulated_camera(boards(tmp_path / "boards"), tmp_path / "log"))
    states = Collected()
    triggered = settings.trigger != "free"
    drain = Drain(
        "top",
        GigeCamera(gige_kit.SERIAL, settings),
        CaptureLimits(0, 0.5, 5, 16),
        triggered=triggered,
        on_state=lambda lost, why: states((lost, why, time.monotonic())),
    )
    drain.start()
    stack.callback(drain.stop, 5)
    eventually(lambda: states.items and not states.items[-1][0])
    noticed_s, found_s = [], []
    for loss in range(LOSSES):
        gone_s = time.monotonic()
        simulated.kill() if how == "cut" else simulated.signal(signal.SIGSTOP)
        eventually(lambda: states.items[-1][0], 5)
        noticed_s.append(states.items[-1][2] - gone_s)
        time.sleep(0.5 + loss)  # each time away for longer
        simulated.start() if how == "cut" else simulated.signal(signal.SIGCONT)
        back_s = time.monotonic()
        eventually(lambda: not states.items[-1][0], 10)
        found_s.append(states.items[-1][2] - back_s)
    name = f"{how}_{settings.trigger}"
    keep(**{f"{name}_noticed_worst_s": round(max(noticed_s), 2), f"{name}_found_worst_s": round(max(found_s), 2)})
    assert max(found_s) < 5


def _sha(image: np.ndarray | None) -> str:
    assert image is not None
    return hashlib.sha256(np.ascontiguousarray(image).tobytes()).hexdigest()
