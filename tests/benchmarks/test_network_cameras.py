"""How old a network camera's image is when it arrives, how soon a loss is known, and how soon the camera is back.

Pictures say when they were taken. The limits asserted are the product's own: status within 1 s, back within 5 s.
"""

import json
import statistics
import threading
import time
from collections.abc import Callable

import pytest
from brokers import eventually
from served import network_section, served
from served_pictures import taken_ms

from edge.capture.drain import CaptureLimits, Drain
from edge.capture.open import make_camera
from edge.domain.errors import CameraError

ROUNDS = 5
STATUS_S, RECOVERY_S = 1.0, 5.0


@pytest.mark.benchmark
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        pytest.param("rtsp", (), id="RTSP H.264"),
        pytest.param("rtsp", ("--encoder", "jpeg"), id="RTSP JPEG"),
        pytest.param("mjpeg", (), id="motion JPEG over HTTP"),
    ],
)
def test_latency_loss_and_recovery(kind: str, options: tuple[str, ...]) -> None:
    states: list[tuple[float, bool]] = []
    limits = CaptureLimits(0.1, 0.4, 0.5, 16)

    def heard(lost: bool, _why: str) -> None:  # noqa: FBT001 - the drain's signature
        states.append((time.monotonic(), lost))

    with served(kind, *options) as server:
        drain = Drain("top", make_camera(network_section(server.url())), limits, triggered=False, on_state=heard)
        started_s = time.monotonic()
        drain.start()
        try:
            opened_s = when(states, started_s, lost=False) - started_s
            ages_ms = latencies_ms(drain, 100)
            figures = {
                "hung": [leave(states, server.hang, server.go_on, 2.0) for _ in range(ROUNDS)],
                "killed": [leave(states, server.kill, server.start, 2.0) for _ in range(ROUNDS)],
            }
            figures["hung for 8 s"] = [leave(states, server.hang, server.go_on, 8.0)]
            figures["killed, away for 20 s"] = [leave(states, server.kill, server.start, 20.0)]
        finally:
            drain.stop(5)
    found: dict[str, object] = {"camera": f"{kind} {' '.join(options)}".strip(), "opens_s": round(opened_s, 2)}
    found["taken_to_arrived_ms"] = {"p50": statistics.median(ages_ms), "p99": statistics.quantiles(ages_ms, n=100)[98]}
    for name, rounds in figures.items():
        lost_s, back_s = [[round(each[number], 2) for each in rounds] for number in (0, 1)]
        found[name] = {"lost_within_s": max(lost_s), "back_p50_s": statistics.median(back_s), "back_max_s": max(back_s)}
        assert max(lost_s) <= STATUS_S
        assert max(back_s) <= RECOVERY_S
    print(json.dumps(found, indent=1))  # noqa: T201 - a benchmark's output


def when(states: list[tuple[float, bool]], since_s: float, *, lost: bool) -> float:
    """When the camera was first said to be lost, or back, after `since_s`."""

    def said() -> list[float]:
        return [at_s for at_s, state in states if at_s > since_s and state is lost]

    eventually(said, 15)
    return said()[0]


def leave(
    states: list[tuple[float, bool]], go: Callable[[], None], come_back: Callable[[], None], away_s: float
) -> tuple[float, float]:
    """(seconds until lost was said, seconds from the return until back was said); a second of rest before."""
    assert not threading.Event().wait(1.0)
    gone_s = time.monotonic()
    go()
    lost_s = when(states, gone_s, lost=True) - gone_s
    threading.Event().wait(max(0.0, gone_s + away_s - time.monotonic()))
    come_back()
    back_s = time.monotonic()
    return lost_s, when(states, back_s, lost=False) - back_s


def latencies_ms(drain: Drain, count: int) -> list[float]:
    """From taken to arrived, of the next images."""
    ages_ms, seq = [], 0
    while len(ages_ms) < count:
        try:
            frame = drain.newest(seq, time.monotonic() + 5)
        except CameraError as error:
            raise AssertionError("lost while measured") from error
        seq = frame.seq
        ages_ms.append(frame.monotonic_s * 1000 - taken_ms(frame.image))
    return ages_ms
