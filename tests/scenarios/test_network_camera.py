"""A network camera that hangs, dies and comes back: every part in between is UNDECIDED in time, no old one counts."""

import threading
import time
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
AWAY_S = 2.0


@pytest.mark.parametrize("kind", [pytest.param("rtsp", id="RTSP"), pytest.param("mjpeg", id="motion JPEG over HTTP")])
def test_parts_of_a_hung_and_of_a_killed_server_are_undecided_and_none_sees_an_old_picture(
    kind: str, tmp_path: Path
) -> None:
    with served(kind, "--user", "eve:hunter2") as server:
        line = station_at(server, tmp_path)
        with line.daemon(), line.simulator(100_000, "--rate", "20", "--in-flight", "64") as simulator:
            eventually(lambda: passed(line, 0) >= 20, 30)
            for leave, come_back in ((server.hang, server.go_on), (server.kill, server.start)):
                away(line, leave, come_back)
            simulator.terminate()
            simulator.wait(10)
            eventually(lambda: len(line.records("images")) >= passed(line, 0) - 1)
    told_ms = [float(str(record["told_ms"])) for record in line.records("outcomes").values() if record["told_ms"]]
    assert len(told_ms) > 100
    assert max(told_ms) <= DEADLINE_MS
    assert_no_old_picture(line)
    assert "hunter2" not in (line.station.folder / "daemon.log").read_text() + line.log.read_text()


def station_at(server: Server, folder: Path) -> Line:
    camera: dict[str, object] = {"source": server.url(login="eve:hunter2@"), "trigger": "free", "timeout_ms": 250}
    camera |= {"latency_ms": LATENCY_MS, "loop": False}
    return make_line(folder, frames=1, settings={"line": {"deadline_ms": DEADLINE_MS}, "camera": camera})


def away(line: Line, leave: object, come_back: object) -> None:
    """Take the server away for a while and bring it back; every wait has its limit."""
    left_s = time.monotonic()
    leave()  # type: ignore[operator]
    eventually(lambda: [event for event in readiness(line, left_s) if not event["ready"]], 15)
    threading.Event().wait(max(0.0, left_s + AWAY_S - time.monotonic()))
    come_back()  # type: ignore[operator]
    back_s = time.monotonic()
    eventually(lambda: passed(line, back_s) >= 15, 15)
    lost, ready = (event["monotonic_s"] for event in readiness(line, left_s))
    assert float(str(lost)) - left_s <= STATUS_S
    assert float(str(ready)) - back_s <= RECOVERY_S
    first_s = min(
        float(str(event["monotonic_s"])) for event in told(line, "PASS") if float(str(event["monotonic_s"])) > back_s
    )
    assert first_s - back_s <= RECOVERY_S
    between = [event for event in told(line) if left_s + 0.6 < float(str(event["monotonic_s"])) < float(str(ready))]
    assert len(between) > 10
    assert {event["verdict"] for event in between} == {"UNDECIDED"}
    reasons = {reason for event in between for reason in event["reasons"]}  # type: ignore[attr-defined]
    assert reasons <= {"camera_lost", "no_frame", "stale_frame"}


def readiness(line: Line, since_s: float) -> list[dict[str, object]]:
    """What the station said of itself since then, each change once."""
    said = [event for event in line.events("ready") if float(str(event["monotonic_s"])) >= since_s]
    return [event for number, event in enumerate(said) if not number or event["ready"] != said[number - 1]["ready"]]


def told(line: Line, verdict: str = "") -> list[dict[str, object]]:
    return [event for event in line.events("told") if not verdict or event["verdict"] == verdict]


def passed(line: Line, since_s: float) -> int:
    return sum(float(str(event["monotonic_s"])) > since_s for event in told(line, "PASS"))


def assert_no_old_picture(line: Line) -> None:
    """Each stored picture says when it was taken: after its part was triggered."""
    triggered_s = {event["part_id"]: float(str(event["monotonic_s"])) for event in line.events("triggered")}
    judged = {event["part_id"] for event in told(line, "PASS")}
    seen = 0
    for record in line.records("images").values():
        if record["part_id"] not in judged or "top" not in record["images"]:  # type: ignore[operator]
            continue
        sha256 = record["images"]["top"]["sha256"]  # type: ignore[index]
        image = cv2.imread(str(line.station.folder / "data" / "images" / sha256[:2] / f"{sha256}.png"))
        assert image is not None
        assert taken_ms(image) / 1000 >= triggered_s[record["part_id"]] - 0.001
        seen += 1
    assert seen > 40
