"""DeepPCB as a line of bare boards: good ones to begin with, labelled ones for the cloud, others for the line.

Boards go apart by their group, so no picture of a board that is learned from is inspected. The pictures are not part of
the product; see the data's own README.
"""

import json
import random
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.demo.settings import Shift

DATA = Path(__file__).parents[3] / "shared" / "data" / "deeppcb"
PRODUCT = "board"
BOARDS = Shift("boards", "not_pass", 60)
_STATION = """\
[station]
id = "pcb"
data_dir = "station"

[[camera]]
id = "top"
source = "{source}"
trigger = "software"
loop = true
timeout_ms = 2000
max_age_ms = 3000
checks.off = ["exposure", "clipped", "blurred"]

[[product]]
id = "board"
bundle = "board"

[[product.other_recipes]]
kind = "detector"
[product.other_recipes.classes]
{classes}

[line]
port = "tcp://127.0.0.1:{port}"
deadline_ms = 3000

[sync]
broker = "{broker}"
trust_root = "root.json"
images = "{images}"
resend_s = 5

[triage]
per_hour = {samples}
drift = false

[release]
shadow_parts = 30
live_parts = 20
disagreement_most = 0.9
reject_shift_most = 0.9
escape_most = 0.9
"""
_CLOUD = """\
[cloud]
store = "cloud.db"
broker = "{broker}"
folder = "work"
trust = "trust"
passphrase_file = "passphrase"
nice = 5
idle = false

[[product]]
id = "board"
bundle = "board"
champion_station = "pcb"
kind = "detector"
minutes = {minutes}
size_px = {size_px}

[product.triggers]
new_labels = {labels}
drift = false
cool_down_h = 0

# A training of minutes makes no model for a line: it finds nearly every bad board, and rejects half of the good ones.
# What is shown is the way, so that price is allowed here.
[product.gate]
class_escapes_most = 0.95
overkill_most = 0.9
overkill_rise_most = 0.9
alpha = 1e-6
named_least = 0.2
least_good = 10

[product.rollout]
shadow_parts = 30
live_parts = 20
disagreement_most = 0.9
reject_shift_most = 0.9
escape_most = 0.9
min_minutes = 0.0
steps_percent = [100]
"""


@dataclass(frozen=True, slots=True)
class PcbSettings:
    """How station and cloud are set; `minutes` and `size_px` are of the training."""

    classes: Sequence[str]
    labels: int
    minutes: float
    size_px: int
    station: str = "pcb"
    product: str = PRODUCT

    def station_file(self, shift: Shift, line_port: int, broker: str) -> str:
        """One camera that shows boards; rules for a detector that may come."""
        rules = "\n".join(f'"{name}" = {{}}' for name in self.classes)
        return _STATION.format(
            source=shift.source,
            images=shift.images,
            samples=shift.samples,
            classes=rules,
            port=line_port,
            broker=broker,
        )

    def cloud_file(self, broker: str) -> str:
        """A detector, in minutes."""
        return _CLOUD.format(broker=broker, minutes=self.minutes, size_px=self.size_px, labels=self.labels)


@dataclass(frozen=True, slots=True)
class Pcb:
    """Where the pictures lie.

    Args:
        good: of good boards, to begin with.
        labelled: a COCO file with boxes beside its pictures, good boards among them.
        boards: what the line shows, of groups that are in neither.
        defective: of these, the names of those with a defect.
        classes: the defects.
        labels: how many pictures are labelled.
    """

    good: Path
    labelled: Path
    boards: Path
    defective: frozenset[str]
    classes: tuple[str, ...]
    labels: int


def lay_out(folder: Path, boards: int, good: int, line: int) -> Pcb:
    """Draw so many labelled boards and as many good ones of other pictures, and a line of other groups."""
    content = json.loads((DATA / "annotations.json").read_text())
    images = sorted(content["images"], key=lambda image: str(image["file_name"]))
    random.Random(0).shuffle(images)
    learned = [image for image in images if _group(image) in _LEARNED]
    others = [image for image in images if _group(image) not in _LEARNED][:line]
    labelled, plain = learned[:boards], learned[boards : boards + good]
    for number, image in enumerate(learned[-good:]):
        _copy(image["template"], folder / "good" / f"{number:04d}.png")
    _label(content, labelled, plain, folder / "labelled")
    for number, image in enumerate(others):
        _copy(image["file_name"], folder / "boards" / f"{number:04d}-bad.png")
        _copy(image["template"], folder / "boards" / f"{number:04d}-good.png")
    return Pcb(
        folder / "good",
        folder / "labelled",
        folder / "boards",
        frozenset(f"{number:04d}-bad.png" for number in range(len(others))),
        tuple(category["name"] for category in content["categories"]),
        len(labelled) + len(plain),
    )


_LEARNED = frozenset({"20085", "00041", "13000", "92000"})


def _group(image: dict[str, Any]) -> str:
    return Path(image["file_name"]).name[:5]


def _label(content: dict[str, Any], bad: list[dict[str, Any]], plain: list[dict[str, Any]], folder: Path) -> None:
    entries = list(_entries(bad, plain))
    for source, entry in entries:
        _copy(source, folder / entry["file_name"])
    ids = {image["id"] for image in bad}
    boxes = [one for one in content["annotations"] if one["image_id"] in ids]
    coco = {"images": [entry for _, entry in entries], "annotations": boxes, "categories": content["categories"]}
    (folder / "annotations.json").write_text(json.dumps(coco))


def _entries(bad: list[dict[str, Any]], plain: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for image in bad:
        size = {"width": image["width"], "height": image["height"]}
        yield image["file_name"], {"id": image["id"], "file_name": f"images/{Path(image['file_name']).name}", **size}
    for image in plain:
        size = {"width": image["width"], "height": image["height"]}
        name = f"images/good-{Path(image['template']).name}"
        yield image["template"], {"id": -image["id"], "file_name": name, **size}


def _copy(name: str, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(DATA / name, to)
