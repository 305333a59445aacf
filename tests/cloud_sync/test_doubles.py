"""Two machines of one station id are told from one that begins new epochs."""

import logging
import time

import pytest

from cloud_sync.hub.doubles import Doubles

HOUR_MS = 3_600_000


def test_new_epochs_are_no_second_machine_and_one_that_comes_back_is(caplog: pytest.LogCaptureFixture) -> None:
    doubles, now_ms = Doubles(), int(time.time() * 1000)
    with caplog.at_level(logging.ERROR):
        for epoch in ("a", "a", "b", "b", "c", *map(str, range(20))):
            doubles.heard("line-1", epoch, now_ms)
        assert (doubles.lately(), caplog.messages) == (0, [])
        for epoch in ("18", "19", "18"):  # each time that one takes the place of the other
            doubles.heard("line-1", epoch, now_ms)
        assert doubles.lately() == 1
        assert len(caplog.messages) == 1
        assert "line-1" in caplog.messages[0]
        doubles.heard("line-1", "19", now_ms + HOUR_MS)
    assert len(caplog.messages) == 2


def test_what_was_hours_ago_is_over() -> None:
    doubles, then_ms = Doubles(), int(time.time() * 1000) - 3 * HOUR_MS
    for epoch in ("a", "b", "a"):
        doubles.heard("line-1", epoch, then_ms)
    assert doubles.lately() == 0
