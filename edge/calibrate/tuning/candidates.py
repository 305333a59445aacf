"""Which plans are worth measuring: a coarse grid of threads, streams and requests, the likely ones first. Pure."""

from dataclasses import dataclass, replace

from edge.config import InferenceSection
from edge.infer.plan import Plan, make_plan
from models.compile import Hint
from models.cpus import CpuGrant

MOST = 24


@dataclass(frozen=True, slots=True)
class Contender:
    """A plan to measure; with a hint, what OpenVINO made of it, for comparison only."""

    plan: Plan
    hint: Hint | None = None

    @property
    def name(self) -> str:
        """For a person."""
        return f"OpenVINO's {self.hint} hint ({self.plan})" if self.hint else str(self.plan)

    def as_json(self) -> dict[str, object]:
        """Plain values."""
        plan = {name: value for name, value in self.plan.as_json().items() if name not in {"origin", "why"}}
        return plan | {"hint": self.hint}


def candidates(grant: CpuGrant, cameras: int, *, tiled: bool) -> list[Plan]:
    """The default first; all threads and fewer, each as many streams and as one; then more requests, then in between.

    Args:
        grant: what CPUs there are.
        cameras: whose frames come at once.
        tiled: whether the model cuts its frames into tiles.
    """
    counts = _thread_counts(grant)
    shapes = [(count, count) for count in counts] + [(count, 1) for count in counts]
    between = [(count, streams) for count in counts for streams in (count // 2, count // 4) if streams > 1]
    few = [_plan(*shape, cameras, tiled=tiled) for shape in shapes]
    more = [_plan(*shape, cameras, tiled=tiled, more=True) for shape in shapes if shape[0] in counts[:2]]
    default = make_plan(InferenceSection(), grant.threads, cameras, tiled=tiled)
    middle = [_plan(*shape, cameras, tiled=tiled) for shape in between]
    return list(dict.fromkeys([default, *few, *more, *middle]))[:MOST]


def pinned(plan: Plan, *, pinning: bool = True) -> Plan:
    """The same plan with each thread kept on its core, or not."""
    return replace(plan, pinning=pinning)


def may_run(one: Contender, grant: CpuGrant) -> bool:
    """Whether the station may run it: not what is for comparison only, and nothing pinned on CPUs that others share."""
    return one.hint is None and not (one.plan.pinning and grant.is_cut)


def _thread_counts(grant: CpuGrant) -> list[int]:
    """All that are granted, as many as there are cores, one less, halves of it down to one.

    Under a quota one more too: a thread's pauses leave some of the quota unused, which another can use.
    """
    most = grant.threads
    halves = [most >> shift for shift in range(most.bit_length())]
    whole = int(grant.amount)  # a fraction left over may be worth no thread
    more = min(len(grant.cpus), most + 1)
    wanted = [most, more, min(most, grant.cores), whole, most - 1, *halves]
    return [count for count in dict.fromkeys(wanted) if count >= 1]


def _plan(threads: int, streams: int, cameras: int, *, tiled: bool, more: bool = False) -> Plan:
    """With requests for one part of all cameras and one more, or for two parts and one more."""
    busy = max(streams, cameras)
    requests = cameras * (streams + 1) if tiled else busy + 1 + more * busy
    return Plan(threads, streams, requests, max(1, requests // cameras) if tiled else 1)
