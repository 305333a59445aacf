"""What the model proposes for a sample, as one key says it: pure.

A proposal holds candidates below the model's threshold too, and not the threshold. What passed has none above it. Of
what was rejected, a detector's boxes that score half or more count, and its best one in any case.
"""

from collections.abc import Collection, Mapping
from typing import Any

from cloud_sync.hub.labels.errors import LabelError
from cloud_sync.hub.labels.truths import LabelBox, LabelTruth, boxed, defect, good

_SURE = 0.5


def as_proposed(champion: Mapping[str, Any] | None, classes: Collection[str], *, places: bool) -> LabelTruth | None:
    """The label in a proposal; None where it says nothing that can be one.

    Args:
        champion: the proposal's record.
        classes: what the product's images may be labelled with.
        places: the product's model is a detector: labels are boxes.
    """
    if not champion or champion["verdict"] not in {"PASS", "REJECT"}:
        return None
    if champion["verdict"] == "PASS":
        return good()
    found = sorted(champion["detections"], key=lambda each: -each["score"])
    counted = [each for number, each in enumerate(found) if not number or each["score"] >= _SURE]
    if places:
        return _boxes(counted, classes)
    name = class_meant(str(counted[0]["label"]) if counted else "", classes)
    return defect(name) if name else None


def class_meant(label: str, classes: Collection[str]) -> str:
    """The class that a model's word means: its own, or the only one that there is; "" where nobody can tell."""
    if label in classes:
        return label
    return next(iter(classes)) if len(classes) == 1 else ""


def _boxes(found: Collection[Mapping[str, Any]], classes: Collection[str]) -> LabelTruth | None:
    boxes = []
    for each in found:
        name = class_meant(str(each["label"]), classes)
        left, top, right, bottom = each["box_xyxy"]
        try:
            boxes.append(LabelBox(name, (left, top, right, bottom)))
        except LabelError:  # a station may say anything
            return None
        if not name:
            return None
    return boxed(list(dict.fromkeys(boxes))) if boxes else None
