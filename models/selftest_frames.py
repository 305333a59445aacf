"""What a bundle's self-test is made of: frames that tell whether the graph still answers as it did."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from models.bundle import SELFTEST
from models.detections import Detections
from models.evaluation.operating import THRESHOLD, above
from models.manifest import FindingEntry, SelftestEntry, SelftestFile

_TOLERANCE = 0.05
_FRAMES = 3


def telling(found: Sequence[Detections], judged: Iterable[int]) -> list[int]:
    """Which of these frames have the surest findings, and one without any if there is one; three at most."""
    order = sorted(judged, key=lambda index: -_weakest(found[index]))
    empty = [index for index in order if not len(above(found[index], THRESHOLD))]
    return list(dict.fromkeys([*order[: _FRAMES - 1], *empty[-1:]]))


def expected_findings(frame: Path, found: Detections, reference: Path | None = None) -> SelftestEntry:
    """A detector's frame, and what is found on it clearly above the threshold."""
    counted = above(found, THRESHOLD + _TOLERANCE)
    findings = [
        FindingEntry(box_xyxy=[float(value) for value in box], score=float(score), class_id=int(class_id))
        for box, score, class_id in zip(counted.boxes_xyxy, counted.scores, counted.class_ids, strict=True)
    ]
    name = None if reference is None else reference.name
    return SelftestEntry(
        frame=frame.name, score=found.frame_score, tolerance=_TOLERANCE, reference=name, findings=findings
    )


def write_expected(scratch: Path, cases: list[SelftestEntry]) -> None:
    """The self-test's list, in a bundle's folder; its frames lie beside it."""
    text = json.dumps(SelftestFile(cases=cases).model_dump(), indent=2) + "\n"
    (scratch / SELFTEST).write_text(text, encoding="utf-8")


def _weakest(found: Detections) -> float:
    """The weakest finding that counts: a frame is steady if that is far from the threshold."""
    counted = above(found, THRESHOLD)
    return float(counted.scores.min()) if len(counted) else 0.0
