"""The station as its service manager sees it: up, how it is, going forward, stopping."""

import sys
import threading
import traceback
from collections.abc import Iterator

import structlog

from cloud_sync.wire.supervisor import Feed, Supervisor, status_word
from edge.assembly import Assembly
from edge.watchdog import Sign, judge

log = structlog.get_logger()
_PATIENCE_S = 30.0
_HUNG = "hung"


class Supervision:
    """Tells the service manager; the main loop's alone.

    Args:
        station: what runs.
        supervisor: who started us.
    """

    def __init__(self, station: Assembly, supervisor: Supervisor) -> None:
        self._station = station
        self._supervisor = supervisor
        self._patience_s = supervisor.limit_s or _PATIENCE_S
        self._feed = Feed(supervisor)
        self._watched_s = 0.0
        self._said = ""
        self._hung = ""

    def started(self) -> None:
        """The line port listens and every thread runs."""
        self._said = self._status()
        self._supervisor.tell("READY=1", self._said)

    def watch(self, now_s: float) -> None:
        """Feed the watchdog where parts and commits could go forward; else say once what hangs, and where."""
        stood_still_s = now_s - self._watched_s if self._watched_s else 0.0
        self._watched_s = now_s
        judgement = judge(list(self._signs(now_s)), self._patience_s, stood_still_s)
        if judgement.why not in {"", self._hung}:
            log.error("hung", why=judgement.why, restart_wanted=not judgement.feed, threads=stacks())
        self._hung = judgement.why
        self._station.health.restate_fault(_HUNG, judgement.why)
        if judgement.feed:
            self._feed.feed()
        if (status := self._status()) != self._said:
            self._said = status
            self._supervisor.tell(status)

    def stopping(self) -> None:
        """A stop was asked for; how long it may take is the service manager's to know."""
        self._supervisor.tell("STOPPING=1", "STATUS=stopping")

    def _status(self) -> str:
        ready, why = self._station.health.state()
        return status_word("ready" if ready else f"not ready: {why}")

    def _signs(self, now_s: float) -> Iterator[Sign]:
        station = self._station
        yield Sign("the line port", station.port.pulse.late_s(now_s))
        for name, pulse in station.pipeline.pulses.items():
            yield Sign(f"the pipeline's thread {name!r}", pulse.late_s(now_s))
        yield Sign("the disk's commit", station.recorder.busy_s(now_s), restart_helps=station.recorder.has_committed)
        for drain in station.drains.values():
            driver = f"the driver of camera {drain.camera_id!r}"
            yield Sign(driver, drain.pulse.late_s(now_s), restart_helps=drain.counters.received > 0)


def stacks() -> str:
    """Where every thread of this process is, so that a hang can be understood afterwards."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    return "\n".join(
        f"{names.get(ident, ident)}:\n{''.join(traceback.format_stack(frame))}"
        for ident, frame in sys._current_frames().items()  # noqa: SLF001 - Python has no other way to see its threads
    )
