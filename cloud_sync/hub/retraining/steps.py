"""What a run does, step by step; each may be done again after a kill and comes to the same.

A step is given the run as the store has it, and keeps what it found out in the store. Later steps, which may run on
another machine, make anew from there what lies in no folder of theirs.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cloud_sync.hub.retraining.runs import Run

Look = Callable[[], None]
"""Called now and then by a step that takes long; raises where it shall give up."""


@dataclass(frozen=True, slots=True)
class Done:
    """A step's end.

    Args:
        found: columns of the run's row; the first is one that the step always fills. What stands there stays.
        no: why the run goes no further, which is no fault; "" where it goes on.
        but: what stands beside the run's good end; "" for nothing.
    """

    found: Mapping[str, object]
    no: str = ""
    but: str = ""


Step = Callable[[Run, Look], Done]


@dataclass(frozen=True, slots=True)
class Steps:
    """What a run consists of, in this order.

    Args:
        snapshot: freezes the labelled data.
        champion: finds the bundle in use, and takes the new one's name.
        train: trains, exports and quantizes, with the INT8 gate inside.
        prove: measures challenger against champion on the frozen hold-out.
        publish: signs and publishes the release.
        roll_out: begins its way to the stations.
    """

    snapshot: Step
    champion: Step
    train: Step
    prove: Step
    publish: Step
    roll_out: Step

    def in_order(self) -> tuple[tuple[str, Step], ...]:
        """Each with its name."""
        return (
            ("snapshot", self.snapshot),
            ("champion", self.champion),
            ("train", self.train),
            ("prove", self.prove),
            ("publish", self.publish),
            ("roll out", self.roll_out),
        )
