"""What a calibration might have found, made up: pages and their facts without a model."""

from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
from plates_kit import plate

from edge.calibrate.frames.collect import Collected, Refusal, collect
from edge.calibrate.frames.defects import read_defects
from edge.calibrate.report.facts import ReportFacts
from edge.calibrate.report.identity import Identity
from models.anomaly.bench import Choice, FrameSets, Trial, Workbench
from models.anomaly.fit import Candidate, input_for
from models.anomaly.threshold import choose
from models.gate import judge
from models.progress import SilentProgress
from models.scoring import Scored
from models.spec import Precision

IDENTITY = Identity(
    "plates", "press-3", datetime(2026, 3, 1, tzinfo=UTC), "A CPU", 2, {"openvino": "1"}, (("--seed", "0"),)
)
SPEEDS = {Precision.FP32: 8.0, Precision.INT8: 3.0, Precision.BF16: 4.0}


def made_facts(folder: Path, *, held_out: int = 60, defects: int = 0) -> tuple[ReportFacts, Workbench]:
    """Facts of so many held-out plates and labelled defects, six gate frames, and INT8 that is nearly FP32."""
    good = _write(folder / "good", held_out + 6, 0)
    collected = Collected(collect(good, SilentProgress()).frames, (Refusal("odd <b>.png", "black: mean 1"),))
    paths = tuple(frame.path for frame in collected.frames)
    labelled = None
    if defects:
        _write(folder / "bad" / "dent", defects, 1000)
        labelled = read_defects(folder / "bad")
    sets = FrameSets((), (), paths[:held_out], paths[held_out:])
    sets = sets if labelled is None else sets.with_defects(labelled.paths)
    bench = Workbench(sets, input_for([(180, 140)]), 10, (0.02, 0.95), 0, 1, SilentProgress())
    trials = {name: _trial(sets, shift) for name, shift in zip(SPEEDS, (0.0, 0.004, 0.002), strict=True)}
    gates = {name: judge(trials[Precision.FP32].scores, trials[name].scores) for name in list(trials)[1:]}
    choice = Choice(Precision.INT8, gates[Precision.INT8], trials, SPEEDS, (), (), gates)
    split = {"learn": 0, "threshold": held_out, "gate": 6}
    return ReportFacts("plates", 3, collected, split, choice, False, IDENTITY, None, labelled), bench


def _trial(sets: FrameSets, shift: float) -> Trial:
    random = np.random.default_rng(0)
    distances = random.normal(1, 0.1, len(sets.threshold)).astype(np.float32)
    proof = choose(distances, 0.02, 0.95)
    few, bad = len(sets.few), len(sets.defective) or len(sets.gate)
    judged = _scored(random.uniform(0.4, 0.9, bad) - shift)
    labelled = judged if sets.defective else (_scored(random.uniform(0.4, 0.9, few)) if few else None)
    good = _scored(random.uniform(0.2, 0.4, len(sets.gate)) + shift)
    return Trial(Candidate(Precision.FP32, None, proof, distances), good, judged, labelled)  # type: ignore[arg-type]


def _scored(scores: np.ndarray) -> Scored:
    maps = np.repeat(scores.astype(np.float32)[:, None, None], 64, axis=1).reshape(-1, 8, 8)
    return Scored(scores.astype(np.float32), maps)


def _write(folder: Path, count: int, first: int) -> Path:
    folder.mkdir(parents=True)
    for index in range(count):
        cv2.imwrite(str(folder / f"{index:03}.png"), plate(first + index))
    return folder
