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
    """The default first, then fewer and more threads, each as one stream and as many, with few requests and with more.

    Args:
        grant: what CPUs there are.
        cameras: whose frames come at once.
        tiled: whether the model cuts its frames into tiles.
    """
    found = [make_plan(InferenceSection(), grant.threads, cameras, tiled=tiled)]
    for threads in _thread_counts(grant):
        for streams in _stream_counts(threads):
            found += [
                _plan(threads, streams, requests, cameras, tiled) for requests in _requests(streams, cameras, tiled)
            ]
    return list(dict.fromkeys(found))[:MOST]


def pinned(plan: Plan) -> Plan:
    """The same plan with each thread kept on its core."""
    return replace(plan, pinning=True)


def _thread_counts(grant: CpuGrant) -> list[int]:
    """All that are granted, as many as there are cores, one less, halves of it down to one."""
    most = grant.threads
    halves = [most >> shift for shift in range(most.bit_length())]
    whole = int(grant.amount)  # a fraction left over may be worth no thread
    wanted = [most, min(most, grant.cores), whole, most - 1, *halves]
    return [count for count in dict.fromkeys(wanted) if count >= 1]


def _stream_counts(threads: int) -> list[int]:
    """One stream of all threads, a stream for each thread, and in between."""
    return sorted({1, threads, max(1, threads // 2), max(1, threads // 4)}, reverse=True)


def _requests(streams: int, cameras: int, tiled: bool) -> list[int]:  # noqa: FBT001 - pure and private
    if tiled:
        return [cameras * (streams + 1)]
    busy = max(streams, cameras)
    return [busy + 1, 2 * busy + 1] if busy > 1 else [2, 3]


def _plan(threads: int, streams: int, requests: int, cameras: int, tiled: bool) -> Plan:  # noqa: FBT001 - as above
    return Plan(threads, streams, requests, max(1, requests // cameras) if tiled else 1)
