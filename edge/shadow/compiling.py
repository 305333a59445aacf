"""A bundle's graph compiled in a process of its own before it goes live, so that the line's process only loads it.

Compiling takes processor time that the line wants; and keeping what was compiled stops every thread of the process that
does it (OpenVINO exports a graph under Python's lock: 83 ms for 6 MB), the one that tells the line among them.
"""

import time
from collections.abc import Callable
from contextlib import closing

import structlog

from edge.shadow.apart import IDLE_LOADS_WITHIN_S, ApartError, EngineApart
from edge.shadow.messages import Order

log = structlog.get_logger()
_CPU_S = 300.0
_WITHIN_S = 60.0
_SLICE_S = 0.1


def compile_apart(order: Order, stopping: Callable[[], bool]) -> None:
    """Have the graph compiled into the cache; where that fails, or takes a minute, it is not there afterwards.

    Args:
        order: what is to be compiled, and how it will run.
        stopping: nobody waits any more.
    """
    try:
        if not _compiled(order, stopping, IDLE_LOADS_WITHIN_S, hurry=False):
            _compiled(order, stopping, _WITHIN_S - IDLE_LOADS_WITHIN_S, hurry=True)
    except ApartError as error:
        log.warning("not compiled apart", bundle=order.bundle, why=str(error))


def _compiled(order: Order, stopping: Callable[[], bool], within_s: float, *, hurry: bool) -> bool:
    """Whether that is done, or nobody waits any more. Raises ApartError."""
    until_s = time.monotonic() + within_s
    with closing(EngineApart(order, looks=False, hurry=hurry)) as apart:
        while not stopping():
            if apart.ready(_CPU_S, _SLICE_S):
                return True
            if time.monotonic() >= until_s:
                return False
    return True
