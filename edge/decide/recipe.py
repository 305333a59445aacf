"""From detections to a verdict, by rules that people wrote. Pure."""

import sys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.domain.errors import ConfigError
from edge.domain.part import Verdict
from models.detections import Detections, FloatArray
from models.errors import ModelError
from models.spec import Kind, ModelSpec


@dataclass(frozen=True, slots=True)
class Rule:
    """When one class of detections makes a part a reject.

    Args:
        min_score: detections below it do not count.
        min_area_px: boxes smaller than this, in frame pixels squared, do not count.
        max_count: as many that count are still good.
        zones_xyxy: (Z, 4) float32 frame pixels; where there are any, only boxes whose centre lies in one count, and of
            an anomaly map, whose regions have no shape of their own, every region that reaches into one.
    """

    min_score: float
    min_area_px: float
    max_count: int
    zones_xyxy: FloatArray


@dataclass(frozen=True, slots=True)
class Recipe:
    """The rules of one product, by class name."""

    kind: Kind
    version: str
    rules: dict[str, Rule]


def check_fit(
    recipe: Recipe, spec: ModelSpec, product: str, score_floor: float, most_findings: int = sys.maxsize
) -> None:
    """Refuse a recipe that was written for another kind of model, or for classes the model does not know.

    Args:
        recipe: the product's rules.
        spec: the model that looks at it.
        product: its id, for the message.
        score_floor: below this score nothing is reported, so no rule can ask for less.
        most_findings: more than this are never reported, so no rule can allow as many.

    Raises:
        ConfigError: it does not fit; says what to change. So it is where a classifier's rule asks for size, number or
            place, which its map does not measure. Also where the model has a class without a rule, because a
            defect nobody judges would pass.
    """
    if recipe.kind is not spec.kind:
        raise ConfigError(
            f"product {product!r}: the recipe is for kind {recipe.kind}, the bundle is of kind {spec.kind}"
        )
    unknown = sorted(set(recipe.rules) - set(spec.classes))
    if unknown:
        raise ConfigError(
            f"product {product!r}: the recipe names class {unknown[0]!r}, the bundle knows {list(spec.classes)}"
        )
    unjudged = [name for name in spec.classes if name not in recipe.rules]
    if unjudged:
        raise ConfigError(
            f"product {product!r}: the recipe has no rule for class {unjudged[0]!r}: it would pass unseen"
        )
    for name, rule in recipe.rules.items():
        if spec.kind is Kind.CLASSIFIER and (rule.min_area_px > 0 or rule.max_count > 0 or len(rule.zones_xyxy)):
            raise ConfigError(
                f"product {product!r}: a classifier says whether class {name!r} is there, and its map only where that "
                "shows: remove min_area, max_count and zones, a defect could pass by them"
            )
        if rule.min_score < score_floor:
            raise ConfigError(
                f"product {product!r}: min_score {rule.min_score:g} of class {name!r} is below {score_floor:g}, the "
                "lowest score that is reported: what lies between would pass unseen"
            )
        if rule.max_count >= most_findings:
            raise ConfigError(
                f"product {product!r}: max_count {rule.max_count} of class {name!r} can never be exceeded: the bundle "
                f"reports {most_findings} at most"
            )


def decide(detections: Detections, classes: tuple[str, ...], recipe: Recipe) -> tuple[Verdict, tuple[str, ...]]:
    """The verdict on one frame and its reasons: REJECT with each class that broke its rule, else PASS.

    Raises:
        ModelError: a detection is of a class that the model does not have, so that no rule would judge it.
    """
    if len(detections) and detections.class_ids.max() >= len(classes):
        raise ModelError(f"the model reports class {detections.class_ids.max()}, and knows {len(classes)}")
    reasons = tuple(
        f"{name}:{count}"
        for class_id, name in enumerate(classes)
        if (count := _counted(detections, class_id, recipe.rules[name], recipe.kind)) > recipe.rules[name].max_count
    )
    return (Verdict.REJECT, reasons) if reasons else (Verdict.PASS, ())


def _counted(detections: Detections, class_id: int, rule: Rule, kind: Kind) -> int:
    boxes = detections.boxes_xyxy
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    counts = (detections.class_ids == class_id) & (detections.scores >= rule.min_score) & (areas >= rule.min_area_px)
    if len(rule.zones_xyxy):
        counts &= (_reach_into if kind is Kind.ANOMALY else _centred_in)(boxes, rule.zones_xyxy)
    return int(counts.sum())


def _centred_in(boxes_xyxy: FloatArray, zones_xyxy: FloatArray) -> NDArray[np.bool_]:
    centres = (boxes_xyxy[:, None, :2] + boxes_xyxy[:, None, 2:]) / 2
    inside = (centres >= zones_xyxy[None, :, :2]) & (centres < zones_xyxy[None, :, 2:])
    return np.asarray(np.any(np.all(inside, axis=2), axis=1), np.bool_)


def _reach_into(boxes_xyxy: FloatArray, zones_xyxy: FloatArray) -> NDArray[np.bool_]:
    starts = np.maximum(boxes_xyxy[:, None, :2], zones_xyxy[None, :, :2])
    ends = np.minimum(boxes_xyxy[:, None, 2:], zones_xyxy[None, :, 2:])
    return np.asarray(np.any(np.all(starts < ends, axis=2), axis=1), np.bool_)
