"""What comes of a run, by the val images alone: the trained network or its start, calibration, threshold, the graph."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import openvino as ov
from torch import nn

from models.classifier.calibration import Calibration, best_odds, defect_odds, fit_calibration, log_loss, logits_of
from models.classifier.figures import ClassExam, class_exam
from models.classifier.probe import STAGES, read_features
from models.classifying import classify_images
from models.compile import compile_graph
from models.dataset.errors import DatasetError
from models.dataset.image_level import GOOD, labels_of
from models.dataset.records import Dataset
from models.dataset.splits import Splits
from models.errors import ModelError
from models.evaluate import auroc
from models.networks.backbone import features, image_input
from models.networks.classes import LinearHead, class_outputs
from models.networks.finetuned import ClassNetwork
from models.networks.weights import Weights
from models.progress import Progress
from models.spec import ModelSpec, Precision
from models.training.finetune.lesson import Classification
from models.training.finetune.parity import Judge

_USUAL = 128
_ENOUGH = 2


@dataclass(frozen=True, slots=True, eq=False)
class Tried:
    """A network on the val images, calibrated by them: mean log loss, and AUROC where there are two of each."""

    network: ClassNetwork
    judge: Judge
    log_loss: float
    auroc: float | None

    def as_json(self) -> dict[str, float | None]:
        """Plain values for `--json`."""
        return {"log_loss": round(self.log_loss, 5), "auroc": None if self.auroc is None else round(self.auroc, 5)}


@dataclass(frozen=True, slots=True, eq=False)
class Settled:
    """What will go into the bundle.

    Args:
        kept: name of the one with the lower log loss.
        tried: by name: the `trained` network, and its `start`.
        graph: of the kept one, FP32, calibration and threshold folded in.
    """

    kept: str
    tried: Mapping[str, Tried]
    graph: ov.Model

    @property
    def network(self) -> ClassNetwork:
        """The kept one, in torch."""
        return self.tried[self.kept].network

    @property
    def judge(self) -> Judge:
        """What its logits mean."""
        return self.tried[self.kept].judge


def settle(lesson: Classification, network: nn.Module, splits: Splits, spec: ModelSpec, progress: Progress) -> Settled:
    """Look at the val images with the trained network and with its start, and keep the better.

    Args:
        lesson: what was learned; makes the start again.
        network: what came of it.
        splits: val chooses; train says what a usual good image is.
        spec: of the model.
        progress: told of every image.

    Raises:
        ModelError: the network is none of ours, or an image cannot be read.
    """
    if not isinstance(network, ClassNetwork):
        raise ModelError(f"finetune: expected a classifier's network, got {type(network).__name__}")
    exam = class_exam(splits.val)
    progress.stage("settle", 2 * len(exam))
    tried = {
        name: _try(one, exam, spec, progress) for name, one in (("trained", network), ("start", lesson.begin().eval()))
    }
    kept = min(tried, key=lambda name: tried[name].log_loss)
    return Settled(kept, tried, _graph_of(tried[kept], splits.train, spec))


def class_graph(weights: Weights, spec: ModelSpec, head: LinearHead) -> ov.Model:
    """The whole model, FP32. Raises ModelError if the head was made for another backbone."""
    own = spec.inputs[0]
    image = image_input(own.height, own.width, own.name)
    return ov.Model(class_outputs(features(weights, image, STAGES), head), [image], "finetune")


def check_val(exam: ClassExam) -> None:
    """Whether a threshold can be set by val. Raises DatasetError where it lacks good or defective images."""
    bad = int(exam.defective.sum())
    if min(bad, len(exam) - bad) < _ENOUGH:
        raise DatasetError(
            f"finetune: val holds {len(exam) - bad} good and {bad} defective images, and the threshold wants {_ENOUGH} "
            "or more of each: give more images, or divide otherwise (--split-by twins)"
        )


def _try(network: ClassNetwork, exam: ClassExam, spec: ModelSpec, progress: Progress) -> Tried:
    nothing = np.zeros(network.mean.shape[0], np.float32)
    graph = class_graph(network.weights(), spec, network.linear_head(nothing))
    said = classify_images(compile_graph(graph, Precision.FP32), exam.images, spec, progress.advance)
    logits = logits_of(said.probabilities.astype(np.float64))
    calibration = fit_calibration(logits, exam.labels)
    z, bad = calibration.apply(logits), exam.defective
    odds = defect_odds(z)
    enough = min(int(bad.sum()), int((~bad).sum())) >= _ENOUGH
    judge = Judge(calibration, best_odds(odds, bad))
    return Tried(network, judge, log_loss(z, exam.labels), auroc(odds[~bad], odds[bad]).value if enough else None)


def _graph_of(chosen: Tried, train: Dataset, spec: ModelSpec) -> ov.Model:
    weights = chosen.network.weights()
    good = [image.path for image, label in zip(train.images, labels_of(train), strict=True) if label == GOOD]
    usual = read_features(weights, spec.inputs[0], good[:_USUAL]).mean((0, 1))
    return class_graph(
        weights, spec, _judged(chosen.network.linear_head(usual), chosen.judge.calibration, chosen.judge.threshold)
    )


def _judged(head: LinearHead, calibration: Calibration, threshold: float) -> LinearHead:
    """The head with these folded in."""
    weights = (calibration.scale * head.weights).astype(np.float32)
    bias = calibration.apply(head.bias[None].astype(np.float64))[0].astype(np.float32)
    return LinearHead(weights, bias, head.centre, threshold)
