"""README's figures of anomaly models (`make figures-anomaly`): sets, input sizes, and bad parts among the good ones.

Trains as `cloud train --kind anomaly` does, at the usual size on three splits of each set, at other sizes and with 1 %
and 5 % of defective images learned as good on the first of them. Image and pixel AUROC of FP32 and INT8 on held-out
parts, milliseconds a frame. Writes figures.json and pareto.svg (accuracy against images per second) into a folder:
anomaly_figures.py FOLDER NAME=DATASET...
"""

import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from models.anomaly.fit import input_for
from models.anomaly.job import MadeParts, PartRequest, make_parts
from models.dataset.good_parts import split_good_parts
from models.dataset.learnable import Division
from models.dataset.reading import read_dataset
from models.dataset.records import Dataset
from models.dataset.splits import Splits, groups_of
from models.progress import SilentProgress

SEEDS = (0, 1, 2)
SIDES_PX = (128, 192, 256, 320)
USUAL_PX = 256
TEST_SHARE = 0.2
BAD_SHARES = (0.01, 0.05)


@dataclass(frozen=True, slots=True)
class Row:
    """One model: of what, how made, and what it reached."""

    name: str
    side_px: int
    seed: int
    bad_share: float
    auroc_fp32: float
    auroc_int8: float
    pixel_auroc: float | None
    ms_fp32: float
    ms_int8: float
    ran: str
    left_out: int
    left_out_bad: int
    smuggled: int
    seconds: float


def main(folder: Path, sets: dict[str, Path]) -> None:
    """Measure all, say each row as it comes, write both files."""
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    for row in measured(folder / "bundles", sets):
        rows.append(row)
        print(json.dumps(asdict(row)), flush=True)  # noqa: T201 - a script's answer
    (folder / "figures.json").write_text(json.dumps([asdict(row) for row in rows], indent=1), encoding="utf-8")
    pareto(rows).savefig(folder / "pareto.svg")


def measured(scratch: Path, sets: dict[str, Path]) -> Iterator[Row]:
    """The usual size on three splits; the other sizes, and bad parts among the good ones, on the first of them."""
    for name, data in sets.items():
        dataset = read_dataset(data)
        for seed in SEEDS:
            division = Division(seed=seed, test_share=TEST_SHARE)
            splits = split_good_parts(dataset, division)
            first = seed == SEEDS[0]
            for side_px in SIDES_PX if first else (USUAL_PX,):
                yield row_of(name, side_px, 0.0, train(scratch, data, division, splits, side_px), set())
            for share in BAD_SHARES if first else ():
                mixed, bad = smuggled(dataset, splits, share, seed)
                yield row_of(name, USUAL_PX, share, train(scratch, data, division, mixed, USUAL_PX), bad)


def train(scratch: Path, data: Path, division: Division, splits: Splits, side_px: int) -> tuple[MadeParts, int]:
    """A bundle of these splits, and its seed; the folder goes again."""
    shutil.rmtree(scratch, ignore_errors=True)
    spec = input_for([(image.width, image.height) for image in splits.train.images], side_px)
    request = PartRequest(data, scratch / "set" / "v1", division)
    return make_parts(request, splits, spec, None, SilentProgress()), division.seed


def smuggled(dataset: Dataset, splits: Splits, share: float, seed: int) -> tuple[Splits, set[str]]:
    """This share of defective images is learned as good; nothing of their groups is judged by. And their names."""
    bad = [image for image in splits.test.images if image.defective]
    count = max(1, round(share * len(splits.train)))
    chosen = [bad[index] for index in np.random.default_rng(seed).permutation(len(bad))[:count]]
    groups = dict(zip((one.name for one in dataset.images), groups_of(dataset, splits.by), strict=True))
    names = {image.name for image in chosen}
    beside = {groups[name] for name in names}
    train = splits.train
    learned = (*train.images, *(replace(image, defective=False) for image in chosen))
    judged = tuple(image for image in splits.test.images if groups[image.name] not in beside)
    mixed = Dataset(train.root, train.form, train.classes, learned)
    return replace(splits, train=mixed, test=replace(splits.test, images=judged)), names


def row_of(name: str, side_px: int, share: float, made: tuple[MadeParts, int], bad: set[str]) -> Row:
    """What one model reached."""
    found, seed = made
    speed = {str(precision): ms for precision, ms in found.choice.speed_ms.items()}
    reached = {str(precision): trial.auroc for precision, trial in found.choice.trials.items()}
    return Row(
        name,
        side_px,
        seed,
        share,
        round(reached["FP32"], 4),
        round(reached["INT8"], 4),
        found.figures.pixel_auroc and round(found.figures.pixel_auroc, 4),
        round(speed["FP32"], 3),
        round(speed["INT8"], 3),
        str(found.choice.precision),
        len(found.choice.left_out),
        len(bad & set(found.names(found.choice.left_out))),
        len(bad),
        found.seconds["fit"],
    )


def pareto(rows: list[Row]) -> Figure:
    """Image AUROC against images per second, INT8, by set and input size; bars span the splits."""
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.subplots()
    for name in dict.fromkeys(row.name for row in rows):
        points = [
            [row for row in rows if (row.name, row.side_px, row.bad_share) == (name, side, 0.0)] for side in SIDES_PX
        ]
        speed = [1000 / float(np.median([row.ms_int8 for row in some])) for some in points]
        reached = [[row.auroc_int8 for row in some] for some in points]
        middle = np.array([np.mean(some) for some in reached])
        spans = np.abs(np.array([[min(some), max(some)] for some in reached]).T - middle)
        axes.errorbar(speed, middle, spans, marker="o", capsize=3, linewidth=1, label=name)
        for x, y, side in zip(speed, middle, SIDES_PX, strict=True):
            axes.annotate(f"{side}", (x, y), xytext=(4, 4), textcoords="offset points", fontsize=8)
    axes.set(xlabel="images per second, INT8, all threads of this machine", ylabel="image AUROC, held-out parts")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    return figure


if __name__ == "__main__":
    main(Path(sys.argv[1]), {name: Path(path) for name, path in (word.split("=", 1) for word in sys.argv[2:])})
