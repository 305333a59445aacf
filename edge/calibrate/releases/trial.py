"""What good frames, and labelled defects where there are some, showed of a released bundle at this station."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge.calibrate.frames.collect import Collected
from edge.calibrate.frames.defects import DefectFrames
from edge.calibrate.releases.min_score import MinScore, suggest
from edge.decide.recipe import Recipe, decide
from edge.domain.part import Verdict
from edge.infer.engine import Engine
from models.anomaly.threshold import ThresholdProof, prove
from models.detections import FloatArray
from models.errors import AlignmentError
from models.progress import Progress
from models.scoring import read_image
from models.tradeoff import Defects, TradeOff

_ANSWER_S = 30.0


@dataclass(frozen=True, slots=True)
class Looking:
    """How the station looks: engine and recipe; and what is asked of it: overkill rate, confidence, lowest score."""

    engine: Engine
    recipe: Recipe
    target: tuple[float, float]
    score_floor: float


@dataclass(frozen=True, slots=True, eq=False)
class Looked:
    """N frames as the station sees them: highest scores, NaN where a reference did not fit, and verdicts."""

    scores: FloatArray
    verdicts: tuple[Verdict, ...]

    def count(self, verdict: Verdict) -> int:
        """How many got this one."""
        return self.verdicts.count(verdict)


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """Good frames, looked at as the station will.

    Args:
        collected: the frames, and what was refused.
        names: of those that were looked at; what INT8 learned its ranges from is left out.
        scores: (N,) highest score on each frame; NaN where its reference did not fit.
        rejected: how many the recipe rejects.
        misaligned: how many their reference did not fit; the station calls them UNDECIDED, so the line rejects them.
        proof: what that says of the overkill rate, both counted.
        min_score: what would keep the rate that was asked for.
        trade: labelled defects against these good parts; None without any.
    """

    collected: Collected
    names: tuple[str, ...]
    scores: FloatArray
    rejected: int
    misaligned: int
    proof: ThresholdProof
    min_score: MinScore
    trade: TradeOff | None = None


def try_on(
    collected: Collected, paths: Sequence[Path], defects: DefectFrames | None, looking: Looking, progress: Progress
) -> Trial:
    """Look at good frames, and at defects where there are some."""
    good = look("good frames", paths, looking, progress)
    rejected, misaligned = good.count(Verdict.REJECT), good.count(Verdict.UNDECIDED)
    proof = prove(len(paths), rejected + misaligned, *looking.target)
    advice = suggest(good.scores, *looking.target, looking.score_floor)
    names = tuple(path.name for path in paths)
    trade = None if defects is None else trade_off(good, defects, look("defects", defects.paths, looking, progress))
    return Trial(collected, names, good.scores, rejected, misaligned, proof, advice, trade)


def trade_off(good: Looked, defects: DefectFrames, seen: Looked) -> TradeOff:
    """Escapes and overkill by the verdicts of the recipe, whatever the scores."""
    passed = np.array([verdict is Verdict.PASS for verdict in seen.verdicts], np.bool_)
    rejected = np.array([verdict is not Verdict.PASS for verdict in good.verdicts], np.bool_)
    return TradeOff(Defects(defects.names, defects.kinds, seen.scores, passed), good.scores, rejected)


def look(stage: str, paths: Sequence[Path], looking: Looking, progress: Progress) -> Looked:
    """Frames through engine and recipe, as on the line."""
    progress.stage(stage, len(paths))
    scores: list[float] = []
    verdicts: list[Verdict] = []
    for path in paths:
        try:
            found = looking.engine.submit(read_image(path), _ANSWER_S).result(_ANSWER_S)
        except AlignmentError:
            scores.append(float("nan"))
            verdicts.append(Verdict.UNDECIDED)
        else:
            scores.append(found.frame_score)
            verdicts.append(decide(found, looking.engine.spec.classes, looking.recipe)[0])
        progress.advance()
    return Looked(np.array(scores, np.float32), tuple(verdicts))
