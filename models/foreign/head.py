"""The head of a foreign graph: a small TOML file that says what its input wants and what its outputs mean.

Nothing is guessed from pixels or values. What the graph states itself (names, sizes, element types) is not asked for,
but checked against what the head says. Unknown keys are refused.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, TypeAdapter, ValidationError, model_validator

from models.errors import ModelError, RequestError
from models.networks.suppression import SUPPRESSION
from models.spec import Fit

Side = Annotated[int, Field(ge=1, le=8192)]
Share = Annotated[float, Field(gt=0, lt=1)]
_MAX_BYTES = 1 << 20


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class PixelInput(_Strict):
    """What the graph wants to see: `(pixel - mean) / scale` per channel, in the order of its own colours.

    Args:
        layout: of the graph's one input.
        colour: channels in the order that the graph takes them; grey is one channel.
        mean: one number for all channels, or one for each; pixels run from 0 to 255.
        scale: likewise.
        height: needed where the graph leaves it open, else equal to the graph's own.
        width: likewise.
        pad_value: grey level around a frame whose shape is not the input's.
        fit: such a frame is letterboxed, or stretched, as the network was trained.
    """

    layout: Literal["NCHW", "NHWC"]
    colour: Literal["rgb", "bgr", "grey"]
    mean: float | list[float] = 0.0
    scale: Annotated[float, Field(gt=0)] | list[Annotated[float, Field(gt=0)]]
    height: Side | None = None
    width: Side | None = None
    pad_value: Annotated[int, Field(ge=0, le=255)] = 114
    fit: Fit = Fit.LETTERBOX

    @property
    def channels(self) -> int:
        """How many the graph takes."""
        return 1 if self.colour == "grey" else 3

    @model_validator(mode="after")
    def _per_channel(self) -> "PixelInput":
        for name, value in (("mean", self.mean), ("scale", self.scale)):
            if isinstance(value, list) and len(value) != self.channels:
                raise ValueError(f"{name} has {len(value)} numbers, and {self.colour} has {self.channels} channels")
        return self


class DetectorOutputs(_Strict):
    """Which outputs hold what, by the graph's own names: `combined`, or `boxes` and `scores` (and `labels`)."""

    combined: str | None = None
    boxes: str | None = None
    scores: str | None = None
    labels: str | None = None

    @model_validator(mode="after")
    def _whole(self) -> "DetectorOutputs":
        apart = self.boxes is not None and self.scores is not None
        some_apart = self.boxes or self.scores or self.labels
        if (self.combined is None) == (not apart) or (self.combined is not None and some_apart):
            raise ValueError("name either combined, or boxes and scores (and labels where scores have no class axis)")
        return self


class DetectorDecode(_Strict):
    """How outputs become boxes in pixels and probabilities.

    Args:
        threshold: raw probability that leaves the bundle as 0.5.
        box_format: cxcywh (centre, size), xyxy (corners), xywh (corner, size), yxyx (corners, y first).
        box_unit: pixels of the graph's input, or shares of its sides.
        activation: what makes probabilities of the scores: none if they are, else sigmoid or softmax.
        order: of `combined` in yolo: one row for each box, (1, N, values), or one for each value, (1, values, N).
        objectness: whether a yolo row is box, objectness, classes; the score is their product.
        background: where softmax, or a label, counts a class that is none.
        strides: of an anchor-free yolo that leaves its grid to the reader, as YOLOX: (x + column) * stride and
            exp(w) * stride; none where boxes come finished.
        max_iou: a box that overlaps a stronger one by more is dropped, whatever its class; 1 keeps all.
        lowest_score: raw probability below which nothing is reported.
    """

    threshold: Share
    box_format: Literal["cxcywh", "xyxy", "xywh", "yxyx"]
    box_unit: Literal["pixels", "normalised"]
    activation: Literal["none", "sigmoid", "softmax"]
    order: Literal["boxes-first", "values-first"] | None = None
    objectness: bool = False
    background: Literal["none", "first", "last"] = "none"
    strides: list[Annotated[int, Field(ge=1)]] = []
    max_iou: Annotated[float, Field(gt=0, le=1)] = SUPPRESSION.max_iou
    lowest_score: Share = SUPPRESSION.min_score

    @model_validator(mode="after")
    def _consistent(self) -> "DetectorDecode":
        if self.lowest_score >= self.threshold:
            raise ValueError(f"lowest_score {self.lowest_score:g} must be below threshold {self.threshold:g}")
        if self.strides and (self.box_format, self.box_unit) != ("cxcywh", "pixels"):
            raise ValueError("strides go with box_format 'cxcywh' and box_unit 'pixels': that is what they give")
        return self


class DetectorHead(_Strict):
    """A detector: yolo, ssd or detr, by what its outputs look like."""

    kind: Literal["detector"]
    style: Literal["yolo", "ssd", "detr"]
    classes: Annotated[list[str], Field(min_length=1)]
    input: PixelInput
    outputs: DetectorOutputs
    decode: DetectorDecode

    @property
    def decoded_ssd(self) -> bool:
        """Whether rows are [image_id, label, confidence, x1, y1, x2, y2], as OpenVINO's DetectionOutput gives."""
        return self.style == "ssd" and self.outputs.combined is not None

    @property
    def columns(self) -> int:
        """Scores for each box where they have a class axis."""
        return len(self.classes) + (self.decode.background != "none")

    @model_validator(mode="after")
    def _suits_style(self) -> "DetectorHead":
        if complaint := _complaint(self):
            raise ValueError(complaint)
        return self


class AnomalyOutputs(_Strict):
    """The map, (h, w) after leading ones; and the score, where the graph's own is not the map's highest value."""

    map: str
    score: str | None = None


class AnomalyDecode(_Strict):
    """Where 0.5 lies, and on what scale the raw values are.

    Args:
        threshold: raw value that becomes 0.5; of the score where one is named, else of the map.
        values: distance (0 and up, becomes d / (d + threshold)), probability (0 to 1) or logit (any number).
    """

    threshold: float
    values: Literal["distance", "probability", "logit"]

    @model_validator(mode="after")
    def _on_scale(self) -> "AnomalyDecode":
        if self.values == "distance" and self.threshold <= 0:
            raise ValueError(f"a distance's threshold is above 0, got {self.threshold:g}")
        if self.values == "probability" and not 0 < self.threshold < 1:
            raise ValueError(f"a probability's threshold lies between 0 and 1, got {self.threshold:g}")
        return self


class AnomalyHead(_Strict):
    """A graph that says how unlike a good part each place is."""

    kind: Literal["anomaly"]
    classes: Annotated[list[str], Field(min_length=1, max_length=1)] = ["anomaly"]
    input: PixelInput
    outputs: AnomalyOutputs
    decode: AnomalyDecode


Head = DetectorHead | AnomalyHead
_HEAD: TypeAdapter[Head] = TypeAdapter(Annotated[Head, Discriminator("kind")])


def read_head(path: Path) -> Head:
    """The head that this file declares.

    Raises:
        ModelError: the file cannot be read.
        RequestError: no TOML, an unknown key, or values that contradict one another.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(_MAX_BYTES + 1)
    except OSError as fault:
        raise ModelError(f"import: cannot read the head {path}: {fault.strerror}: name the file with --head") from fault
    if len(raw) > _MAX_BYTES:
        raise RequestError(f"import: {path} is larger than {_MAX_BYTES} bytes: no head is")
    try:
        return _HEAD.validate_python(tomllib.loads(raw.decode()))
    except ValidationError as fault:
        raise RequestError(f"import: {path}: {'; '.join(_explained(fault))}: see the README's example") from fault
    except (ValueError, RecursionError) as fault:  # no UTF-8, no TOML, a number of 5,000 digits, 1,000 brackets
        raise RequestError(f"import: {path} is no TOML: {fault}") from fault


def _explained(fault: ValidationError) -> list[str]:
    lines = []
    for detail in fault.errors():
        where = ".".join(str(step) for step in detail["loc"] if step not in {"detector", "anomaly"}) or "the head"
        got = "" if detail["type"] in {"missing", "value_error"} else f", got {detail['input']!r:.80}"
        unknown = detail["type"] == "extra_forbidden"
        lines.append(f"unknown key {where!r}" if unknown else f"{where}: {detail['msg']}{got}")
    return lines


def _complaint(head: DetectorHead) -> str | None:
    """What a style cannot be combined with."""
    how, named = head.decode, head.outputs
    if len(set(head.classes)) != len(head.classes):
        return f"classes names one twice: {head.classes}"
    rows_of_yolo = head.style == "yolo" and named.combined is not None
    wrong = {
        "a detr has no combined output: name boxes and scores": head.style == "detr" and named.combined is not None,
        "a yolo's combined output needs decode.order": rows_of_yolo and how.order is None,
        "order is for a yolo's combined output": not rows_of_yolo and how.order is not None,
        "objectness is for a yolo's combined output": not rows_of_yolo and how.objectness,
        "strides are for yolo": head.style != "yolo" and bool(how.strides),
        "a yolo has no background, and no softmax": head.style == "yolo"
        and (how.background, how.activation == "softmax") != ("none", False),
        "labels are for ssd": head.style != "ssd" and named.labels is not None,
        "finished rows hold corners and probabilities: set box_format 'xyxy', activation 'none'": head.decoded_ssd
        and (how.box_format, how.activation) != ("xyxy", "none"),
        "with labels, scores are one for each box: activation 'none' or 'sigmoid'": named.labels is not None
        and how.activation == "softmax",
        "labels count background first or not at all": (named.labels is not None or head.decoded_ssd)
        and how.background == "last",
    }
    return next((text for text, holds in wrong.items() if holds), None)
