"""Does the exported graph say what the network said? Asked on every frame that the model will be judged by."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import openvino as ov
import torch

from models.compile import compile_graph
from models.detecting import IMAGE, REFERENCE, model_inputs
from models.detections import Detections
from models.errors import ModelError
from models.evaluation.exam import Exam
from models.letterbox import Image
from models.progress import Progress
from models.scoring import read_image
from models.spec import Precision
from models.tiling import Tile
from models.training.pictures import planes
from models.training.predict import raw_answers, suppress
from models.training.train import Trained

LIMIT = 0.01
_SURE = 0.1
_SAME_PX = 1.0
_GREEN = slice(1, 2)


@dataclass(frozen=True, slots=True)
class Parity:
    """Export against torch: frames looked at, findings compared, and the largest difference of a score."""

    images: int
    findings: int
    largest: float

    def as_json(self) -> dict[str, object]:
        """Plain values for `--json`."""
        return {"images": self.images, "findings": self.findings, "largest_score_difference": round(self.largest, 7)}


def check_parity(trained: Trained, graph: ov.Model, exam: Exam, progress: Progress) -> Parity:
    """Run both on every frame, letterboxed whole.

    Args:
        trained: the network in torch.
        graph: what was exported of it, its threshold at 0.5.
        exam: the frames.
        progress: told of every frame.

    Raises:
        ModelError: a score differs by more than `LIMIT`, or a finding of 0.1 and more is there only once or of another
            class.
    """
    request = compile_graph(graph, Precision.FP32).create_infer_request()
    progress.stage("parity", len(exam))
    largest, count = 0.0, 0
    for name, inputs in _frames(trained, exam):
        request.infer(inputs)
        boxes, scores, ids = (np.array(request.get_tensor(each).data) for each in ("boxes", "scores", "class_ids"))
        theirs = Detections(boxes, scores, ids)
        found = _torch_findings(trained, inputs)
        apart = max(_apart(found, theirs), _apart(theirs, found))
        if apart > LIMIT:
            raise ModelError(
                f"export: on {name} the graph's scores differ from torch's by {apart:.4f}, allowed {LIMIT}: the export "
                "is broken; do not use it"
            )
        largest, count = max(largest, apart), count + len(found)
        progress.advance()
    return Parity(len(exam), count, largest)


def _frames(trained: Trained, exam: Exam) -> Iterator[tuple[str, dict[str, Image]]]:
    spec = trained.settings.model_spec(exam.classes)
    for index, path in enumerate(exam.images):
        image = read_image(path)
        golden = None if exam.references is None else exam.references[index]
        reference = None if golden is None else read_image(golden)
        inputs, _ = model_inputs(image, reference, Tile(0, 0, image.shape[1], image.shape[0]), spec)
        yield exam.names[index], inputs


def _torch_findings(trained: Trained, inputs: dict[str, Image]) -> Detections:
    pictures = [inputs[name][0] for name in (IMAGE, REFERENCE) if name in inputs]
    if not trained.settings.shape.colour:
        pictures = [np.ascontiguousarray(picture[..., _GREEN]) for picture in pictures]
    pixels = torch.from_numpy(planes(pictures[0], pictures[1] if len(pictures) > 1 else None))
    scores, boxes = raw_answers(trained.network, pixels.permute(2, 0, 1)[None].float() / 255)
    return suppress(scores[0], boxes[0])


def _apart(first: Detections, second: Detections) -> float:
    """The largest difference between a sure finding's score and that of the nearest like it in the other answer."""
    worst = 0.0
    for score, box, class_id in zip(first.scores, first.boxes_xyxy, first.class_ids, strict=True):
        if score < _SURE:
            continue
        near = (np.abs(second.boxes_xyxy - box) <= _SAME_PX).all(1) & (second.class_ids == class_id)
        worst = max(worst, float(np.abs(second.scores[near] - score).min()) if near.any() else float(score))
    return worst
