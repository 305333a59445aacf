"""A server dies with all that was on it: the cloud alone makes another machine this station, and nothing is double."""

import shutil
import signal
import sys
import time
from pathlib import Path

import pytest
from brokers import eventually
from line_kit import STATION, make_line
from pki_kit import authority
from station_kit import end, run_json
from stores import ask

from cloud_sync.hub.station_desks import kit_of
from cloud_sync.hub.store.engine import open_engine
from cloud_sync.wire.broker import LocalBroker, available_kinds, free_port
from cloud_sync.wire.enrolment import Token
from edge.record.database import open_reader

HELD = "SELECT epoch, stream, seq, payload FROM records"


def kit(store: Path) -> str | None:
    engine = open_engine(str(store), create=False)
    try:
        with engine.connect() as connection:
            return kit_of(connection, STATION)
    finally:
        engine.dispose()


@pytest.mark.long
def test_a_dead_server_is_replaced_from_the_cloud_alone(tmp_path: Path) -> None:
    broker = LocalBroker(available_kinds()[0], tmp_path / "broker", free_port())
    line, archive, spare = make_line(tmp_path, broker), tmp_path / "kit.tar", tmp_path / "spare" / "station.toml"
    bundle = {path.name: path.read_bytes() for path in (line.station.bundles / "blob" / "v1").glob("*.*")}
    config = line.station.config.read_text()
    with broker, line.collector():
        with line.daemon() as daemon:
            line.run_parts(30)
            line.await_acknowledged()
            eventually(lambda: kit(line.store), 60)
            end(daemon, signal.SIGKILL)
        first_life = ask(str(line.store), HELD)
        shutil.copytree(line.station.folder / "frames", spare.parent / "frames")  # the camera, which did not die
        shutil.rmtree(line.station.folder / "data")
        line.station.config.unlink()

        began_s = time.monotonic()
        office = authority(tmp_path / "pki")
        asked = ["cloud", "spare", STATION, "--out", str(archive), "--store", str(line.store), "--json"]
        code, said = run_json([*asked, "--pki", str(office.folder.path)])
        assert (code, said["bundles"]) == (0, ["blob"])
        assert said["waited"] >= 0
        assert Token.parse(said["token"]).station == STATION
        code, said = run_json(["edge", "restore", str(archive), "-c", str(spare), "--json"])
        assert (code, said["station"], said["epoch"]) == (0, STATION, None)
        line.station.folder = spare.parent
        with line.daemon():
            assert line.run_parts(1)["untold"] == 0
            took_s = time.monotonic() - began_s
            line.run_parts(29)
            line.await_acknowledged()

    sys.stderr.write(f"\nfrom the dead server to the first part told by the spare: {took_s:.1f} s\n")
    assert spare.read_text() == config
    assert {path.name: path.read_bytes() for path in (spare.parent / "data/bundles/blob/v1").glob("*.*")} == bundle
    held = ask(str(line.store), HELD)
    assert [row for row in held if row in set(first_life)] == first_life
    assert len(held) == len({row[:3] for row in held})
    parts: dict[object, int] = {}
    for epoch, stream, *_ in held:
        parts[epoch] = parts.get(epoch, 0) + (stream == "inspections")
    reader = open_reader(line.station.database)
    (own,) = reader.execute("SELECT epoch FROM epochs").fetchone()
    reader.close()
    assert (len(parts), parts.pop(own), *parts.values()) == (2, 30, 30)
    assert ask(str(line.store), "SELECT * FROM quarantine") == []
    assert ask(str(line.store), "SELECT * FROM dead_letters") == []
