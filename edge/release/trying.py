"""The process in which a release is tried: `python -m edge.release.trying`, an order on stdin, an answer on stdout.

It takes what time and memory nobody else wants, and it is gone with the station.
"""

import ctypes
import os
import resource
import signal
import sys
from contextlib import closing, suppress
from pathlib import Path

from edge.capture.pictures.checks import Check
from edge.capture.pictures.watch import CameraRules, PictureWatch
from edge.capture.scales import scales_of
from edge.config import ProductSection, StationConfig, chosen_product
from edge.domain.errors import InspectdError
from edge.fitting import fitting_recipes, fitting_reference
from edge.health import Health
from edge.infer.comparing import ComparingEngine
from edge.infer.openvino import OpenVinoEngine
from edge.infer.plan import Plan
from edge.masters.check import Judge, Request, check_masters
from edge.masters.store import MasterStore
from edge.pipeline import Product
from edge.record.checks import CheckOutcome
from edge.release.trial import Order, Tried
from models.bundle import open_for_line
from models.errors import ModelError

_PR_SET_PDEATHSIG = 1
_NICEST = 19
_GRACE_S = 5
_WITHOUT = (
    "release.reject_masters asks that it rejects a bad master part of each product, and {!r} has none: "
    "`edge masters add --bad`"
)
_PLAN = Plan(threads=1, streams=1, requests=2, per_frame=2)


def main() -> None:
    """Read the order, try, answer."""
    answers = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print is no answer
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    order = Order.model_validate_json(sys.stdin.buffer.read())
    if os.getppid() != order.parent:  # it ended before that
        return
    _go_last(order)
    os.write(answers, tried(order).model_dump_json().encode())


def tried(order: Order) -> Tried:
    """What comes of it, as far as this process lives to tell."""
    try:
        return _tried(order)
    except (InspectdError, ModelError, OSError) as error:
        return Tried(against=" ".join(str(error).split()))  # OpenVINO says it in many lines
    except MemoryError:
        return Tried(against=f"it takes more than {order.memory_bytes} bytes of memory")


def _tried(order: Order) -> Tried:
    bundle = open_for_line(Path(order.bundle))
    if bundle.model_id.sha256 != order.sha256:
        return Tried(against="it changed on the disk since it was unpacked")
    rejects = False
    with closing(OpenVinoEngine(bundle, _PLAN)) as engine:  # compiled, and through its own frames
        for name in order.products:
            section = chosen_product(order.config, name)
            found = _meet_masters(order.config, section, engine)
            if found.against:
                return found
            if order.config.release.reject_masters and not found.rejects_masters:
                return Tried(against=_WITHOUT.format(name), is_gate=True)
            rejects = rejects or found.rejects_masters
    return Tried(rejects_masters=rejects)


def _meet_masters(config: StationConfig, section: ProductSection, engine: OpenVinoEngine) -> Tried:
    """Does it say of every master part what is known of it? Pictures' own checks are left out, as at calibration."""
    store = MasterStore(config.station.data_dir, section.id)
    if not store.exists:
        return Tried()
    recipe, own = fitting_recipes(section, engine.bundle, scales_of(config, section))
    reference = fitting_reference(section, engine.spec)
    looking = engine if reference is None else ComparingEngine(engine, reference)
    product = Product(section.id, looking, recipe, by_camera=own)
    watch = PictureWatch({camera.id: CameraRules(frozenset(Check)) for camera in config.camera}, {}, Health())
    judge = Judge(product, watch, looking.submit, config.inference.timeout_ms / 1000, config.cut_sizes)
    check = check_masters(store, judge, Request(config.station.id, "release"))
    if check.outcome is not CheckOutcome.PASSED:
        return Tried(against=check.why, is_gate=True)
    return Tried(rejects_masters=any(master.expected == "REJECT" for master in check.masters))


def _go_last(order: Order) -> None:
    """Everybody else first; what a service manager forbids of it is left out, the limits are the parent's too."""
    try:
        os.nice(_NICEST)
    except OSError:  # a service manager's filter: then on one processor, and the line has the others
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    with suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:  # noqa: PTH123
        file.write("1000")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (order.cpu_s, order.cpu_s + _GRACE_S))
    resource.setrlimit(resource.RLIMIT_DATA, (order.memory_bytes, order.memory_bytes))


if __name__ == "__main__":
    main()
