"""What a hostile program on the station's own machine can say to the line port, and what a log shows of it."""

import subprocess
import sys

import pytest

from edge.domain.errors import OutputError
from edge.line.protocol import LINE_LIMIT_BYTES, parse_line

NESTED = b"[" * 2000 + b"]" * 2000
HOSTILE = [
    pytest.param(b'{"type":"trigger","part_id":"p","part_id":"q","product":"c"}', id="a part named twice"),
    pytest.param(b'{"type":"ping","type":"trigger","part_id":"p","product":"c"}', id="a type named twice"),
    pytest.param(b'{"type":"feedback","part_id":"p","is_right":NaN,"by":"eve"}', id="NaN"),
    pytest.param(b'{"type":"trigger","part_id":"p","product":"c","master":-Infinity}', id="infinity"),
    pytest.param(NESTED, id="2,000 deep"),
    pytest.param(b"9" * LINE_LIMIT_BYTES, id="a number of 4,096 digits"),
    pytest.param(b'{"type":"trigger","part_id":"\\ud800","product":"c"}', id="half a character"),
    pytest.param(b'{"type":"trigger","part_id":"\\u001b[2J","product":"c"}', id="a word to the terminal"),
    pytest.param(b'{"type":"trigger","part_id":"a\\nb","product":"c"}', id="a second line in the log"),
    pytest.param('{"type":"trigger","part_id":"\u202egnp.exe","product":"c"}'.encode(), id="text that runs backwards"),
    pytest.param(b'{"type":"trigger","part_id":"\xff\xfe","product":"c"}', id="no UTF-8"),
    pytest.param(b'{"type":"trigger","part_id":"' + b"p" * 129 + b'","product":"c"}', id="an id of 129 characters"),
    pytest.param(b" " * (LINE_LIMIT_BYTES + 1), id="a line of more than 4,096 bytes"),
]


@pytest.mark.parametrize("line", HOSTILE)
def test_a_hostile_line_is_refused_in_words_that_are_safe_to_show(line: bytes) -> None:
    with pytest.raises(OutputError) as refused:
        parse_line(line)
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 1000


LOGGING = """
import structlog, sys
from edge.logs import configure_logs
configure_logs(as_json=sys.argv[1] == "json")
structlog.get_logger().warning("camera \\x1b[2Jgone", name="a\\nforged line", half="\\ud800", turned="\\u202egnp")
structlog.get_logger().warning("after")
"""


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_name_that_a_stranger_chose_forges_no_log_line_and_says_nothing_to_the_terminal(form: str) -> None:
    done = subprocess.run([sys.executable, "-c", LOGGING, form], capture_output=True, check=True)
    lines = done.stderr.decode().splitlines()

    assert len(lines) == 2, lines
    assert all(line.isprintable() for line in lines)
    assert "after" in lines[1]
