"""A run ended by a person: one that is stuck, or that nobody wants any more.

The product is free for another run at once. The worker that is at it learns of that within a second, ends its training
and goes on with what waits; what the run signed or sent to stations before stays, and is stopped there.
"""

import time

from cloud_sync.hub.retraining.errors import RequestRefusedError
from cloud_sync.hub.retraining.runs import Result, Run, Runs, UnknownRunError
from cloud_sync.hub.store.engine import open_engine


def end_run(place: str, run: str, by: str, why: str = "") -> Run:
    """End a run, and keep by whom and why.

    Args:
        place: the store.
        run: its id.
        by: who wants it.
        why: in words; may be empty.

    Raises:
        RequestRefusedError: there is no such run, or it has ended.
        StoreError: the database failed.
    """
    open_engine(place, create=False).dispose()  # a mistyped place is refused, not made
    said = f"ended by {by}" + (f": {why}" if why else "")
    with Runs(place) as runs:
        before = known_run(runs, run)
        if before.result is not None:
            raise RequestRefusedError(f"run {run} has ended already: {before.result}")
        runs.end(run, Result.ENDED, said, time.time_ns() // 1_000_000)
        found = runs.find(run)
    if (found.result, found.reason) != (Result.ENDED, said):
        raise RequestRefusedError(f"run {run} has just ended by itself: {found.result}")
    return found


def known_run(runs: Runs, run: str) -> Run:
    """A run that there is. Raises RequestRefusedError where there is none, StoreError where the database failed."""
    try:
        return runs.find(run)
    except UnknownRunError as error:
        raise RequestRefusedError(f"there is no run {run!r}: `cloud runs list` names them") from error
