"""Does the classifier's graph say what the network said? Asked on every image that it will be judged by."""

from dataclasses import dataclass

import numpy as np
import openvino as ov
import torch

from models.classifier.calibration import Calibration, Floats, defect_odds, probabilities
from models.classifier.figures import ClassExam
from models.classifying import Classified, classify_images
from models.compile import compile_graph
from models.errors import ModelError
from models.networks.finetuned import ClassNetwork
from models.progress import Progress
from models.scoring import model_input
from models.spec import ModelSpec, Precision
from models.training.finetune.lesson import planes

LIMIT = 0.01
_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class ClassParity:
    """Graph against torch: images looked at, and the largest difference of a score or probability."""

    images: int
    largest: float

    def as_json(self) -> dict[str, object]:
        """Plain values for `--json`."""
        return {"images": self.images, "largest_difference": round(self.largest, 7)}


@dataclass(frozen=True, slots=True, eq=False)
class Judge:
    """What the network's own logits mean: the calibration, and log odds of a defect at the threshold."""

    calibration: Calibration
    threshold: float

    def said(self, logits: Floats) -> Classified:
        """Scores and probabilities of logits (N, K), as the graph makes them."""
        z = self.calibration.apply(logits)
        surest = 1 / (1 + np.exp(self.threshold - defect_odds(z)))
        scores = surest[:, None] * np.exp(z - z.max(1, keepdims=True))
        return Classified(scores.astype(np.float32), probabilities(z).astype(np.float32))


def check_parity(
    network: ClassNetwork, graph: ov.Model, judge: Judge, exam: ClassExam, spec: ModelSpec, progress: Progress
) -> ClassParity:
    """Run both on every image.

    Args:
        network: in torch, on the CPU, in evaluation mode.
        graph: FP32, what was built of it.
        judge: folded into the graph.
        exam: the images.
        spec: of the model.
        progress: told of every image.

    Raises:
        ModelError: a score or probability differs by more than `LIMIT`.
    """
    progress.stage("parity", len(exam))
    theirs = classify_images(compile_graph(graph, Precision.FP32), exam.images, spec)
    mine = judge.said(torch_logits(network, exam, spec, progress))
    apart = np.concatenate([np.abs(mine.scores - theirs.scores), np.abs(mine.probabilities - theirs.probabilities)], 1)
    worst = apart.max(1)
    largest = float(worst.max())
    if not largest <= LIMIT:
        raise ModelError(
            f"export: on {exam.names[int(worst.argmax())]} the graph's answer differs from torch's by {largest:.4f}, "
            f"allowed {LIMIT}: the export is broken; do not use it"
        )
    return ClassParity(len(exam), largest)


@torch.no_grad()
def torch_logits(network: ClassNetwork, exam: ClassExam, spec: ModelSpec, progress: Progress) -> Floats:
    """(N, K): what the network says of each image, letterboxed as on the line."""
    found = []
    for start in range(0, len(exam), _AT_ONCE):
        shown = [model_input(path, spec.inputs[0]) for path in exam.images[start : start + _AT_ONCE]]
        found.append(network(planes(shown)).double().numpy())
        progress.advance(len(shown))
    return np.concatenate(found)
