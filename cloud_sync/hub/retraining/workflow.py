"""The durable run: DBOS remembers which steps are done, so that a killed worker's run goes on where it was.

- A step's word is taken only from the worker that the run belongs to; DBOS hands it over once. What a step keeps in
  the store is kept once: whoever was overtaken and finds out late changes nothing.
- One run at a time per worker; others wait in the queue, or are taken by another worker of the same database.
- Nothing leaves this machine but for the database: DBOS is given no conductor, no telemetry, and opens no port.
- The only user of dbos.
"""

import contextlib
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError

from cloud_sync.hub.retraining.errors import RetrainingError
from cloud_sync.hub.retraining.runs import Result, Runs
from cloud_sync.hub.retraining.steps import Step, Steps
from cloud_sync.hub.store.errors import BlobError, StoreError
from cloud_sync.wire.errors import LinkError
from models.dataset.errors import DatasetError
from models.errors import ModelError

_QUEUE = "retraining"
_ALIVE = frozenset({"PENDING", "ENQUEUED", "DELAYED"})
_BY_HAND = "ended by hand"
_VERSION = "1"  # of the order of steps: runs of another order are not taken over
_TRIES = 5
_END_S = 20.0
_LOOK_S = 1.0
_PASSING = (StoreError, BlobError, LinkError, OSError)
_EXPECTED = (RetrainingError, ModelError, DatasetError)
_logger = logging.getLogger(__name__)


class Stopping(BaseException):
    """The worker stops: no word on the run, which goes on at the next start. No fault, so no Exception."""


class Overtaken(BaseException):
    """Another worker has the run: we were taken for dead."""


class Ended(BaseException):
    """A person ended the run while we were at it."""


class _Json:
    """DBOS's values as JSON: what stands in a shared database is data, never a pickle that runs."""

    def serialize(self, data: object) -> str:
        return json.dumps(data, default=repr)

    def deserialize(self, serialized_data: str) -> Any:  # noqa: ANN401 - DBOS's own word
        return json.loads(serialized_data)

    def name(self) -> str:
        return "inspectd_json"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long it waits, in seconds: from one look into the queue to the next, and before a step is tried again."""

    poll_s: float = 1.0
    pause_s: float = 1.0


class Workflow:
    """Runs of a store, worked on by this process. A context manager; one at a time per process.

    Args:
        place: the store, whose runs they are; DBOS keeps its own tables beside.
        runs: the same, open.
        steps: what a run does.
        worker: our id; the same after a restart, and nobody else's.
        now_ms: tells the time.
        patience: how often the queue is looked at, and how long a step that failed waits.
    """

    def __init__(
        self,
        place: str,
        runs: Runs,
        steps: Steps,
        worker: str,
        now_ms: Callable[[], int],
        patience: Patience = Patience(),
    ) -> None:
        self._url = system_database(place)
        self._runs = runs
        self._steps = steps
        self._worker = worker
        self._now_ms = now_ms
        self._patience = patience
        self._stopping, self._idle = threading.Event(), threading.Event()
        self._idle.set()
        self._busy, self._lock = 0, threading.Lock()

    def __enter__(self) -> Self:
        for name in [name for name in os.environ if name.startswith(("DBOS_", "DBOS__"))]:
            del os.environ[name]  # each of them could turn telemetry or a conductor on
        from dbos import DBOS, DBOSConfig

        config: DBOSConfig = {
            "name": "inspectd",
            "system_database_url": self._url,
            "executor_id": self._worker,
            "application_version": _VERSION,
            "serializer": _Json(),  # type: ignore[typeddict-item]
            "enable_otlp": False,
            "log_level": "WARNING",
            "use_listen_notify": False,
            "notification_listener_polling_interval_sec": self._patience.poll_s,
        }
        DBOS(config=config)
        self._dbos = DBOS
        try:
            self._run = DBOS.workflow(name="retrain", max_recovery_attempts=None)(self._as_function())
            DBOS.launch()
            DBOS.register_queue(_QUEUE, worker_concurrency=1, polling_interval_sec=self._patience.poll_s)
        except BaseException:
            DBOS.destroy(destroy_registry=True)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        if not self._idle.wait(_END_S):
            _logger.warning("a step did not end in %g s: it is left as a kill would leave it", _END_S)
        self._dbos.destroy(destroy_registry=True)

    def begin(self, run: str) -> str:
        """See to it that the run is worked on by somebody; said again it changes nothing.

        Returns:
            Why nobody ever will any more; "" where somebody does, or is about to.
        """
        from dbos import SetWorkflowID

        status = self._dbos.get_workflow_status(run)
        if status is None:
            with SetWorkflowID(run):
                self._dbos.enqueue_workflow(_QUEUE, self._run, run)
            return ""
        if status.status in _ALIVE:
            return ""
        error = f": {status.error!s:.300}" if status.error else ""
        return f"its work is over ({status.status.lower()}), and the store was not told how{error}"

    def take_over(self, worker: str) -> None:
        """Put a dead worker's runs back into the queue; said by several, it happens once."""
        self._dbos._recover_pending_workflows([worker])  # noqa: SLF001 - what DBOS's conductor calls; without it nobody does

    def _as_function(self) -> Callable[[str], str]:
        """DBOS knows workflows as functions, not as methods."""

        def retrain(run: str) -> str:
            return self._work(run)

        return retrain

    def _work(self, run: str) -> str:
        """The workflow itself: DBOS calls it, and again after a kill, with the words of the steps that are done."""
        with self._counted():
            reason = "proven, signed, on its way to the stations"
            for name, step in self._steps.in_order():
                word: dict[str, str] = self._dbos.run_step({"name": name}, self._do, run, name, step)
                if word["result"]:
                    break
                reason = word["reason"] or reason
            else:
                word = _word(Result.PUBLISHED, reason)
            self._dbos.run_step({"name": "end"}, self._end, run, word["result"], word["reason"])
            return word["result"]

    def _do(self, run: str, name: str, step: Step) -> dict[str, str]:
        """One step; what only passes is tried again. What comes back is data: DBOS keeps it."""
        for attempt in range(1, _TRIES + 1):
            try:
                return self._once(run, name, step)
            except _PASSING as error:
                _logger.warning("run %s: %s failed, try %d of %d: %s", run, name, attempt, _TRIES, error)
                word = _word(Result.FAILED, f"{name}: {error}")
                if attempt < _TRIES and self._stopping.wait(self._patience.pause_s * 2**attempt):
                    raise Stopping from error
        return word

    def _once(self, run: str, name: str, step: Step) -> dict[str, str]:
        self._check_stopping()
        try:
            self._check_ours(run)
            self._runs.enter(run, name, self._worker, self._now_ms())
            done = step(self._runs.find(run), self._looking(run))
            self._runs.note(run, done.found)
        except Ended:
            return _word(Result.ENDED, _BY_HAND)
        except _PASSING:
            raise
        except _EXPECTED as error:
            return _word(Result.FAILED, f"{name}: {error}")
        except Exception as error:  # a defect in one step ends its run, with its reason, and not the worker
            _logger.exception("run %s: %s failed", run, name)
            return _word(Result.FAILED, f"{name}: {type(error).__name__}: {error}")
        return _word(Result.REFUSED, done.no) if done.no else _word("", done.but)

    def _end(self, run: str, result: str, reason: str) -> None:
        """Said until the store takes it: one that ended for DBOS alone would stay open for ever."""
        attempt = 0
        while True:
            try:
                return self._runs.end(run, Result(result), reason, self._now_ms())
            except StoreError as error:
                attempt = min(attempt + 1, _TRIES)
                _logger.warning("run %s: its end cannot be kept, and is said again: %s", run, error)
                if self._stopping.wait(self._patience.pause_s * 2**attempt):
                    raise Stopping from error

    def _looking(self, run: str) -> Callable[[], None]:
        """What a long step calls: it learns that we stop at once, and that we lost the run within a second.

        A database that is away for a moment ends no training of hours: whose the run is, is asked again.
        """
        next_s = time.monotonic() + _LOOK_S

        def look() -> None:
            nonlocal next_s
            self._check_stopping()
            if time.monotonic() >= next_s:
                next_s = time.monotonic() + _LOOK_S
                try:
                    self._check_ours(run)
                except StoreError as error:
                    _logger.warning("run %s: whether it is still ours is not known: %s", run, error)

        return look

    def _check_ours(self, run: str) -> None:
        """DBOS alone knows whose it is: the worker in the store is for people, and so is its end. Raises StoreError."""
        try:
            status = self._dbos.get_workflow_status(run)
        except SQLAlchemyError as error:
            raise StoreError(f"the database of what is under way fails: {error}") from error
        if status is None or status.executor_id != self._worker:
            raise Overtaken(run)
        if self._runs.find(run).result is not None:
            raise Ended(run)

    def _check_stopping(self) -> None:
        if self._stopping.is_set():
            raise Stopping

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        """So that the end can wait for it."""
        with self._lock:
            self._busy += 1
            self._idle.clear()
        try:
            yield
        finally:
            with self._lock:
                self._busy -= 1
                if not self._busy:
                    self._idle.set()


def system_database(place: str) -> str:
    """Where DBOS keeps its own tables: a file beside the store's, or its schema in the same database."""
    if "://" not in place:
        path = Path(place).absolute()
        return str(URL.create("sqlite", database=str(path.with_name(f"{path.stem}-work.db"))))
    return make_url(place).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)


def _word(result: str, reason: str) -> dict[str, str]:
    return {"result": str(result), "reason": reason}
