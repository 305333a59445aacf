"""What came of a calibration."""

from dataclasses import asdict, dataclass
from pathlib import Path

from edge.calibrate.frames.collect import MISALIGNED, Refusal
from edge.calibrate.pictures import LearnedChecks
from edge.calibrate.trials import Found
from models.anomaly.bench import AnyGate
from models.anomaly.threshold import ThresholdProof
from models.spec import ModelId, Precision
from models.tradeoff import TradeOff


@dataclass(frozen=True, slots=True)
class CalibrationResult:
    """What came of it.

    `left_out` names good frames that were not learned from because they look like no other, `doubtful` such among
    those that set the threshold: they count, because a proof may not choose its frames, and should be looked at.
    """

    bundle: Path
    model_id: ModelId
    threshold: ThresholdProof
    gate: AnyGate
    refused: tuple[Refusal, ...]
    left_out: tuple[str, ...]
    doubtful: tuple[str, ...]
    split: dict[str, int]
    speed_ms: dict[str, float]
    activated: bool
    seconds: dict[str, float]
    tried: Found
    advice: str = ""
    checks: LearnedChecks | None = None
    trade: TradeOff | None = None
    reused: tuple[str, ...] = ()

    @property
    def report(self) -> Path:
        """The page a person reads."""
        return self.bundle / "report.html"

    @property
    def misaligned(self) -> int:
        """Good frames that cannot be laid on the reference; the overkill that is proven does not count them."""
        return sum(refusal.word == MISALIGNED for refusal in self.refused)

    @property
    def precision(self) -> Precision:
        """What the gate let through."""
        return self.model_id.precision

    def as_json(self) -> dict[str, object]:
        """Plain values for `--json`."""
        plain = {"model_id": asdict(self.model_id), "threshold": asdict(self.threshold), "gate": asdict(self.gate)}
        return {
            **plain,
            "bundle": str(self.bundle),
            "report": str(self.report),
            "split": self.split,
            "speed_ms": self.speed_ms,
            "activated": self.activated,
            "seconds": self.seconds,
            "reused": list(self.reused),
            "advice": self.advice,
            "against": self.tried.against,
            "escapes": None if self.trade is None else self.trade.as_json(),
            **{section.slot.value: section.json for section in self.tried.sections},
            "left_out": list(self.left_out),
            "doubtful": list(self.doubtful),
            "refused": [refusal.as_json() for refusal in self.refused],
            "checks": None if self.checks is None else self.checks.as_json(),
        }
