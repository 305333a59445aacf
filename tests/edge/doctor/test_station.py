"""Configurations, units and running stations."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from doctor_kit import expect, on_machine, run_by_us, station_around, well

from edge.doctor.around import Around, make_around
from edge.doctor.rooms import service, station

SYSTEMD = {"run/systemd/system/x": ""}
UNIT = {"lib/systemd/system/inspectd.service": "[Service]\nUser=inspectd\nExecStart=/usr/bin/edge run\n"}
WANTED = {"etc/systemd/system/multi-user.target.wants/inspectd.service": ""}
RUNNING = {"sys/fs/cgroup/system.slice/inspectd.service/cgroup.procs": "77\n"}


def test_a_wrong_file_is_a_finding_and_the_machine_is_looked_at_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "station.toml"
    path.write_text("[station]\nid = 'x'\nidd = 2\n")
    found = list(station.configuration(make_around(path, None, quick=False)))
    expect(found, "station.configuration", "station.idd", f"edge config check -c {path}")
    expect(station.configuration(make_around(tmp_path / "no.toml", None, quick=False)), "station.configuration")


def test_the_file_that_lies_here_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    station_around(tmp_path)
    monkeypatch.chdir(tmp_path)
    around = make_around(None, None, quick=False)
    assert around.config_path == Path("station.toml")
    assert around.data_dir == tmp_path / "data"
    elsewhere = make_around(None, tmp_path / "other", quick=False)
    assert elsewhere.config is not None
    assert elsewhere.config.database_path == tmp_path / "other" / "station.db"


def test_without_a_file_the_machine_alone_is_looked_at() -> None:
    well(station.configuration(Around(Path("data"))))


def test_an_output_or_code_that_cannot_be_built_is_found(tmp_path: Path) -> None:
    around = station_around(tmp_path, more="[product.code]\nkind = 'qr'\ncamera = 'side'\n")
    expect(station.configuration(around), "station.refused", "side")
    well(station.configuration(station_around(tmp_path)))


@pytest.mark.parametrize(
    ("files", "fault_id"),
    [
        pytest.param({}, "station.no-unit", id="no unit"),
        pytest.param(UNIT, "station.not-enabled", id="not enabled"),
        pytest.param(UNIT | WANTED, "station.not-started", id="not started"),
        pytest.param(
            UNIT
            | WANTED
            | RUNNING
            | {"etc/systemd/system/inspectd.service": "[Service]\nMemoryDenyWriteExecute=yes\n"},
            "station.no-new-code",
            id="hardened too much",
        ),
    ],
)
def test_a_service_that_will_not_run_is_found(tmp_path: Path, files: dict[str, str], fault_id: str) -> None:
    around = on_machine(station_around(tmp_path / "station"), tmp_path / "root", SYSTEMD | files)
    expect(service.service(around), fault_id)


def test_a_service_that_runs_is_well_and_without_systemd_none_is_asked_for(tmp_path: Path) -> None:
    around = on_machine(station_around(tmp_path / "station"), tmp_path / "root", SYSTEMD | UNIT | WANTED | RUNNING)
    well(service.service(around))
    assert around.service_user == "inspectd"
    assert list(service.service(replace(around, root=tmp_path / "empty"))) == []


def test_a_running_station_that_is_not_ready_or_has_an_alarm_is_found(tmp_path: Path) -> None:
    around = station_around(tmp_path)
    status = around.data_dir / "status.json"
    well(service.running(around))
    with run_by_us(around):
        well(service.running(around))
        said = {"pid": os.getpid(), "ready": False, "why": "camera 'top' is lost", "alarms": {"disk": "nearly full"}}
        status.write_text(json.dumps(said))
        found = list(service.running(around))
        expect(found, "station.not-ready", "camera 'top' is lost")
        expect(found, "station.alarm", "nearly full")
        status.write_text(json.dumps(said | {"ready": True, "alarms": {}}))
        well(service.running(around))
