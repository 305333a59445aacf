"""What tests of triage need: a desk on a real recorder, and frames whose score is known."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from edge_kit import MODEL, NOW, Collected, detections, frame, part
from edge_rows import rows
from station_kit import GREY, good_frame

from edge.decide.triage import TriageRules
from edge.domain.frame import Image
from edge.domain.inspection import Committed, FrameInfo, Inspection, View
from edge.domain.part import Verdict
from edge.health import Health
from edge.record.recorder import Recorder
from edge.record.upload_choice import UploadRule
from edge.triage.desk import TriageDesk
from edge.triage.settings import Around, TriageSettings

STATION = "test-1"


def scored(score: float, size: tuple[int, int] = (80, 60), seed: int = 0) -> Image:
    """A frame of which the blob graph says about this score."""
    shown = good_frame(size, seed)
    shown[20:40, 30:50] = GREY + round(64 * score / (1 - score))
    return shown


def seen(score: float, *, camera: str = "top", count: int = 1, label: str = "anomaly") -> View:
    """What a model made of a frame: so many findings of this score."""
    found = detections(*((1, 1, 9, 9, score) for _ in range(count)))
    verdict = Verdict.REJECT if score >= 0.5 else Verdict.PASS
    reasons = (f"{label}:{count}",) if verdict is Verdict.REJECT else ()
    return View(camera, verdict, reasons, FrameInfo(1, NOW, ""), found, (label,), MODEL)


class Desk:
    """A desk, its recorder, and what it wrote."""

    def __init__(self, folder: Path, per_hour: int = 60, *, keeps_image: bool = True) -> None:
        self.path = folder / "station.db"
        self.health = Health()
        self.noticed = Collected()
        self.drifted = Collected()
        self.thresholds: Mapping[str, Mapping[str, float]] = {"blob": {"anomaly": 0.5}}
        self._committed = Collected()
        self._count = 0
        self.recorder = Recorder(
            STATION,
            self.path,
            keeps_image=lambda _inspection: True,
            on_committed=self._committed,
            on_unrecorded=lambda _inspection: None,
            on_storage=lambda _works, _why: None,
            uploads=UploadRule("not_pass"),
        )
        rules = TriageRules(per_hour=per_hour, audit_share=0.0)
        pairs = frozenset({("blob", "top")})
        self.desk = TriageDesk(
            TriageSettings(rules, 0.02, True, True, folder / "drift.json", pairs),
            self.recorder,
            self.health,
            Around(lambda product, _camera: self.thresholds[product], lambda _inspection: keeps_image),
            on_sample=lambda: self.noticed("sample"),
            on_drift=lambda: self.drifted("drift"),
        )

    def inspect(self, *views: View, part_id: str = "", master: str = "") -> Committed:
        """One more inspection, on disk."""
        self._count += 1
        of = replace(part(part_id or f"p-{self._count}"), master=master)
        self.recorder.record(Inspection(of, views, (), "1", {}), (frame(self._count),))
        made, _ = self._committed.wait_for(self._count)[-1]
        assert isinstance(made, Committed)
        return made

    def consider(self, *views: View, **more: str) -> Committed:
        """The same, and handed over with its frame."""
        made = self.inspect(*views, **more)
        self.desk.consider(made, (frame(self._count),))
        return made

    def finish(self) -> None:
        """All that was handed over is dealt with; the desk ends."""
        self.desk.stop(10)


@contextmanager
def desk(folder: Path, per_hour: int = 60, *, starts: bool = True, keeps_image: bool = True) -> Iterator[Desk]:
    """A running desk."""
    made = Desk(folder, per_hour, keeps_image=keeps_image)
    made.recorder.start()
    if starts:
        made.desk.start()
    try:
        yield made
    finally:
        made.finish()
        made.recorder.stop(10)


def samples(path: Path) -> list[dict[str, Any]]:
    """The sample records of a station, in their order."""
    found = rows(path, "SELECT payload FROM records WHERE stream = 'samples' ORDER BY seq")
    return [json.loads(str(payload, "utf-8")) for (payload,) in found]  # type: ignore[call-overload]


def reasons(path: Path) -> list[list[str]]:
    """Of each sample, why."""
    return [sample["reasons"] for sample in samples(path)]


def write_picture(path: Path, image: np.ndarray[Any, Any]) -> None:
    """A frame for a replayed camera."""
    import cv2

    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)
