"""The notify protocol, against a real socket."""

import logging
from pathlib import Path

import pytest
from brokers import eventually
from service_manager import ServiceManager

from cloud_sync.wire.supervisor import Feed, Supervisor, status_word


def test_a_socket_with_a_path_and_an_abstract_one_both_hear(tmp_path: Path) -> None:
    for where in (tmp_path / "notify", f"@inspectd-{tmp_path.name}"):
        with ServiceManager(where, limit_s=2) as manager:
            found = Supervisor.of(manager.environment)
            assert found.tell("READY=1", status_word("two\nlines"))
            eventually(lambda heard=manager: heard.said("READY=1"))
            assert manager.statuses() == ["two lines"]
            assert found.limit_s == 2


def test_without_a_service_manager_nothing_is_told() -> None:
    alone = Supervisor.of({})
    assert (alone.tell("READY=1"), alone.limit_s) == (False, None)
    Feed(alone).feed()


def test_a_feed_that_is_asked_for_all_the_time_is_sent_four_times_within_the_limit(tmp_path: Path) -> None:
    with ServiceManager(tmp_path / "notify", limit_s=1) as manager:
        feed = Feed(Supervisor.of(manager.environment))
        eventually(lambda: feed.feed() or len(manager.said("WATCHDOG=1")) == 4)  # type: ignore[func-returns-value]
        first_s, *_, last_s = manager.said("WATCHDOG=1")
        assert last_s - first_s > 0.6


def test_a_watchdog_that_was_meant_for_another_process_is_not_ours() -> None:
    given = {"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "77"}
    assert Supervisor.of(given, pid=78).limit_s is None
    assert Supervisor.of(given, pid=77).limit_s == 30


def test_a_service_manager_that_does_not_listen_is_logged_and_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert not Supervisor(str(tmp_path / "nobody")).tell("WATCHDOG=1")
    assert "was not told WATCHDOG=1" in caplog.text
