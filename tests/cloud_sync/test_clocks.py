"""No wall clock decides anything at the station's end of the sync: set it back or forward, and nothing changes."""

import ast
from pathlib import Path

import pytest

import cloud_sync.station

FOLDER = Path(cloud_sync.station.__file__).parent
FOR_PEOPLE = {  # where a wall clock may be read, because its word only stands in a message or a status
    ("sender.py", "_publish"): "the batch's own time",
    ("uplink.py", "_settle"): "when the last acknowledgement came, shown beside its age by a clock that only rises",
    ("uplink.py", "_online"): "the state message's time",
    ("downlink.py", "*"): "a job state's time",
}
WALL_CLOCKS = {"now", "utcnow", "today", "time", "time_ns", "localtime", "gmtime"}


def clock_readings(path: Path) -> list[tuple[str, str]]:
    """(function, clock) of each call of a clock in a file."""
    found = []
    for function in ast.walk(ast.parse(path.read_text())):
        if isinstance(function, ast.FunctionDef):
            calls = [node.func for node in ast.walk(function) if isinstance(node, ast.Call)]
            names = [call.attr for call in calls if isinstance(call, ast.Attribute)]
            found += [(function.name, name) for name in names if name in WALL_CLOCKS]
    return found


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.name)
def test_a_wall_clock_is_read_for_messages_only(path: Path) -> None:
    for function, clock in clock_readings(path):
        allowed = {(path.name, function), (path.name, "*")}
        assert allowed & set(FOR_PEOPLE), f"{path.name}: {function} reads {clock}: decide by time.monotonic()"


def test_the_looking_finds_a_wall_clock(tmp_path: Path) -> None:
    source = tmp_path / "bad.py"
    source.write_text("def due(self):\n    return time.time() > self.due_s and datetime.now(UTC)\n")
    assert set(clock_readings(source)) == {("due", "time"), ("due", "now")}
