"""What the page is told: everything a calibration found, and what other stages add."""

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from edge.calibrate.frames.collect import Collected
from edge.calibrate.frames.defects import DefectFrames
from edge.calibrate.pictures import LearnedChecks
from edge.calibrate.report.identity import Identity
from models.anomaly.bench import Choice, Trial
from models.anomaly.threshold import ThresholdProof
from models.tradeoff import TradeOff, at_threshold


class Slot(StrEnum):
    """Where another stage's section stands, in the order of the page."""

    COLLECT = "collect"
    POSE = "pose"
    SPEED = "speed"
    REPEATABILITY = "repeatability"
    MASTERS = "masters"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class ExtraSection:
    """A part of the page that its own stage has made.

    Args:
        slot: where it goes; several of one slot keep the order they are given in.
        title: plain text.
        html: its body; whoever makes it escapes what it shows.
        json: the same facts, plain values.
        unproven: sentences for the list of what was not proven.
    """

    slot: Slot
    title: str
    html: str
    json: dict[str, object]
    unproven: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class ReportFacts:
    """What a calibration found.

    Args:
        bundle_id: of the bundle in the making.
        version: of it.
        collected: the good frames, and what was refused.
        split: how many of them have which use.
        choice: the workbench's.
        fast: whether only a first look was asked for.
        identity: what the figures belong to.
        checks: the camera's, if they were learned.
        defects: labelled ones, in the order that the workbench was given them.
        parent: digest of the bundle it was made from, if any.
        against: why it does not become active; empty where nothing speaks against it.
        weighed: escapes and overkill by the verdicts of the product's recipe; None: the model's threshold alone.
        by_recipe: the overkill that a recipe proves which asks for less than the model's threshold; else None.
    """

    bundle_id: str
    version: int
    collected: Collected
    split: dict[str, int]
    choice: Choice
    fast: bool
    identity: Identity
    checks: LearnedChecks | None = None
    defects: DefectFrames | None = None
    parent: str | None = None
    against: str = ""
    weighed: TradeOff | None = None
    by_recipe: ThresholdProof | None = None

    @property
    def title(self) -> str:
        """The bundle's name."""
        return f"{self.bundle_id} v{self.version}"

    @property
    def chosen(self) -> Trial:
        """What runs."""
        return self.choice.chosen

    @cached_property
    def trade(self) -> TradeOff | None:
        """Labelled defects against the gate's good parts; None without labels.

        Those that set the threshold are not among them: how many of these are rejected was chosen, not found.
        """
        found = self.chosen.labelled
        if self.defects is None or found is None or self.weighed is not None:
            return self.weighed
        return at_threshold(self.defects.names, self.defects.kinds, found.scores, self.chosen.good.scores)
