"""From a fitted graph to a bundle: ladder, figures, page; the same for probe, finetune and re-quantizing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from models.bundle import Bundle
from models.classifier.figures import ClassExam, ClassFigures, class_exam, measure
from models.classifier.ladder import ClassChoice, ClassLadder, ClassStep
from models.classifier.packaging import Classifier, ClassOrigin, write_classifier
from models.classifier.page import class_page
from models.classifying import framed_maps, read_classes
from models.compile import compile_graph
from models.dataset.records import Dataset
from models.dataset.splits import Splits
from models.detections import FloatArray
from models.evaluation.scored_page import PageHead, ScoredPage, write_scored_page
from models.gate import Outcome
from models.letterbox import placement
from models.progress import Progress
from models.scoring import model_input, read_image
from models.spec import InputSpec, Kind, ModelSpec

_FRAMES = 512
_PAD = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class MadeClassifier:
    """What came of it: the bundle, what is in it, and facts for `--json` on how it was made."""

    bundle: Bundle
    classifier: Classifier
    splits: Splits
    about: dict[str, object]

    def as_json(self) -> dict[str, object]:
        """Plain values for `--json`."""
        choice, own = self.classifier.choice, self.bundle
        return {
            "bundle": str(own.path),
            "id": own.model_id.id,
            "version": own.model_id.version,
            "sha256": own.model_id.sha256,
            "kind": Kind.CLASSIFIER.value,
            "precision": choice.chosen.precision.value,
            "step": choice.chosen.step.value,
            "gate": own.manifest.gate.model_dump(exclude_none=True),
            "figures": self.classifier.own.as_json(),
            "fp32": self.classifier.figures[choice.trials[0].step].as_json(),
            "speed_ms": {step.value: round(value, 3) for step, value in choice.speed_ms.items()},
            "split": {"by": self.splits.by, "groups": self.splits.groups, **{n: len(p) for n, p in self.splits}},
            "dataset_sha256": own.manifest.dataset_sha256,
            **self.about,
        }

    @property
    def lines(self) -> Sequence[str]:
        """What the command says without `--json`."""
        gate = self.bundle.manifest.gate
        return (
            f"bundle {self.bundle.path}: {self.bundle.precision.value}, gate {gate.outcome} ({gate.reason})",
            *self.classifier.own.lines,
            f"report: {self.bundle.path / 'report.html'}",
        )


@dataclass(frozen=True, slots=True, eq=False)
class Making:
    """What a fitted graph is made into: where, of which splits, how it came about (rows for the page, JSON)."""

    target: Path
    splits: Splits
    origin: ClassOrigin
    story: Sequence[tuple[str, str]]
    about: dict[str, object]
    seed: int = 0


def make_bundle(graph: ov.Model, spec: ModelSpec, making: Making, progress: Progress) -> MadeClassifier:
    """Take the FP32 graph through the gate and write the bundle.

    Raises:
        ModelError: the target exists, the graph is refused, or the test images cannot show a loss.
    """
    exam = class_exam(making.splits.test)
    ladder = ClassLadder(spec, quantization_frames(making.splits.train, spec, making.seed), exam, progress)
    choice = ladder.climb(graph)
    classifier = Classifier(spec, choice, _figures(exam, choice, making.origin))
    page = _page(classifier, making)
    bundle = write_classifier(making.target, classifier, making.origin, lambda path: write_scored_page(path, page))
    return MadeClassifier(bundle, classifier, making.splits, making.about)


def quantization_frames(train: Dataset, spec: ModelSpec, seed: int) -> list[NDArray[np.uint8]]:
    """Up to 512 images by chance, as the graph takes them."""
    chosen = np.random.default_rng(seed).permutation(len(train))[:_FRAMES]
    return [model_input(train.images[int(index)].path, spec.inputs[0]) for index in chosen]


def input_for(dataset: Dataset, size_px: int | None, most_px: int) -> InputSpec:
    """The images' own size in multiples of 32, no longer than `most_px`; or of that longer side if it is asked for."""
    height, width = (
        float(np.median([getattr(image, side) for image in dataset.images])) for side in ("height", "width")
    )
    scale = (size_px or min(most_px, max(height, width))) / max(height, width)
    sides = [max(32, int(np.ceil(side * scale / 32 - _PAD)) * 32) for side in (height, width)]
    return InputSpec("image", sides[0], sides[1])


def map_reader(compiled: ov.CompiledModel, spec: ModelSpec) -> Callable[[Path], FloatArray]:
    """What gives an image's map (h, w), over all classes, cut to the image's own area."""
    request = compiled.create_infer_request()

    def read(path: Path) -> FloatArray:
        image = read_image(path)
        place = placement(image.shape[1], image.shape[0], spec.inputs[0])
        request.infer({0: model_input(image, spec.inputs[0])[None]})
        heat = framed_maps(read_classes(request, len(spec.classes)), place, spec).max(0)
        down, right = heat.shape[0] / spec.inputs[0].height, heat.shape[1] / spec.inputs[0].width
        rows = slice(int(place.top * down), max(1, round((place.top + place.height) * down)))
        columns = slice(int(place.left * right), max(1, round((place.left + place.width) * right)))
        return np.ascontiguousarray(heat[rows, columns])

    return read


def _figures(exam: ClassExam, choice: ClassChoice, origin: ClassOrigin) -> dict[ClassStep, ClassFigures]:
    return {trial.step: measure(exam, trial.said, origin.calibration) for trial in choice.trials}


def _page(classifier: Classifier, making: Making) -> ScoredPage:
    choice, found, origin = classifier.choice, classifier.own, making.origin
    rows = [
        (
            str(trial.step),
            f"{choice.speed_ms[trial.step]:.2f}",
            f"{classifier.figures[trial.step].auroc}",
            "" if trial.gate is None else f"{trial.gate.outcome}: {trial.gate.reason}",
        )
        for trial in choice.trials
    ]
    gate = choice.chosen.gate
    fine = gate is not None and gate.outcome is Outcome.PASSED
    compiled = compile_graph(choice.chosen.graph, choice.chosen.precision)
    title = f"{origin.bundle_id} v{origin.version}: classifier"
    head = PageHead(title, _headline(choice), fine, making.story)
    return class_page(head, found, map_reader(compiled, classifier.spec), rows)


def _headline(choice: ClassChoice) -> str:
    gate, how = choice.chosen.gate, f"{choice.chosen.precision} by {choice.chosen.step}"
    if gate is None:
        return "FP32 runs: no faster precision passed the gate."
    if gate.outcome is Outcome.PASSED:
        return f"{how} passed its gate: {gate.metric} drops by {gate.drop}."
    return f"{how} is used; its gate is not proven: {gate.images} images are too few."
