"""A bundle's graph compiled in a process of its own before it goes live, so that the line's process only loads it.

Compiling takes processor time that the line wants; and keeping what was compiled stops every thread of the process that
does it (OpenVINO exports a graph under Python's lock: 83 ms for 6 MB), the one that tells the line among them.
"""

import time
from collections.abc import Callable

import structlog

from edge.shadow.apart import ApartError, EngineApart
from edge.shadow.messages import Order

log = structlog.get_logger()
_CPU_S = 300.0
_WITHIN_S = 120.0
_SLICE_S = 0.1


def compile_apart(order: Order, stopping: Callable[[], bool]) -> None:
    """Have the graph compiled into the cache; where that fails, or takes two minutes, it is not there afterwards.

    Args:
        order: what is to be compiled, and how it will run.
        stopping: nobody waits any more.
    """
    until_s = time.monotonic() + _WITHIN_S
    try:
        apart = EngineApart(order, looks=False)
    except ApartError as error:
        log.warning("not compiled apart", bundle=order.bundle, why=str(error))
        return
    try:
        while not stopping() and time.monotonic() < until_s and not apart.ready(_CPU_S, _SLICE_S):
            continue
    except ApartError as error:
        log.warning("not compiled apart", bundle=order.bundle, why=str(error))
    finally:
        apart.close()
