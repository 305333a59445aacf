"""The demo's parts: 2,624 electroluminescence images of solar cells, as the registry package `elpv-dataset` ships them.

The images are CC BY-NC-SA 4.0: for the demo and tests only, never shipped, never in a bundle that is sold.
Source: Buerhop-Lutz et al., "A Benchmark for Visual Identification of Defective Solar Cells in Electroluminescence
Imagery", 2018. The probability that a cell is defective is 0, 1/3, 2/3 or 1, as experts saw it.
"""

import csv
import importlib.util
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.domain.errors import ConfigError
from models.decoding import read_picture
from models.near_twins import groups

LICENCE = "The solar-cell images are CC BY-NC-SA 4.0 (elpv-dataset): not for commercial use."


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell image and how likely experts thought it defective: 0, 1/3, 2/3 or 1."""

    path: Path
    probability: float


@dataclass(frozen=True, slots=True)
class Split:
    """Cells to learn from, all with probability 0, cells to inspect and be labelled, and those for the end.

    No near-twins across. `unseen` are good or defective beyond doubt: no model learns from them, nobody labels them.
    """

    learn: tuple[Cell, ...]
    inspect: tuple[Cell, ...]
    unseen: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class SplitSize:
    """How many good cells to learn from, how many to keep for the end, and of each probability to inspect at most."""

    learn: int
    inspect_good: int
    inspect_doubtful: int
    inspect_bad: int
    unseen_good: int
    unseen_bad: int


# As a new station begins. With 600 good cells the first model lets a third of the defective ones pass in place of half;
# labels of 800 others then make a probe that is no better, and the gate keeps the first one.
FULL = SplitSize(420, 480, 100, 400, 290, 290)
FAST = SplitSize(420, 340, 20, 300, 200, 200)


def load_cells() -> list[Cell]:
    """Every cell of the package. Raises ConfigError when the package is not installed."""
    spec = importlib.util.find_spec("elpv_dataset")
    if spec is None or spec.origin is None:
        raise ConfigError("the demo needs the solar-cell images: pip install 'inspectd[demo]'")
    folder = Path(spec.origin).parent / "data"
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as file:
        rows = [line.split() for (line, *_) in csv.reader(file)]
    return [Cell(folder / name, float(probability)) for name, probability, *_ in rows]


def split_cells(cells: list[Cell], size: SplitSize, seed: int = 0) -> Split:
    """Draw the cells to learn from, those to inspect and those for the end.

    No near-twin of a learned cell is inspected, and of the inspected near-twins only one: intervals count independent
    parts, and one group alone holds 67 cells. So none of the last is like any that a model learned from before.
    """
    images = [read_picture(cell.path, cv2.IMREAD_GRAYSCALE) for cell in cells]
    twins = groups([np.asarray(image, np.uint8) for image in images])
    order = np.random.default_rng(seed).permutation(len(cells))
    learn = [index for index in order if cells[index].probability == 0][: size.learn]
    learned_groups = {int(twins[index]) for index in learn}
    free = _one_of_each([index for index in order if int(twins[index]) not in learned_groups], twins)
    limits = {0: size.inspect_good, 1: size.inspect_doubtful, 2: size.inspect_doubtful, 3: size.inspect_bad}
    kept = {0: size.unseen_good, 3: size.unseen_bad}
    inspect: list[int] = []
    unseen: list[int] = []
    for level, limit in limits.items():
        own = [index for index in free if round(cells[index].probability * 3) == level]
        inspect += own[:limit]
        unseen += own[limit : limit + kept.get(level, 0)]
    turn = {int(index): place for place, index in enumerate(order)}
    chosen = (learn, *(sorted(some, key=lambda index: turn[int(index)]) for some in (inspect, unseen)))
    return Split(*(tuple(cells[index] for index in some) for some in chosen))


def _one_of_each(indices: list[int], twins: NDArray[np.int64]) -> list[int]:
    first: dict[int, int] = {}
    for index in indices:
        first.setdefault(int(twins[index]), index)
    return list(first.values())


def link_cells(cells: tuple[Cell, ...], folder: Path) -> dict[str, float]:
    """Lay cells into a folder in their order, as links; returns each link's name and probability."""
    folder.mkdir(parents=True)
    names: dict[str, float] = {}
    for number, cell in enumerate(cells, 1):
        name = f"{number:05d}-{cell.path.name}"
        (folder / name).symlink_to(cell.path)
        names[name] = cell.probability
    return names
