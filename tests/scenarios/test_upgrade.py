"""An old station and an old collector are brought up to date where they stand: every old record arrives once."""

import json
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from line_kit import STATION, Line
from old_station import ACKNOWLEDGED, EPOCH, FROZEN, TOLD, old_database, old_station, old_store
from station_kit import make_bundle, run_json, write_frames
from stores import ask

from cloud_sync.wire.broker import LocalBroker, available_kinds, free_port
from edge.config import load_config
from edge.domain.feedback import Feedback
from edge.record.database import current_epoch, open_reader
from edge.record.feedback import write_feedback
from edge.record.upload_choice import UploadRule

HELD = "SELECT stream, seq, epoch, payload FROM records"


def old_records(folder: Path) -> list[tuple[object, ...]]:
    found = ask(str(old_database(folder)), "SELECT stream, seq, payload FROM records")
    return sorted((stream, seq, EPOCH, payload) for stream, seq, payload in found)


@pytest.mark.long
def test_an_old_station_and_an_old_collector_go_on_and_every_old_record_arrives_once(tmp_path: Path) -> None:
    broker = LocalBroker(available_kinds()[0], tmp_path / "broker", free_port())
    station = old_station(tmp_path / "station", f"mqtt://{broker.address}")
    station.broker = str(broker.address)
    line, old = Line.at(tmp_path, station), old_records(tmp_path / "copy")
    store = str(old_store(tmp_path))
    make_bundle(station.bundles)
    write_frames(station.folder / "frames", 5)
    assert len(ask(store, HELD)) == 2 * ACKNOWLEDGED + 2
    with broker, line.collector():
        with line.daemon():
            line.run_parts(6, "--prefix", "new")
            line.await_acknowledged()
        rule = UploadRule(load_config(station.config).sync.images, 0)
        ((part_id,),) = ask(str(station.database), "SELECT part_id FROM inspections WHERE seq = 15")
        said = Feedback(str(part_id), is_right=False, label="scratch", note="", by="eve")
        assert write_feedback(station.database, STATION, said, datetime.now(UTC), rule) is not None
        with line.daemon():
            line.await_acknowledged()

    held = ask(store, HELD)
    assert [row for row in held if row in set(old)] == sorted(old, key=repr)
    assert len(held) == len({row[:3] for row in held})
    assert len([row for row in held if row[0] == "inspections"]) == TOLD + 6
    (feedback,) = [json.loads(bytes(row[3])) for row in held if row[0] == "feedback"]
    assert (feedback["inspection_epoch"], feedback["inspection_seq"]) == (EPOCH, 15)
    assert ask(store, "SELECT * FROM quarantine") == []
    assert ask(store, "SELECT * FROM dead_letters") == []
    with closing(open_reader(station.database)) as reader:
        assert current_epoch(reader) == (1, EPOCH)
    for image in FROZEN.glob("images/??/*"):
        assert (station.folder / "data" / "images" / image.parent.name / image.name).read_bytes() == image.read_bytes()


def test_a_broker_as_it_was_written_then_is_told_how_it_is_written_now(tmp_path: Path) -> None:
    station = old_station(tmp_path / "station", "127.0.0.1:1883")
    make_bundle(station.bundles)
    write_frames(station.folder / "frames", 5)
    line = Line.at(tmp_path, station)
    with line.daemon():
        assert line.run_parts(2)["untold"] == 0
    log = (station.folder / "daemon.log").read_text()
    assert "edge enrol TOKEN" in log
    assert 'sync.broker = "mqtt://127.0.0.1:1883"' in log.replace("\\", "")
    station.config.write_text(station.config.read_text().replace("127.0.0.1:1883", "mqtt://broker.factory:1883"))
    code, said = run_json(["edge", "config", "check", "-c", str(station.config), "--json"])
    assert code == 2
    assert "write mqtts://broker.factory:1883 and enrol" in said["error"]
