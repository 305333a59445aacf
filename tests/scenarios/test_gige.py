"""A GigE camera that hangs or loses its power makes parts UNDECIDED within their deadline; back again, all goes on."""

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import gige_kit
import pytest
from brokers import eventually
from daemon_kit import daemon, line_to
from line_kit import Line, make_line

pytestmark = pytest.mark.skipif(bool(gige_kit.missing()), reason=gige_kit.missing() or "all there")
DEADLINE_MS = 600
BAD_EVERY = 5
PAUSE_S = 0.9  # after a start, a line input's frames are trusted from the first pause on


@pytest.fixture(autouse=True)
def _network() -> Iterator[None]:
    with gige_kit.own_network():
        yield


def gige_line(folder: Path, **camera: object) -> Line:
    """A line that looks through a simulated GigE camera."""
    settings: dict[str, dict[str, object]] = {
        "line": {"deadline_ms": DEADLINE_MS},
        "camera": {"source": f"gige://{gige_kit.ADDRESS}", "timeout_ms": 200, "loop": False, **camera},
    }
    return make_line(folder, frames=40, bad_every=BAD_EVERY, settings=settings)


def lost_after_s(line: Line) -> float:
    """How long the station takes, from now on, to say of itself that it is not ready."""
    started_s = time.monotonic()
    eventually(lambda: not line.events("ready")[-1]["ready"])
    return time.monotonic() - started_s


@pytest.mark.long
def test_parts_are_undecided_in_time_while_the_camera_is_gone_and_right_as_soon_as_it_is_back(tmp_path: Path) -> None:
    line = gige_line(tmp_path, exposure_us=5000)
    frames = line.station.folder / "frames"
    away: list[tuple[int, int]] = []
    with gige_kit.simulated_camera(frames, tmp_path / "exposures") as camera, line.daemon():
        with line.simulator(100_000, "--rate", "20", "--in-flight", "64") as simulator:
            eventually(lambda: line.told() >= 20)
            for leave, come_back in (
                (camera.kill, camera.start),
                (lambda: camera.signal(signal.SIGSTOP), lambda: camera.signal(signal.SIGCONT)),
            ):
                leave()
                assert lost_after_s(line) < 2
                lost_at = line.told()
                eventually(lambda at=lost_at: line.told() >= at + 15)  # type: ignore[misc]
                back_at = line.told()
                come_back()
                eventually(
                    lambda at=back_at: any(event["verdict"] != "UNDECIDED" for event in line.events("told")[at:]),  # type: ignore[misc]
                    5,
                )
                away.append((lost_at, back_at))
            simulator.kill()
        told = line.events("told")
    for lost_at, back_at in away:
        assert {str(event["verdict"]) for event in told[lost_at:back_at]} == {"UNDECIDED"}
        reasons = {reason for event in told[lost_at:back_at] for reason in event["reasons"]}  # type: ignore[attr-defined]
        assert reasons <= {"camera_lost", "no_frame"}
    told_ms = [float(str(record["told_ms"])) for record in line.records("outcomes").values() if record["told_ms"]]
    assert max(told_ms) <= DEADLINE_MS


def test_a_line_input_fires_and_each_part_gets_the_verdict_of_its_own_picture(tmp_path: Path) -> None:
    line = gige_line(tmp_path, trigger="hardware", latency_ms=1, timeout_ms=400, exposure_us=5000, gain_db=0)
    frames, way = line.station.folder / "frames", threading.Event()
    exposed = 0
    with (
        gige_kit.simulated_camera(frames, tmp_path / "exposures", "--with-line") as camera,
        daemon(line.station),
        line_to(line.station) as client,
    ):
        client.hear_ready(ready=True)
        way.wait(PAUSE_S)
        for number in range(1, 21):
            client.trigger(f"p-{number}")
            way.wait(0.03)  # from where the part is announced to the light barrier
            if number != 7:
                camera.pulse()
                exposed += 1
            verdict = client.hear()
            assert verdict["part_id"] == f"p-{number}"
            if number == 7:
                assert (verdict["verdict"], verdict["reasons"]) == ("UNDECIDED", ["no_frame"])
            elif number == 8:
                # Its frame came, and could as well have been the late one of part 7: the camera is started anew.
                assert verdict["verdict"] == "UNDECIDED"
                client.hear_ready(ready=False)
                client.hear_ready(ready=True)
                way.wait(PAUSE_S)
            else:
                assert verdict["verdict"] == ("PASS" if exposed % BAD_EVERY else "REJECT")
