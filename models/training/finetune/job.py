"""`cloud train --kind classifier --method finetune`, top-down: read, split, freeze, start, train, prove, bundle.

Learned from is train alone. Val chooses between the trained network and its start, and sets calibration and threshold;
test is looked at by parity and gate only. Until the bundle all lies in the cache, as for a detector (`training.job`).
"""

import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from scipy.special import expit

from models.classifier.figures import class_exam
from models.classifier.job import LARGEST_PX
from models.classifier.making import MadeClassifier, Making, input_for, make_bundle
from models.classifier.packaging import ClassOrigin
from models.dataset.image_level import labels_of, split_image_level
from models.dataset.learnable import Division
from models.dataset.reading import read_dataset
from models.dataset.snapshot import digest, freeze
from models.dataset.splits import Splits, groups_of
from models.manifest import ClassifierThreshold
from models.networks.weights import read_weights
from models.packaging import name_of
from models.progress import Progress
from models.spec import Kind, ModelSpec
from models.training.finetune.lesson import Classification, ClassSettings, epochs_for
from models.training.finetune.parity import ClassParity, check_parity
from models.training.finetune.settled import Settled, check_val, settle
from models.training.finetune.start import start_of
from models.training.finetune.views import Views
from models.training.pictures import Gallery
from models.training.train import Learned, Means, train


@dataclass(frozen=True, slots=True)
class FinetuneRequest:
    """What to train, of what.

    Args:
        data: the dataset's folder, of any form that `read_dataset` knows.
        out: the bundle's folder; must not exist. `.../cells/v3` is version 3 of `cells`.
        cache: where runs and their checkpoints lie.
        division: how the data is divided; its seed is that of order and views too.
        minutes: the training's own time, at most about.
        epochs: exactly so many; None: as many as suit the data and fit the minutes.
        size_px: longer side of the model's input; None: the images' own, 320 at most.
    """

    data: Path
    out: Path
    cache: Path
    division: Division = field(default_factory=Division)
    minutes: float | None = 50.0
    epochs: int | None = None
    size_px: int | None = None


def run_finetune(request: FinetuneRequest, progress: Progress) -> MadeClassifier:
    """Make a classifier bundle of a dataset with labels of whole images.

    Raises:
        DatasetError: the dataset or its split will not do.
        ModelError: the target exists, the cache's checkpoint is another's, the graph is not what was trained, or a
            library refuses.
    """
    name, version = name_of(request.out)
    started_s = time.monotonic()
    splits, spec = _read(request, progress)
    settings = _settings(request, splits, spec)
    folder = request.cache / f"classifier-{settings.digest[:12]}" / digest(splits)[:12]
    dataset_sha256 = freeze(splits, folder / "snapshot.json")
    lesson = _lesson(splits, settings, folder, progress)
    learned = train(
        lambda epochs: replace(lesson, settings=replace(settings, epochs=epochs)),
        settings.epochs,
        Means(folder, progress, minutes=request.minutes),
    )
    settled = settle(lesson, learned.network, splits, spec, progress)
    parity = check_parity(settled.network, settled.graph, settled.judge, class_exam(splits.test), spec, progress)
    origin = ClassOrigin(name, version, dataset_sha256, datetime.now(UTC), _threshold(settled))
    story = _story(request, splits, spec, learned, parity)
    about = _about(learned, settled, parity) | {"seconds": round(time.monotonic() - started_s, 1)}
    making = Making(request.out, splits, origin, story, about, request.division.seed)
    return make_bundle(settled.graph, spec, making, progress)


def _read(request: FinetuneRequest, progress: Progress) -> tuple[Splits, ModelSpec]:
    progress.stage("read", 1)
    splits = split_image_level(read_dataset(request.data), request.division)
    check_val(class_exam(splits.val))
    progress.advance()
    return splits, ModelSpec(
        Kind.CLASSIFIER, splits.train.classes, (input_for(splits.train, request.size_px, LARGEST_PX),)
    )


def _settings(request: FinetuneRequest, splits: Splits, spec: ModelSpec) -> ClassSettings:
    settings = ClassSettings(len(spec.classes), Views(spec.inputs[0]), seed=request.division.seed)
    return replace(settings, epochs=request.epochs or epochs_for(len(splits.train), settings.batch))


def _lesson(splits: Splits, settings: ClassSettings, folder: Path, progress: Progress) -> Classification:
    weights, groups = read_weights(), groups_of(splits.train, splits.by)
    start = start_of(folder, splits.train, groups, settings.views.spec, weights, progress)
    gallery = Gallery(splits.train, colour=True, reference=False)
    return Classification(gallery, labels_of(splits.train), settings, weights, start)


def _threshold(settled: Settled) -> ClassifierThreshold:
    judge = settled.judge
    return ClassifierThreshold(
        probability=float(np.clip(expit(judge.threshold), 1e-6, 1 - 1e-6)),
        chosen_by="escape and overkill together least, on the val images",
        scale=judge.calibration.scale,
        shifts=judge.calibration.shifts.tolist(),
    )


def _about(learned: Learned, settled: Settled, parity: ClassParity) -> dict[str, object]:
    arithmetic = learned.plan.arithmetic
    training = {
        "epochs": learned.plan.epochs,
        "seconds": round(learned.seconds, 1),
        "threads": arithmetic.threads,
        "bf16": arithmetic.bf16,
        "pictures_made_ahead": arithmetic.ahead,
        "loss": [round(row["loss"], 4) for row in learned.history],
    }
    val = {name: one.as_json() for name, one in settled.tried.items()}
    return {
        "method": "finetune",
        "training": training,
        "val": val,
        "kept": settled.kept,
        "parity": parity.as_json(),
    }


def _story(
    request: FinetuneRequest, splits: Splits, spec: ModelSpec, learned: Learned, parity: ClassParity
) -> list[tuple[str, str]]:
    parts = ", ".join(f"{name} {len(part)} images" for name, part in splits)
    how = learned.plan.arithmetic
    return [
        ("Data", f"{request.data.name}, {splits.train.form}, {splits.groups} groups by {splits.by}: {parts}"),
        ("Method", "finetune: EfficientNet-Lite0 and a linear head that starts as a probe; learned from train"),
        ("Input", f"{spec.inputs[0].width} x {spec.inputs[0].height}"),
        ("Training", f"{learned.plan.epochs} epochs in {learned.seconds / 60:.1f} min"),
        ("Steps", f"{how.threads} threads, {'BF16' if how.bf16 else 'FP32'}, chosen by measuring"),
        ("Export", f"{parity.images} images as in torch: largest difference {parity.largest:.2g}"),
    ]
