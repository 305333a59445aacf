"""Ports that are taken, a PLC that is off, and interfaces as the kernel would list them."""

import socket
from pathlib import Path

import pytest
from doctor_kit import expect, on_machine, run_by_us, station_around, well

from cloud_sync.wire.broker import free_port
from edge.doctor.around import Around
from edge.doctor.rooms import network

GIGE = {"camera": {"source": "gige://12345", "latency_ms": 5, "loop": False}}
PLC = (
    "[[output]]\nid = 'plc'\nkind = 'modbus'\nhost = '127.0.0.1'\nport = {port}\nproduct = 'blob'\n[output.map]\n"
    "trigger = 'coil:0'\nready = 'coil:10'\nbusy = 'coil:12'\nresult_valid = 'coil:13'\npass_bit = 'coil:14'\n"
    "fail_bit = 'coil:15'\n"
)
UP = {"operstate": "up", "mtu": "9000", "speed": "10000"}


def interfaces(folder: Path, rmem: str = "8388608", **changes: str) -> Around:
    files = {f"sys/class/net/eth0/{name}": text for name, text in (UP | changes).items()}
    files |= {"proc/sys/net/core/rmem_max": rmem, "sys/class/net/lo/operstate": "unknown"}
    return on_machine(station_around(folder / "station", GIGE), folder / "root", files)


def test_a_port_of_somebody_elses_is_found_and_our_own_is_not(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        around = station_around(tmp_path, {"line": {"port": f"tcp://127.0.0.1:{port}"}})
        expect(network.ports(around), "network.port-taken", f"sport = :{port}", "set line.port")
        with run_by_us(around):
            well(network.ports(around))
    well(network.ports(around))


def test_a_metrics_port_that_is_taken_is_found(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        listen = f"127.0.0.1:{server.getsockname()[1]}"
        found = list(network.ports(station_around(tmp_path, {"metrics": {"listen": listen}})))
    expect(found, "network.port-taken", "metrics.listen")


def test_a_plc_that_is_off_is_found_but_never_asked_beside_a_running_station(tmp_path: Path) -> None:
    port = free_port()
    around = station_around(tmp_path, more=PLC.format(port=port))
    expect(network.plcs(around), "network.no-plc", f"127.0.0.1:{port}")
    with run_by_us(around):
        assert list(network.plcs(around)) == []
    with socket.create_server(("127.0.0.1", port)):
        well(network.plcs(around))


def test_a_machine_for_gige_is_well(tmp_path: Path) -> None:
    well(network.gige(interfaces(tmp_path)))
    assert list(network.gige(station_around(tmp_path / "other"))) == []


@pytest.mark.parametrize(
    ("changes", "fault_id", "word"),
    [
        pytest.param({"rmem": "212992"}, "network.receive-buffer", "212992", id="small buffer"),
        pytest.param({"operstate": "down"}, "network.no-interface", "eth0", id="no cable"),
        pytest.param({"mtu": "1500"}, "network.small-packets", "ip link set eth0 mtu 9000", id="no jumbo packets"),
        pytest.param({"speed": "100"}, "network.slow-link", "eth0 100", id="a bad cable"),
    ],
)
def test_what_a_gige_camera_would_lack_is_found(
    tmp_path: Path, changes: dict[str, str], fault_id: str, word: str
) -> None:
    expect(network.gige(interfaces(tmp_path, **changes)), fault_id, word)
