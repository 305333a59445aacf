"""The line's end of a line port."""

import socket
import threading
from pathlib import Path

import pytest
from edge_kit import Collected

from cloud_sync.wire.broker import free_port
from edge.domain.errors import OutputError
from edge.line.connection import LineConnection
from edge.line.port import LinePort, PortTimes
from edge.line.protocol import Address, Trigger, trigger_line


@pytest.mark.parametrize("kind", [pytest.param("tcp", id="tcp"), pytest.param("unix", id="unix")])
def test_it_triggers_and_hears_until_the_port_hangs_up(kind: str, tmp_path: Path) -> None:
    address = Address(free_port(), None) if kind == "tcp" else Address(None, tmp_path / "line.sock")
    parts = Collected()
    port = LinePort(address, PortTimes(5, 5, 5), parts, lambda _outcomes: None)
    port.start()
    try:
        with LineConnection(address) as line:
            assert b'"ready"' in line.hear(5)[0]
            line.say(trigger_line(Trigger("p-1", "blob", ("top",))))
            part = parts.wait_for(1)[0]
            assert (part.part_id, part.product, part.cameras) == ("p-1", "blob", ("top",))
            port.stop(5)
            with pytest.raises(OutputError, match="hung up"):
                hear_to_the_end(line)
    finally:
        port.stop(5)


@pytest.mark.parametrize("kind", [pytest.param("tcp", id="tcp"), pytest.param("unix", id="unix")])
def test_a_port_where_nobody_listens_is_said(kind: str, tmp_path: Path) -> None:
    address = Address(free_port(), None) if kind == "tcp" else Address(None, tmp_path / "line.sock")
    with pytest.raises(OutputError, match="cannot be reached"):
        LineConnection(address)


def test_a_peer_that_sends_no_lines_is_no_line_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken: list[socket.socket] = []
        accept = threading.Thread(target=lambda: taken.append(server.accept()[0]))
        accept.start()
        with LineConnection(Address(server.getsockname()[1], None)) as line:
            accept.join(5)
            with taken[0] as other:
                other.sendall(b"x" * 100_000)
                with pytest.raises(OutputError, match="sends no lines"):
                    hear_to_the_end(line)


def hear_to_the_end(line: LineConnection) -> None:
    while True:
        line.hear(5)
