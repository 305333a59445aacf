"""How triage works at one station, and what it counts."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edge.config import StationConfig
from edge.decide.triage import TriageRules
from edge.domain.inspection import Inspection
from edge.domain.sample import SampleReason

Thresholds = Callable[
    [str, str], Mapping[str, float]
]  # by product and camera: from which score a class's finding counts


@dataclass(frozen=True, slots=True)
class TriageSettings:
    """How the desk works.

    Args:
        rules: what is worth a person's look.
        novel_share: of the pictures, those least like the ones before them.
        keeps_samples: whether anything but overrules becomes a sample.
        watches_drift: whether drift is watched.
        drift_path: where what drift is told by is kept.
        pairs: the (product, camera) pairs of the configuration; no other is measured, so that memory is bounded.
    """

    rules: TriageRules
    novel_share: float
    keeps_samples: bool
    watches_drift: bool
    drift_path: Path
    pairs: frozenset[tuple[str, str]]

    @classmethod
    def of(cls, config: StationConfig) -> "TriageSettings":
        """As station.toml says; samples only where there is a cloud, and images go up to it."""
        told = config.triage
        return cls(
            rules=TriageRules(told.per_hour, told.uncertain_within, told.candidate_from, told.audit_share),
            novel_share=told.novel_share,
            keeps_samples=config.sync.broker is not None and config.sync.images != "none" and told.per_hour > 0,
            watches_drift=told.drift,
            drift_path=config.station.data_dir / "drift.json",
            pairs=frozenset((product.id, camera.id) for product in config.product for camera in config.camera),
        )


@dataclass(frozen=True, slots=True)
class Around:
    """What the desk asks of the station.

    Args:
        thresholds: by product and camera, the score from which a finding of each class counts.
        keeps_image: whether an inspection's images stay.
        is_quiet: whether no part is on its way.
    """

    thresholds: Thresholds
    keeps_image: Callable[[Inspection], bool]
    is_quiet: Callable[[], bool] = lambda: True


@dataclass(slots=True)
class TriageCounts:
    """What became of what was handed over in this run.

    Args:
        kept: samples, by each of their reasons.
        refused: views that were worth it, and the budget had no room, by each of their reasons.
        skipped: inspections that came faster than they could be looked at.
        unmeasured: frames whose picture was not measured, because others waited: of these nothing is novel.
        faults: what failed.
    """

    kept: Counter[SampleReason] = field(default_factory=Counter)
    refused: Counter[SampleReason] = field(default_factory=Counter)
    skipped: int = 0
    unmeasured: int = 0
    faults: int = 0
