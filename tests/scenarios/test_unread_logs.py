"""A log reader that hangs stops neither a verdict nor the stop."""

import signal
import socket
import subprocess
from pathlib import Path

import pytest
from brokers import eventually
from line_kit import make_line

from edge.processes import command


@pytest.mark.long
def test_a_standard_error_that_nobody_reads_holds_up_nothing(tmp_path: Path) -> None:
    line = make_line(tmp_path)
    arguments = [command("edge"), "run", "-c", str(line.station.config)]
    daemon = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        eventually(lambda: _connects(line.station.port))
        assert sum(_connects(line.station.port) for _ in range(500)) > 450
        assert line.run_parts(20)["untold"] == 0
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(20) == 0
    finally:
        daemon.kill()
        daemon.communicate()


def _connects(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 1):
            return True
    except OSError:
        return False
