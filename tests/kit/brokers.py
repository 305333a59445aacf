"""Real brokers for tests, and waiting without sleeping. Import `broker` where a test wants each kind in turn."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cloud_sync.wire.broker import KINDS, Kind, LocalBroker, available_kinds, free_port


def _marks(kind: Kind) -> list[pytest.MarkDecorator]:
    """The first kind that is here is what every run tests; the others' turns are long ones."""
    missing = pytest.mark.skipif(kind not in available_kinds(), reason=f"{kind} is not on this machine")
    return [missing, *([pytest.mark.long] if kind in available_kinds()[1:] else [])]


BROKER_KINDS = [pytest.param(kind, id=kind, marks=_marks(kind)) for kind in KINDS]


@pytest.fixture(params=BROKER_KINDS)
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LocalBroker]:
    """A broker that is not started yet; stopped afterwards, whatever happened to it."""
    made = local_broker(request.param, tmp_path)
    yield made
    made.stop()


def local_broker(kind: Kind, directory: Path) -> LocalBroker:
    """A broker of a kind at a free port, not started."""
    return LocalBroker(kind, directory / "broker", free_port())


def eventually(check: Callable[[], object], within_s: float = 40.0) -> None:
    """Wait until the check says yes; fails the test after `within_s` seconds. What is not there yet is a no."""
    until_s = time.monotonic() + within_s
    pause = threading.Event()
    while True:
        missing = None
        try:
            if check():
                return
        except LookupError as error:
            missing = error
        if time.monotonic() >= until_s:
            raise AssertionError(f"not within {within_s} s: {check}") from missing
        pause.wait(0.01)
