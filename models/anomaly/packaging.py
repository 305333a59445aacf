"""A chosen candidate becomes a bundle: graphs, self-test frames with their scores, manifest."""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from models.anomaly.bench import Choice, Trial, Workbench
from models.anomaly.threshold import ThresholdProof
from models.bundle import SELFTEST, Bundle, file_entries, write_bundle
from models.claims import PRECISION_NAMES, save_graphs, tools_used
from models.compile import compile_graph
from models.evaluate import auroc
from models.labelled_gate import LabelledResult
from models.letterbox import Image
from models.manifest import (
    AlignmentEntry,
    GateRecord,
    InputEntry,
    Manifest,
    Metrics,
    SelftestEntry,
    SelftestFile,
    Threshold,
)
from models.pose import Pose
from models.scoring import read_image, score_images
from models.spec import InputSpec, Kind, Precision

CLASSES = ("anomaly",)
STEPS: dict[Precision, Literal["ptq", "bf16", "fp32"]] = {
    Precision.FP32: "fp32",
    Precision.INT8: "ptq",
    Precision.BF16: "bf16",
}
_TOLERANCE = 0.02


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a bundle comes from."""

    bundle_id: str
    version: int
    dataset_sha256: str
    created_at: datetime
    parent: str | None = None


def package(scratch: Path, target: Path, bench: Workbench, choice: Choice, origin: Provenance) -> Bundle:
    """Fill the scratch folder and put it in place as `target`, whole or not at all.

    Args:
        scratch: an empty folder on the target's file system.
        target: must not exist.
        bench: what the choice was made by.
        choice: what goes in.
        origin: where it comes from.

    Raises:
        ModelError: the target exists, or what was written does not verify.
    """
    alignment = None if bench.pose is None else _write_reference(scratch, bench.pose)
    save_graphs(scratch, choice.chosen.candidate.graph, choice.trials[Precision.FP32].candidate.graph)
    _write_selftest(scratch, bench, choice)
    return write_bundle(scratch, target, manifest(scratch, bench.spec, choice, origin, alignment))


def manifest(
    scratch: Path, spec: InputSpec, choice: Choice, origin: Provenance, alignment: AlignmentEntry | None = None
) -> Manifest:
    """What the bundle claims of itself, from the files in the scratch folder and the figures of the choice."""
    trials = choice.trials.items()
    return Manifest(
        id=origin.bundle_id,
        kind=Kind.ANOMALY,
        version=origin.version,
        classes=list(CLASSES),
        inputs=[InputEntry.of(spec)],
        precision=choice.precision,
        parent=origin.parent,
        dataset_sha256=origin.dataset_sha256,
        metrics={PRECISION_NAMES[name]: _metrics(trial, synthetic=not choice.labelled) for name, trial in trials},
        thresholds={PRECISION_NAMES[name]: _threshold(trial.candidate.proof) for name, trial in trials},
        gate=_gate(choice),
        alignment=alignment,
        tools=tools_used(),
        created_at=origin.created_at,
        files=file_entries(scratch),
    )


def _write_reference(scratch: Path, pose: Pose) -> AlignmentEntry:
    """The picture that frames are laid on, lossless, and what they must keep to."""
    name, how = "reference.png", pose.how
    _save_frame(scratch / name, pose.reference)
    return AlignmentEntry(max_shift_px=how.max_shift_px, min_correlation=how.min_correlation, reference=name)


def _write_selftest(scratch: Path, bench: Workbench, choice: Choice) -> None:
    """Good frames and one with a defect, as PNG, with the scores that the chosen graph gives these files."""
    folder = (scratch / SELFTEST).parent
    folder.mkdir()
    paths = [_save_frame(folder / name, image) for name, image in _selftest_frames(bench, choice.chosen).items()]
    candidate = choice.chosen.candidate
    compiled = compile_graph(scratch / "model.xml", candidate.precision, threads=bench.threads)
    scores = score_images(compiled, paths, bench.spec, pose=bench.pose).scores
    cases = [
        SelftestEntry(frame=path.name, score=float(score), tolerance=_TOLERANCE)
        for path, score in zip(paths, scores, strict=True)
    ]
    text = json.dumps(SelftestFile(cases=cases).model_dump(), indent=2) + "\n"
    (scratch / SELFTEST).write_text(text, encoding="utf-8")


def _selftest_frames(bench: Workbench, chosen: Trial) -> dict[str, Image]:
    """Two good frames, a moved one for a model with a pose, and the worst of the defective, or a painted one."""
    first, second = (read_image(path) for path in bench.sets.gate[:2])
    moved = {} if bench.pose is None else {"moved1.png": _moved(first, bench.pose)}
    return {"good1.png": first, "good2.png": second, **moved, "defect1.png": _worst(bench, chosen)}


def _worst(bench: Workbench, chosen: Trial) -> Image:
    """Of those that were looked at."""
    bad, said = bench.sets.defective, chosen.defective
    looked = [index for index, place in enumerate(said.places) if place is not None]
    return read_image(bad[max(looked, key=said.scores.__getitem__)]) if bad and looked else bench.defects(1)[0]


def _moved(image: Image, pose: Pose) -> Image:
    """A part as it would lie a third of the limit aside."""
    laid, aside = pose.laid(image), pose.how.max_shift_px / 3
    matrix = np.array([[1, 0, round(aside * 0.8)], [0, 1, -round(aside * 0.6)]], np.float64)
    size = laid.shape[1], laid.shape[0]
    return np.asarray(cv2.warpAffine(laid, matrix, size, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _save_frame(path: Path, image: Image) -> Path:
    """Lossless. Raises OSError, which `cv2.imwrite` swallows: a picture that a full disk cut short reads as another."""
    path.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())
    return path


def _metrics(trial: Trial, *, synthetic: bool) -> Metrics:
    found = auroc(trial.scores.good, trial.scores.defective)
    return Metrics(
        auroc=found.value,
        auroc_low=found.low,
        auroc_high=found.high,
        good_frames=len(trial.scores.good),
        defect_frames=len(trial.scores.defective),
        synthetic=synthetic,
    )


def _threshold(proof: ThresholdProof) -> Threshold:
    return Threshold(
        distance=proof.value,
        target_rate=proof.target_rate,
        confidence=proof.confidence,
        proven_rate=proof.proven_rate,
        held_out=proof.held_out,
        rejected=proof.rejected,
        needed=proof.needed,
    )


def _gate(choice: Choice) -> GateRecord:
    """The answer on INT8, and in `trials` what was tried beside FP32, with the gate's answer and the speed of each."""
    gate = choice.gate
    record = GateRecord(
        step=STEPS[choice.precision],
        trials={STEPS[name]: _said(choice, name) for name in choice.trials},
        outcome=gate.outcome.value,
        reason=gate.reason,
        images=gate.images,
        auroc_drop=gate.drop.value,
        auroc_drop_low=gate.drop.low,
        auroc_drop_high=gate.drop.high,
        budget=gate.budget,
    )
    if isinstance(gate, LabelledResult):
        return record
    low, high = gate.agreement.low, gate.agreement.high
    return record.model_copy(update={"agreement": gate.agreement.value, "agreement_low": low, "agreement_high": high})


def _said(choice: Choice, precision: Precision) -> str:
    speed = f"{choice.speed_ms[precision]:.2f} ms per frame"
    gate = choice.gates.get(precision)
    return speed if gate is None else f"{gate.outcome.value}: {gate.reason}; {speed}"
