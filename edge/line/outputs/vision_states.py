"""The states of a vision system, named as OPC 40100-1 names them. Pure.

A station that is ready takes every trigger by itself, which is that standard's ContinuousExecution. On the way there it
passes Initialized and Ready; a station that was ready and is not has an Error, or is Halted when it stops.
"""

PREOPERATIONAL = "Preoperational"
INITIALIZED = "Initialized"
READY = "Ready"
CONTINUOUS = "ContinuousExecution"
ERROR = "Error"
HALTED = "Halted"
STATES = (PREOPERATIONAL, HALTED, ERROR, INITIALIZED, READY, CONTINUOUS)
_STOPPING = "stopping"


def states_on(now: str, why: str, *, ready: bool) -> tuple[str, ...]:
    """The states that follow `now` when the station says that it is ready, or why it is not; the last one stays."""
    if ready:
        return () if now == CONTINUOUS else (INITIALIZED, READY, CONTINUOUS)
    if why == _STOPPING:
        return () if now == HALTED else (HALTED,)
    if now == CONTINUOUS:
        return (ERROR,)
    return ()
