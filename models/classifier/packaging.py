"""A fitted or re-quantized classifier as a bundle: graphs, manifest with its proofs, self-test and report."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import cv2
import numpy as np

from models.bundle import SELFTEST, Bundle, file_entries, write_bundle
from models.claims import PRECISION_NAMES, ladder_record, rate_of, save_graphs, tools_used
from models.classifier.calibration import Calibration
from models.classifier.figures import ClassFigures
from models.classifier.ladder import ClassChoice, ClassStep
from models.classifying import classify_images
from models.compile import compile_graph
from models.manifest import (
    ClassifierMetrics,
    ClassifierThreshold,
    InputEntry,
    Manifest,
    Rate,
    SelftestEntry,
    SelftestFile,
)
from models.scoring import read_image
from models.scratch import MAKING, scratch_folder
from models.spec import Kind, ModelSpec

_TOLERANCE = 0.05
_SURE, _UNSURE = 2, 1


@dataclass(frozen=True, slots=True, eq=False)
class ClassOrigin:
    """Where a classifier comes from: name, data, calibration and threshold, and the bundle it was made from, if any."""

    bundle_id: str
    version: int
    dataset_sha256: str
    created_at: datetime
    threshold: ClassifierThreshold
    parent: str | None = None

    @property
    def calibration(self) -> Calibration:
        """What is folded into the graph."""
        return calibration_of(self.threshold)


@dataclass(frozen=True, slots=True, eq=False)
class Classifier:
    """What goes into the bundle: its spec, the ladder's choice, and the figures by step."""

    spec: ModelSpec
    choice: ClassChoice
    figures: dict[ClassStep, ClassFigures]

    @property
    def own(self) -> ClassFigures:
        """Of the precision that will run."""
        return self.figures[self.choice.chosen.step]


def write_classifier(
    target: Path, classifier: Classifier, origin: ClassOrigin, report: Callable[[Path], None]
) -> Bundle:
    """The bundle as `target`, whole or not at all.

    Args:
        target: must not exist.
        classifier: what goes in.
        origin: where it comes from.
        report: writes the report to the path it is given.

    Raises:
        ModelError: the target exists, or what was written does not verify.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    choice = classifier.choice
    with scratch_folder(target.parent, MAKING) as scratch:
        save_graphs(scratch, choice.chosen.graph, choice.trials[0].graph)
        _write_selftest(scratch, classifier)
        report(scratch / "report.html")
        return write_bundle(scratch, target, _manifest(scratch, classifier, origin))


def calibration_of(threshold: ClassifierThreshold) -> Calibration:
    """What a manifest says of it."""
    return Calibration(threshold.scale, np.array(threshold.shifts))


def _manifest(scratch: Path, classifier: Classifier, origin: ClassOrigin) -> Manifest:
    spec, choice = classifier.spec, classifier.choice
    used = {trial.step: trial for trial in (choice.trials[0], choice.chosen)}
    return Manifest(
        id=origin.bundle_id,
        kind=Kind.CLASSIFIER,
        version=origin.version,
        classes=list(spec.classes),
        inputs=[InputEntry.of(one) for one in spec.inputs],
        precision=choice.chosen.precision,
        parent=origin.parent,
        dataset_sha256=origin.dataset_sha256,
        metrics={PRECISION_NAMES[trial.precision]: _metrics(classifier.figures[step]) for step, trial in used.items()},
        thresholds={PRECISION_NAMES[trial.precision]: origin.threshold for trial in used.values()},
        gate=ladder_record(choice.trials, choice.chosen, boxes=False),
        tools=tools_used(),
        created_at=origin.created_at,
        files=file_entries(scratch),
    )


def _metrics(found: ClassFigures) -> ClassifierMetrics:
    return ClassifierMetrics(
        auroc=rate_of(found.auroc) or Rate(value=0.5, low=0, high=1),
        auroc_by_class=found.auroc_by_class,
        accuracy=Rate(value=found.accuracy.value, low=found.accuracy.low, high=found.accuracy.high),
        balanced_accuracy=found.balanced_accuracy,
        ece=found.ece,
        images=len(found.exam),
        defective_images=int(found.exam.defective.sum()),
        escape=rate_of(found.escape),
        overkill=rate_of(found.overkill),
    )


def _write_selftest(scratch: Path, classifier: Classifier) -> None:
    """Images of the exam, as PNG, with what the chosen graph says of these very files."""
    folder = (scratch / SELFTEST).parent
    folder.mkdir(parents=True)
    frames = []
    for number, index in enumerate(telling_images(classifier.own), 1):
        frames.append(folder / f"frame{number}.png")
        cv2.imwrite(str(frames[-1]), read_image(classifier.own.exam.images[index]))
    compiled = compile_graph(scratch / "model.xml", classifier.choice.chosen.precision)
    said = classify_images(compiled, frames, classifier.spec)
    cases = [
        SelftestEntry(frame=frame.name, score=float(scores.max()), tolerance=_TOLERANCE, scores=scores.tolist())
        for frame, scores in zip(frames, said.scores, strict=True)
    ]
    text = json.dumps(SelftestFile(cases=cases).model_dump(exclude_none=True), indent=2) + "\n"
    (scratch / SELFTEST).write_text(text, encoding="utf-8")


def telling_images(found: ClassFigures) -> list[int]:
    """The images most surely defective and good, so that a damaged graph cannot answer both as expected."""
    order = np.argsort(found.said.frame_scores, kind="stable")
    return list(dict.fromkeys([*order[-_SURE:].tolist(), *order[:_UNSURE].tolist()]))
