"""A daemon in the test's own process, a line that is connected to it, and what it says of itself."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from brokers import eventually
from edge_kit import LineClient
from station_kit import Station

from edge.config import load_config
from edge.daemon import Daemon


@contextmanager
def daemon(made: Station) -> Iterator[Daemon]:
    """The daemon in this process, its main loop in a thread; its end is awaited."""
    running = Daemon(load_config(made.config))
    errors: list[Exception] = []

    def run() -> None:
        try:
            running.run()
        except Exception as error:  # noqa: BLE001 - asserted below
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield running
    finally:
        running.request_stop()
        thread.join(30)
        assert not thread.is_alive()
    assert errors == []


def status(made: Station) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((made.folder / "data" / "status.json").read_text())
    return content


@contextmanager
def line_to(made: Station) -> Iterator[LineClient]:
    """A connection, as soon as the station listens."""
    clients: list[LineClient] = []

    def connect() -> bool:
        try:
            clients.append(LineClient(made.port))
        except OSError:
            return False
        return True

    eventually(connect)
    with clients[0] as line:
        yield line
