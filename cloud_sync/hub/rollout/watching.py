"""What becomes of a release after its rollout is done. Pure: no store, no clock, no broker.

- For the plan's watch a station that goes back, rejects it or on which it breaks stops it for all, as it did before:
  the model before it is the one that is known to work.
- So does a late station that never came to decide enough parts and stands still in a fault.
- One that had proven it and later stands still, or leaves parts undecided, may as well have a fault of its own, such
  as a camera that was pushed or a machine that is busy: that is said, and changes nothing. So is whatever happens
  after the watch: by then a person decides.
- Who has not proven it is named until it has.
"""

from collections.abc import Sequence
from dataclasses import replace

from cloud_sync.hub.rollout.plan import RolloutPlan
from cloud_sync.hub.rollout.stages import (
    Decision,
    Standing,
    What,
    all_through,
    failure_of,
    has_proven,
    listed,
    stands_still,
    withdrawal,
)

_HOUR_MS = 3_600_000


def watch(plan: RolloutPlan, done_age_ms: int, stations: Sequence[Standing]) -> Decision:
    """What comes next.

    Args:
        plan: says how long it is watched, and what may not be.
        done_age_ms: how long ago it was done.
        stations: all of the rollout.
    """
    failed = [why for one in stations if (why := against(plan, one))]
    if failed and done_age_ms <= plan.watch_hours * _HOUR_MS:
        return Decision(What.STOP, f"while it was watched: {failed[0]}", withdrawal(stations))
    alarms = [
        why for one in stations if (why := against(plan, one) or failure_of(plan, one) or stands_still(plan, one))
    ]
    said = f"; alarm: {listed(alarms)}" if alarms else ""
    return Decision(What.WAIT, f"{all_through(plan, stations)}{said}")


def against(plan: RolloutPlan, one: Standing) -> str:
    """What a station says against a release that is done; "" for nothing."""
    if has_proven(plan, one):
        return failure_of(plan, replace(one, counts=replace(one.counts, undecided=0)))
    return failure_of(plan, one) or stands_still(plan, one)
