"""The product talks to nobody it was not told to talk to."""

import subprocess
import sys

import pytest

PROBE = """
import sys
seen = []
calls = {"socket.connect", "socket.getaddrinfo"}
sys.addaudithook(lambda event, args: seen.append((event, args)) if event in calls else None)
import threading
%s
import openvino
openvino.Core()
for thread in threading.enumerate():
    if thread is not threading.main_thread():
        thread.join(2)
assert "openvino_telemetry.main" not in sys.modules
assert not seen, seen
"""


@pytest.mark.long
@pytest.mark.parametrize(
    "imports",
    [
        pytest.param("import edge.daemon", id="the daemon"),
        pytest.param("import models.quantize", id="quantization"),
        pytest.param("import edge.calibrate.calibrate", id="calibration"),
        pytest.param(
            "from edge.doctor import make_around; from edge.doctor.rooms.packages import openvino as look; "
            "assert [each.state for each in look(make_around(None, None, quick=False))] == ['ok']",
            id="doctor",
        ),
    ],
)
def test_openvino_and_nncf_report_nothing_home(imports: str, tmp_path: object) -> None:
    probe = [sys.executable, "-c", PROBE % imports]
    done = subprocess.run(probe, capture_output=True, text=True, check=False, timeout=60, cwd=str(tmp_path))
    assert done.returncode == 0, done.stderr
