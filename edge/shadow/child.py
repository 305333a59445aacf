"""The process that runs a challenger: last in every queue of the machine, and gone with the station.

Invariants:
- It looks only in processor time that nobody else wants (SCHED_IDLE), and it is the first to go where memory is short.
- So it loads too, unless it is told to hurry: then it loads as the nicest process there is.
- It runs on one thread; but the graph is first compiled, and kept, as it will run live.
"""

import ctypes
import json
import mmap
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge.infer.engine import Engine
    from edge.shadow.messages import Order

_PR_SET_PDEATHSIG = 1
_NICEST = 19
HURRY = "hurry"
_ANSWERS_S = 3600.0  # whoever asks has his own patience


def go_last() -> None:
    """Everybody else first, and gone with the station; what a service manager forbids is left out."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a service manager's stop reaches all of us: it is for the daemon
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, _NICEST)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("900")


def go_idle() -> None:
    """Every thread that there is, and those that they start, runs only where no other process wants to.

    There is no way back: without rights nobody leaves SCHED_IDLE for as nice as 19.
    """
    for thread in Path("/proc/self/task").iterdir():
        with suppress(OSError):
            os.sched_setscheduler(int(thread.name), os.SCHED_IDLE, os.sched_param(0))


def load(order: "Order") -> "Engine | None":
    """The challenger, self-tested, or None where it is not to look; its graph as it will run live is in the cache then.

    Raises:
        ModelError: it cannot be run.
    """
    from edge.infer.comparing import ComparingEngine
    from edge.infer.openvino import OpenVinoEngine, config_of
    from edge.infer.plan import Plan
    from models.bundle import open_for_line
    from models.compiled_store import CompiledStore, graphs_in_use
    from models.errors import ModelError
    from models.scoring import read_image

    bundle = open_for_line(Path(order.bundle))
    if bundle.model_id.sha256 != order.sha256:
        raise ModelError(f"bundle {order.bundle} is not the one that was asked for: begin again")
    store = CompiledStore(Path(order.cache), lambda: graphs_in_use(Path(order.bundles)))
    store.load(bundle, config_of(bundle, order.plan))
    if order.shared < 0:
        return None
    slow = Plan(1, 1, 1).for_cameras(1, tiled=bundle.spec.tiling is not None)
    engine = OpenVinoEngine(bundle, slow, store=store)
    return ComparingEngine(engine, read_image(Path(order.reference))) if order.reference else engine


def serve(engine: "Engine", shared: int, lines: Iterator[bytes]) -> Iterator[bytes]:
    """An answer to each line that asks for a look at the frame in the shared memory."""
    import numpy as np

    from edge.shadow.messages import pack_fault, pack_found
    from models.errors import AlignmentError

    for line in lines:
        asked, before_s = json.loads(line), time.process_time()
        shape, number = tuple(asked["shape"]), asked["number"]
        try:
            with mmap.mmap(shared, int(np.prod(shape)), prot=mmap.PROT_READ) as memory:
                image = np.frombuffer(memory, np.uint8).reshape(shape).copy()
        except ValueError as error:
            yield pack_fault(number, "model", f"no frame: {error}")
            continue
        try:
            found = engine.submit(image, _ANSWERS_S).result(_ANSWERS_S)
        except AlignmentError as error:
            yield pack_fault(number, "reference", str(error))
        except Exception as error:  # noqa: BLE001 - whatever it was, it is no answer
            yield pack_fault(number, "model", f"{type(error).__name__}: {error}")
        else:
            yield pack_found(number, found, (time.process_time() - before_s) * 1000)


def main() -> None:
    """Take one order from stdin, load, and answer until stdin ends; `hurry` as an argument loads sooner."""
    go_last()
    if HURRY not in sys.argv:
        go_idle()
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what a library prints is no answer
    from edge.shadow.messages import Order, pack_fault, pack_ready

    order = Order.unpack(sys.stdin.buffer.readline())
    try:
        engine = load(order)
    except Exception as error:  # noqa: BLE001 - the station says it
        answers.write(pack_fault(0, "model", f"{type(error).__name__}: {error}"))
        return
    go_idle()
    answers.write(pack_ready())
    if engine is not None:
        for answer in serve(engine, order.shared, iter(sys.stdin.buffer.readline, b"")):
            answers.write(answer)
    sys.stdout.flush()
    os._exit(0)  # not through the ends of libraries whose threads may hang


if __name__ == "__main__":
    main()
