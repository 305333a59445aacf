"""The reviewer: labels what the station sent up, by the files that a labelling tool would read and write.

No person sits here. The reviewer answers with the data set's own truth, as experts gave it: good where they all said
so, defective where they all did, and unsure between. The demo says that aloud.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge.demo.plant import Plant
from edge.demo.settings import DEFECT, PRODUCT
from edge.processes import ask_json

NAME = "the data set's truth"
_THIRDS = ("good", "unsure", "unsure", DEFECT)


@dataclass(frozen=True, slots=True)
class Reviewed:
    """How many samples the cloud showed, and how many of them got which label."""

    shown: int
    labels: dict[str, int]


def review(plant: Plant, probabilities: Mapping[str, float]) -> Reviewed:
    """Export samples as COCO, answer, import the answers.

    Args:
        plant: whose cloud holds the samples.
        probabilities: by part id, how likely it is defective; a part that is not named is left alone.

    Raises:
        OutputError: a command failed.
    """
    folder = plant.folder / "review"
    where = ["--product", PRODUCT, "--store", str(plant.store)]
    shown = ask_json(["cloud", "labels", "export", *where, "--out", str(folder), "--json"])
    exported = json.loads((folder / "annotations" / "instances_default.json").read_text(encoding="utf-8"))
    answered = answers(exported, probabilities)
    file = folder / "reviewed.json"
    file.write_text(json.dumps(answered), encoding="utf-8")
    ask_json(["cloud", "labels", "import", str(file), *where, "--by", NAME, "--new-class", DEFECT, "--json"])
    names = {category["id"]: category["name"] for category in answered["categories"]}
    counted = Counter(names[annotation["category_id"]] for annotation in answered["annotations"])
    return Reviewed(int(str(shown["images"])), dict(counted))


def answers(exported: Mapping[str, Any], probabilities: Mapping[str, float]) -> dict[str, Any]:
    """The COCO file of a reviewer who says of each image as a whole what it is."""
    names = tuple(dict.fromkeys(_THIRDS))
    ids = {name: number for number, name in enumerate(names, 1)}
    images = [image for image in exported["images"] if image["inspectd"]["part_id"] in probabilities]
    annotations = [
        {
            "id": number,
            "image_id": image["id"],
            "category_id": ids[_THIRDS[round(3 * probabilities[image["inspectd"]["part_id"]])]],
            "bbox": [0, 0, image["width"], image["height"]],
            "area": image["width"] * image["height"],
            "iscrowd": 0,
            "attributes": {"image_level": True},
        }
        for number, image in enumerate(images, 1)
    ]
    categories = [{"id": number, "name": name} for name, number in ids.items()]
    return {"images": images, "annotations": annotations, "categories": categories}
