"""A network camera that hangs, dies and comes back: every part in between is UNDECIDED in time, no old one counts."""

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import pytest
from brokers import eventually
from line_kit import Line, make_line
from served import Server, served
from served_pictures import taken_ms

DEADLINE_MS = 500
LATENCY_MS = 100
STATUS_S = 1.0
RECOVERY_S = 5.0
AWAY_S = 1.2


@pytest.mark.long
def test_parts_of_a_hung_and_of_a_killed_server_are_undecided_and_none_sees_an_old_picture(tmp_path: Path) -> None:
    with served("rtsp", "--user", "eve:hunter2") as rtsp, served("mjpeg", "--user", "eve:hunter2") as mjpeg:
        line = station_at(rtsp, mjpeg, tmp_path)
        with line.daemon(), line.simulator(100_000, "--rate", "20", "--in-flight", "64") as simulator:
            eventually(lambda: passed(line, 0) >= 10, 30)
            away(line, [rtsp.hang, mjpeg.hang], [rtsp.go_on, mjpeg.go_on])
            away(line, [rtsp.kill, mjpeg.kill], [rtsp.start, mjpeg.start])
            simulator.terminate()
            simulator.wait(10)
            eventually(lambda: len(line.records("images")) >= passed(line, 0) - 1)
    told_ms = [float(str(record["told_ms"])) for record in line.records("outcomes").values() if record["told_ms"]]
    assert len(told_ms) > 60
    assert max(told_ms) <= DEADLINE_MS
    assert_no_old_picture(line)
    assert "hunter2" not in (line.station.folder / "daemon.log").read_text() + line.log.read_text()


def station_at(rtsp: Server, mjpeg: Server, folder: Path) -> Line:
    """Two network cameras look at every part; its verdict is the worse one."""
    camera: dict[str, object] = {"trigger": "free", "timeout_ms": 250, "latency_ms": LATENCY_MS, "loop": False}
    camera["source"] = rtsp.url(login="eve:hunter2@")
    line = make_line(folder, frames=1, settings={"line": {"deadline_ms": DEADLINE_MS}, "camera": camera})
    with line.station.config.open("a") as file:
        file.write(f"[[camera]]\nid = 'side'\nsource = '{mjpeg.url(login='eve:hunter2@')}'\n")
        file.write(f"timeout_ms = 250\nlatency_ms = {LATENCY_MS}\n")
    return line


def away(line: Line, leave: Sequence[Callable[[], None]], come_back: Sequence[Callable[[], None]]) -> None:
    """Take both servers away for a while and bring them back; every wait has its limit."""
    left_s = time.monotonic()
    for each in leave:
        each()
    eventually(lambda: len(lost_at_s(line, left_s)) == len(leave))
    threading.Event().wait(max(0.0, left_s + AWAY_S - time.monotonic()))
    for each in come_back:
        each()
    back_s = time.monotonic()
    eventually(lambda: passed(line, back_s) >= 10)
    (_, lost), (ready_s, ready) = readiness(line, left_s)
    assert (lost, ready) == (False, True)
    assert max(lost_at_s(line, left_s)) - left_s <= STATUS_S
    assert ready_s - back_s <= RECOVERY_S
    assert min(seconds(event) for event in told(line, "PASS") if seconds(event) > back_s) - back_s <= RECOVERY_S
    between = [event for event in told(line, "") if left_s + DEADLINE_MS / 1000 < seconds(event) < ready_s]
    assert len(between) > 5
    assert {event["verdict"] for event in between} == {"UNDECIDED"}
    reasons = {reason for event in between for reason in event["reasons"]}  # type: ignore[attr-defined]
    assert reasons <= {"camera_lost", "no_frame", "stale_frame", "deadline_passed"}


def seconds(event: dict[str, object]) -> float:
    return float(str(event["monotonic_s"]))


def lost_at_s(line: Line, since_s: float) -> list[float]:
    """When the station first said since then that a camera is lost, for each that is."""
    said = [(seconds(event), str(event["why"])) for event in line.events("ready") if seconds(event) >= since_s]
    lost = [[at_s for at_s, why in said if f"camera '{camera}' is lost" in why] for camera in ("top", "side")]
    return [times[0] for times in lost if times]


def readiness(line: Line, since_s: float) -> list[tuple[float, object]]:
    """When the station said since then that it is ready, or not: each change once."""
    said = [(seconds(event), event["ready"]) for event in line.events("ready") if seconds(event) >= since_s]
    return [now for number, now in enumerate(said) if not number or now[1] != said[number - 1][1]]


def told(line: Line, verdict: str) -> list[dict[str, object]]:
    return [event for event in line.events("told") if verdict in {event["verdict"], ""}]


def passed(line: Line, since_s: float) -> int:
    return sum(seconds(event) > since_s for event in told(line, "PASS"))


def assert_no_old_picture(line: Line) -> None:
    """Each stored picture says when it was taken: after its part was triggered."""
    triggered_s = {event["part_id"]: seconds(event) for event in line.events("triggered")}
    judged = {event["part_id"] for event in told(line, "PASS")}
    seen = 0
    for record in line.records("images").values():
        images = record["images"] if record["part_id"] in judged else {}
        for image in images.values():  # type: ignore[attr-defined]
            sha256 = image["sha256"]
            picture = cv2.imread(str(line.station.folder / "data" / "images" / sha256[:2] / f"{sha256}.png"))
            assert picture is not None
            assert taken_ms(picture) / 1000 >= triggered_s[record["part_id"]] - 0.001
            seen += 1
    assert seen > 40
