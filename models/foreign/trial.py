"""A foreign graph and its head, tried on sample pictures: built, checked, and held against the original."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import openvino as ov

from models.compile import compile_graph
from models.detecting import read_answer
from models.detections import Detections
from models.foreign.anomaly import anomaly_graph
from models.foreign.check import check_answers, check_parity
from models.foreign.check_map import check_map_parity, check_raw, oddities
from models.foreign.detector import detector_graph
from models.foreign.graph import ForeignGraph
from models.foreign.head import AnomalyHead, DetectorHead, Head
from models.foreign.plain import Original, plain_findings, plain_map
from models.letterbox import Placement, placement
from models.scoring import model_input, read_image, score_images
from models.spec import Fit, Kind, ModelSpec, Precision

_SHAPE_APART = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class Tried:
    """A graph of our contract that the samples did not contradict.

    Args:
        graph: FP32.
        spec: its input and classes.
        samples: the picture files.
        found: on each, in its own pixels; an anomaly graph's have a map in the input's grid and no boxes.
        warnings: what may be right, and should be looked at.
    """

    graph: ov.Model
    spec: ModelSpec
    samples: tuple[Path, ...]
    found: tuple[Detections, ...]
    warnings: tuple[str, ...]


def try_head(foreign: ForeignGraph, head: Head, samples: Sequence[Path], advance: Callable[[], None]) -> Tried:
    """Build the graph and judge it by the samples; `advance` is called once for each.

    Raises:
        RequestError: the head does not fit what the graph declares.
        GateError: the head does not fit what the graph answers.
        ModelError: a sample is no picture, or OpenVINO refuses the graph.
    """
    trial = _Trial(foreign, ModelSpec(Kind(head.kind), tuple(head.classes), (foreign.spec,)), tuple(samples), advance)
    if isinstance(head, DetectorHead):
        graph = detector_graph(foreign, head)
        found, warnings = trial.detector(graph, head)
    else:
        graph = anomaly_graph(foreign, head)
        found, warnings = trial.anomaly(graph, head)
    return Tried(graph, trial.spec, trial.samples, tuple(found), (*warnings, *trial.other_shapes()))


@dataclass(frozen=True, slots=True, eq=False)
class _Trial:
    """What is tried, on what."""

    foreign: ForeignGraph
    spec: ModelSpec
    samples: tuple[Path, ...]
    advance: Callable[[], None]

    def detector(self, graph: ov.Model, head: DetectorHead) -> tuple[list[Detections], list[str]]:
        entry, original = self.foreign.spec, Original(self.foreign, head)
        names = tuple(name for name in head.outputs.model_dump().values() if name is not None)
        plain = []
        for sample in self.samples:
            plain.append(plain_findings(original.run(model_input(sample, entry), names), head, entry))
            self.advance()
        warnings = check_answers(plain, head, entry)
        looked = self._look(compile_graph(graph, Precision.FP32))
        check_parity([built for built, _ in looked], plain, head)
        return [framed for _, framed in looked], warnings

    def anomaly(self, graph: ov.Model, head: AnomalyHead) -> tuple[list[Detections], list[str]]:
        entry, original = self.foreign.spec, Original(self.foreign, head)
        names = tuple(name for name in head.outputs.model_dump().values() if name is not None)
        answers = [original.run(model_input(sample, entry), names) for sample in self.samples]
        check_raw(answers, head)
        built = score_images(compile_graph(graph, Precision.FP32), self.samples, entry, self.advance)
        check_map_parity(built, [plain_map(one, head) for one in answers])
        return [Detections.none(one) for one in built.maps], oddities(built.scores)

    def other_shapes(self) -> list[str]:
        """Which frames get bars around them or are stretched, which the network may never have seen."""
        entry = self.foreign.spec
        own = entry.width / entry.height
        shapes = {read_image(sample).shape[:2] for sample in self.samples}
        other = [
            f"{width}x{height}" for height, width in sorted(shapes) if abs(width / height / own - 1) > _SHAPE_APART
        ]
        how = "are stretched" if entry.fit is Fit.STRETCH else f"get bars of grey {entry.pad_value}"
        return [f"frames of {one} are not of the input's shape and {how}: was it trained so?" for one in other[:1]]

    def _look(self, compiled: ov.CompiledModel) -> list[tuple[Detections, Detections]]:
        """Each sample's findings in pixels of the input, and in its own."""
        entry, request, looked = self.foreign.spec, compiled.create_infer_request(), []
        whole = Placement(0, 0, entry.width, entry.height, entry.width, entry.height)
        for sample in self.samples:
            pixels = read_image(sample)
            request.infer({0: model_input(pixels, entry)[None]})
            places = whole, placement(pixels.shape[1], pixels.shape[0], entry)
            built, framed = (read_answer(request, place, len(self.spec.classes)) for place in places)
            looked.append((built, framed))
        return looked
