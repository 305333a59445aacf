"""Trigger to told, recorded, sent, stored and acknowledged: the same set everywhere, with the right verdicts."""

from pathlib import Path

from line_kit import Line, make_line

from cloud_sync.wire.broker import LocalBroker

PARTS = 240


def sources_and_verdicts(line: Line) -> set[tuple[bool, str]]:
    bad_every = 5
    return {
        (int(str(view["source"]).split(".")[0]) % bad_every == 0, str(record["verdict"]))
        for record in line.records().values()
        for view in record["views"]  # type: ignore[attr-defined]
    }


def test_line_station_and_cloud_hold_the_same_records_once_each(broker: LocalBroker, tmp_path: Path) -> None:
    line = make_line(tmp_path, broker)
    with broker, line.collector(), line.daemon():
        summary = line.run_parts(PARTS, "--in-flight", "4")
        line.await_acknowledged()
    report = line.check()
    assert report.clean, report
    samples = len(line.records("samples"))
    assert report.tally["equal"] == 3 * PARTS + samples  # inspections, outcomes, images, and what is kept to learn from
    assert not report.tally["not told"] + report.tally["told without record"]
    assert summary["verdicts"] == {"PASS": PARTS * 4 // 5, "REJECT": PARTS // 5}
    assert sources_and_verdicts(line) == {(False, "PASS"), (True, "REJECT")}
    assert line.outcomes() == {"told": PARTS}


def test_recorded_images_lie_on_disk(tmp_path: Path) -> None:
    line = make_line(tmp_path)
    with line.daemon():
        line.run_parts(40)
    assert len(line.records("images")) == 40
    for record in line.records("images").values():
        sha256 = record["images"]["top"]["sha256"]  # type: ignore[index]
        assert (line.station.folder / "data" / "images" / sha256[:2] / f"{sha256}.png").exists()


def test_parts_are_told_in_the_order_of_their_triggers(tmp_path: Path) -> None:
    line = make_line(tmp_path)
    with line.daemon():
        line.run_parts(200, "--in-flight", "8")
    told = [str(event["part_id"]) for event in line.events("told")]
    assert told == sorted(told)


def test_a_line_that_does_not_acknowledge_leaves_verdicts_unconfirmed(tmp_path: Path) -> None:
    line = make_line(tmp_path)
    with line.daemon():
        line.run_parts(10, "--no-ack")
    assert line.outcomes() == {"unconfirmed": 10}
