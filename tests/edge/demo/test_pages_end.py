"""The demo's pages stay until somebody ends them, and then all of the demo ends, however that is said."""

import signal
import socket
import subprocess
import sys
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from station_kit import Station

from edge.demo.pages import on_a_free_line, served
from edge.demo.plant import Plant
from edge.demo.settings import FAST_LOOP, DemoSettings
from edge.domain.errors import OutputError

_STAYS = """
from rich.console import Console
from edge.demo.pages import Pages, show_pages
try:
    show_pages(Pages("here", "there", "demo", "secret"), Console(), stay=True)
finally:
    print("all was ended")
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_pages_stay_until_they_are_ended_and_leave_nothing_behind(how: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-u", "-c", _STAYS], stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        try:
            for line in demo.stdout:
                if "Ctrl-C" in line:
                    break
            assert demo.poll() is None
            demo.send_signal(how)
            assert demo.stdout.read().splitlines()[-1] == "all was ended"
            assert demo.wait(20) == 0
        finally:
            demo.kill()


def test_pages_are_served_where_the_system_found_room_whoever_takes_ports_meanwhile(tmp_path: Path) -> None:
    config, log = Station(tmp_path / "station").write_config(), tmp_path / "web.log"
    with served("edge", config, log) as first, served("edge", config, log) as second:
        assert first != second
        for address in (first, second):
            connection = HTTPConnection(urlsplit(address).netloc, timeout=20)
            connection.request("GET", "/login")
            assert connection.getresponse().status == 200
            connection.close()


def test_a_line_port_that_was_taken_meanwhile_is_given_up_for_another(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as theirs:
        taken = theirs.getsockname()[1]
        plant = Plant(tmp_path, "mosquitto", taken, 0, DemoSettings(FAST_LOOP))
        assert on_a_free_line(plant).line_port != taken
    assert on_a_free_line(plant) == plant


def test_pages_that_cannot_start_say_why(tmp_path: Path) -> None:
    (tmp_path / "station.toml").write_text("[station")
    with (
        pytest.raises(OutputError, match=r"did not start: .*station\.toml"),
        served("edge", tmp_path / "station.toml", tmp_path / "web.log"),
    ):
        pass
