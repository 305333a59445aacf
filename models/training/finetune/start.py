"""The head a run begins with: a probe of the training's own images, fitted once and kept with the run."""

import os
from collections.abc import Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from models.classifier.probe import fit_probe, read_features
from models.dataset.image_level import labels_of
from models.dataset.records import Dataset
from models.durable import sync_directory
from models.networks.finetuned import Start
from models.networks.weights import Weights
from models.progress import Progress
from models.spec import InputSpec

NAME = "start.npz"
_LEAST_SPREAD = 0.1


def start_of(
    folder: Path, train: Dataset, groups: Sequence[str], spec: InputSpec, weights: Weights, progress: Progress
) -> Start:
    """The folder's start, or one fitted now and left there.

    A feature that hardly varies yet may come alive while the backbone learns, so its spread counts for at least a tenth
    of the usual one.

    Raises:
        DatasetError: a class is in fewer than two groups.
        ModelError: an image cannot be read.
    """
    if (held := _held(folder / NAME)) is not None:
        return held
    progress.stage("features", len(train))
    found = read_features(weights, spec, [image.path for image in train.images], progress.advance)
    progress.stage("fit", 1)
    head = fit_probe(found, labels_of(train), groups).head
    progress.advance()
    flat = found.reshape(-1, found.shape[-1])
    spread = flat.std(0)
    start = Start(head.weights, head.bias, flat.mean(0), np.maximum(spread, _LEAST_SPREAD * np.median(spread)))
    _keep(folder / NAME, start)
    return start


def _held(path: Path) -> Start | None:
    """None if there is none that can be read: it is fitted again then."""
    try:
        with path.open("rb") as file, np.load(file) as held:
            return Start(*(held[name] for name in Start._fields))
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None


def _keep(path: Path, start: Start) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    with beside.open("wb") as file:
        np.savez(file, **start._asdict())
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    sync_directory(path.parent)
