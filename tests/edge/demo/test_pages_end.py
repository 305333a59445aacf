"""The demo's pages stay until somebody ends them, and then all of the demo ends, however that is said."""

import signal
import subprocess
import sys

import pytest

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
