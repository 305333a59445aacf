"""Where an inspection goes once the line was told: is it a sample, and does the station still see what it saw?

Invariants:
- Nothing here is waited for: handing over costs a place in a queue, and what finds none is counted, never kept waiting.
- Whatever fails here is logged, counted and an alarm; it never reaches the line, nor ends the daemon.
- A sample and what it took of the budget are one transaction, so that a kill or a restart gives nothing twice.
- Only an image that the station keeps can teach, so a view without one is no sample; unless a person overruled it.
- A look begins a moment after its part was told, and while no other part is on its way. Where that never comes, and
  more than a few wait, pictures are not measured: the processor is wanted elsewhere.
- Master parts are shown to check the station: they are neither samples nor drift.
"""

import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import structlog

from cloud_sync.wire.messages import DriftMessage, DriftSigns
from cloud_sync.wire.records import FeedbackRecord
from edge.capture.pictures.checks import Gauge
from edge.domain.frame import Frame
from edge.domain.inspection import Committed, View
from edge.domain.part import Verdict
from edge.domain.sample import SampleReason
from edge.health import Health
from edge.record.recorder import Recorder
from edge.triage.choosing import SampleKeeper
from edge.triage.looks import Looks, measure
from edge.triage.settings import Around, TriageCounts, TriageSettings
from edge.triage.watching import DriftKeeper

log = structlog.get_logger()
FAULT_ALARM = "triage"
_QUEUE_LIMIT = 512
_FRAMES_LIMIT_BYTES = 64 << 20
_BUSY_FROM = 8
_TOLD_WITHIN_S = 0.005
_QUIET_WITHIN_S = 0.1
_POLL_S = 0.005
_WELL_AFTER = 100  # inspections without a fault, and the alarm is over
_PATIENCE_S = 0.2


@dataclass(frozen=True, slots=True)
class _Seen:
    committed: Committed
    frames: tuple[Frame, ...]
    kept: bool
    at_s: float


@dataclass(frozen=True, slots=True)
class _Disagreed:
    committed: Committed
    camera_id: str
    champion: View
    challenger: View


@dataclass(frozen=True, slots=True)
class _Overruled:
    seq: int


_Job = _Seen | _Disagreed | _Overruled


class TriageDesk:
    """One thread, behind the verdicts' back.

    Args:
        settings: how it works.
        recorder: where samples go.
        health: where a drift, or a fault of the desk, is an alarm.
        around: what it asks of the station.
        on_sample: called once a sample is on disk.
        on_drift: called where a drift alarm opened or closed, or another model began.
    """

    def __init__(
        self,
        settings: TriageSettings,
        recorder: Recorder,
        health: Health,
        around: Around,
        *,
        on_sample: Callable[[], None] = lambda: None,
        on_drift: Callable[[], None] = lambda: None,
    ) -> None:
        self.counts = TriageCounts()
        self._settings = settings
        self._health = health
        self._around = around
        self._on_sample = on_sample
        self._samples = SampleKeeper(settings, recorder, around.thresholds, self.counts)
        self._drift = DriftKeeper(settings, recorder, health, on_drift)
        self._gauges: dict[str, Gauge] = {}
        self._queue: queue.Queue[_Job] = queue.Queue(_QUEUE_LIMIT)
        self._queued_bytes = 0
        self._counting = threading.Lock()
        self._well = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="triage", daemon=True)

    def start(self) -> None:
        """Begin to deal with what is handed over."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Finish what waits, keep what drift is told by, and end the thread, waiting at most `timeout_s` seconds."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def consider(self, committed: Committed, frames: tuple[Frame, ...]) -> None:
        """Take an inspection that is on disk, and what it was made from. Never blocks, never raises."""
        if committed.inspection.part.master or not (self._settings.keeps_samples or self._settings.watches_drift):
            return
        size_bytes = sum(frame.held_bytes for frame in frames)
        with self._counting:
            fits = self._queued_bytes + size_bytes <= _FRAMES_LIMIT_BYTES
            self._queued_bytes += size_bytes if fits else 0
        if not fits:
            self.counts.unmeasured += len(frames)
        kept = bool(frames) and self._around.keeps_image(committed.inspection)
        self._hand_over(_Seen(committed, frames if fits else (), kept, time.monotonic()))

    def paired(self, committed: Committed, camera_id: str, champion: View, challenger: View) -> None:
        """Take what both models made of a frame; where they judge it alike, it is nothing. Never blocks or raises."""
        told = champion.verdict, challenger.verdict
        if Verdict.UNDECIDED not in told and champion.verdict is not challenger.verdict:
            self.disagreed(committed, camera_id, champion, challenger)

    def disagreed(self, committed: Committed, camera_id: str, champion: View, challenger: View) -> None:
        """Take a frame that the model in shadow judges otherwise. Never blocks, never raises."""
        inspection = committed.inspection
        if self._settings.keeps_samples and not inspection.part.master and self._around.keeps_image(inspection):
            self._hand_over(_Disagreed(committed, camera_id, champion, challenger))

    def overruled(self, said: FeedbackRecord) -> None:
        """Take a person's word that is on disk, its sample with it, for the overrule rate. Never blocks or raises."""
        if not said.is_right:
            self.counts.kept[SampleReason.OVERRULED] += 1
            self._hand_over(_Overruled(said.inspection_seq))

    def drift(self) -> DriftMessage:
        """How all that is watched stands, for the cloud. From any thread. Raises StorageError, sqlite3.Error."""
        return self._drift.message()

    def signs(self) -> list[DriftSigns]:
        """How each sign stands. From any thread."""
        return self._drift.signs()

    def as_json(self) -> dict[str, object]:
        """What became of everything, and how each sign stands. From any thread."""
        counts, named = self.counts, list(SampleReason)
        return {
            "per_hour": self._settings.rules.per_hour if self._settings.keeps_samples else 0,
            "kept": {reason.value: counts.kept[reason] for reason in named},
            "refused": {reason.value: counts.refused[reason] for reason in named},
            "skipped": counts.skipped,
            "unmeasured": counts.unmeasured,
            "faults": counts.faults,
            "drift": [sign.model_dump(mode="json") for sign in self.signs()],
        }

    def _hand_over(self, job: _Job) -> None:
        try:
            self._queue.put_nowait(job)
        except queue.Full:
            self.counts.skipped += 1
            self._let_frames_go(job)

    def _let_frames_go(self, job: _Job) -> None:
        if isinstance(job, _Seen):
            with self._counting:
                self._queued_bytes -= sum(frame.held_bytes for frame in job.frames)

    def _run(self) -> None:
        self._guarded(self._samples.remember)
        self._guarded(self._drift.begin)
        while not (self._stop.is_set() and self._queue.empty()):
            with suppress(queue.Empty):
                self._take(self._queue.get(timeout=_PATIENCE_S))
            self._guarded(self._drift.save_at_times)
        self._guarded(self._drift.save)

    def _take(self, job: _Job) -> None:
        before = self.counts.faults
        self._guarded(lambda: self._deal_with(job))
        self._let_frames_go(job)
        self._well = 0 if self.counts.faults > before else self._well + 1
        if self._well == _WELL_AFTER:
            self._health.set_alarm(FAULT_ALARM, "")

    def _deal_with(self, job: _Job) -> None:
        match job:
            case _Seen():
                self._look_at(job)
            case _Disagreed():
                why = (SampleReason.DISAGREEMENT,)
                self._say(kept=self._samples.keep(job.committed, job.camera_id, why, job.champion, job.challenger))
            case _Overruled():
                self._drift.overruled(job.seq)

    def _look_at(self, job: _Seen) -> None:
        inspection = job.committed.inspection
        if self._queue.qsize() <= _BUSY_FROM:
            self._await_quiet(job.at_s)
        looks = self._measured(job.frames)
        if self._settings.watches_drift:
            self._guarded(lambda: self._drift.see(inspection, looks))
        for view in inspection.views if self._settings.keeps_samples else ():
            found = looks.get(view.camera_id)
            self._say(kept=self._samples.consider(job.committed, view, found, kept=job.kept))

    def _await_quiet(self, committed_s: float) -> None:
        """Let the line be told first: a thread that computes would hold up the one that tells it."""
        now_s = time.monotonic()
        until_s = now_s + _QUIET_WITHIN_S
        self._stop.wait(max(0.0, committed_s + _TOLD_WITHIN_S - now_s))
        while not self._around.is_quiet() and time.monotonic() < until_s and not self._stop.wait(_POLL_S):
            pass

    def _measured(self, frames: tuple[Frame, ...]) -> dict[str, Looks]:
        if self._queue.qsize() > _BUSY_FROM:
            self.counts.unmeasured += len(frames)
            return {}
        return {frame.camera_id: measure(self._gauges.setdefault(frame.camera_id, Gauge()), frame) for frame in frames}

    def _say(self, *, kept: bool) -> None:
        if kept:
            self._on_sample()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # whatever it is, the line must not feel it
            if not self.counts.faults:
                log.error("a fault of triage", exc_info=error)
            self.counts.faults += 1
            self._health.set_alarm(
                FAULT_ALARM, f"samples or drift were missed {self.counts.faults} times: {error}"[:300]
            )
