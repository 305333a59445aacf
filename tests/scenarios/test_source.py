"""A source that vanishes makes parts UNDECIDED within their deadline; back again, the station recovers by itself."""

from pathlib import Path

from brokers import eventually
from line_kit import make_line

DEADLINE_MS = 500


def test_parts_are_undecided_within_the_deadline_while_the_source_is_gone(tmp_path: Path) -> None:
    settings: dict[str, dict[str, object]] = {"line": {"deadline_ms": DEADLINE_MS}, "camera": {"timeout_ms": 200}}
    line = make_line(tmp_path, frames=40, bad_every=0, settings=settings)
    frames, hidden = line.station.folder / "frames", line.station.folder / "hidden"
    with line.daemon(), line.simulator(100_000, "--rate", "50", "--in-flight", "64") as simulator:
        eventually(lambda: line.told() >= 30)
        frames.rename(hidden)
        eventually(lambda: any(event["verdict"] == "UNDECIDED" for event in line.events("told")))
        lost_at = line.told()
        eventually(lambda: line.told() >= lost_at + 50)
        back_at = line.told()
        hidden.rename(frames)
        eventually(lambda: any(event["verdict"] == "PASS" for event in line.events("told")[back_at:]))
        simulator.kill()
    told = line.events("told")
    gone = told[lost_at:back_at]
    assert {str(event["verdict"]) for event in gone} == {"UNDECIDED"}
    assert {reason for event in gone for reason in event["reasons"]} <= {"camera_lost", "no_frame"}  # type: ignore[attr-defined]
    assert all(event["inspection_id"] for event in gone)
    told_ms = [float(str(record["told_ms"])) for record in line.records("outcomes").values() if record["told_ms"]]
    assert len(told_ms) > lost_at
    assert max(told_ms) <= DEADLINE_MS
    whys = [str(event["why"]) for event in line.events("ready") if not event["ready"]]
    assert any("top" in why for why in whys)
