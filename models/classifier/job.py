"""`cloud train --kind classifier --method probe`, top-down: read, split, features, fit, prove, bundle. No torch."""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from scipy.special import expit

from models.classifier.making import MadeClassifier, Making, input_for, make_bundle
from models.classifier.packaging import ClassOrigin
from models.classifier.probe import Fit, fit_probe, probe_graph, read_features
from models.dataset.image_level import labels_of, split_image_level
from models.dataset.learnable import Division
from models.dataset.reading import read_dataset
from models.dataset.records import Dataset
from models.dataset.snapshot import digest
from models.dataset.splits import Splits, groups_of
from models.manifest import ClassifierThreshold
from models.networks.weights import read_weights
from models.packaging import name_of
from models.progress import Progress
from models.spec import Kind, ModelSpec

LARGEST_PX = 320


@dataclass(frozen=True, slots=True)
class ProbeRequest:
    """What to fit, of what.

    Args:
        data: the dataset's folder, of any form that `read_dataset` knows.
        out: the bundle's folder; must not exist. `.../cells/v3` is version 3 of `cells`.
        division: how the data is divided; train and val are learned from, test is held out.
        size_px: longer side of the model's input; None: the images' own, 320 at most.
        overkill: the share of good images that may be rejected, kept with 95 % confidence; None: the threshold goes
            where escape and overkill together are least.
    """

    data: Path
    out: Path
    division: Division = field(default_factory=Division)
    size_px: int | None = None
    overkill: float | None = None


def run_probe(request: ProbeRequest, progress: Progress) -> MadeClassifier:
    """Make a classifier bundle of a dataset with labels of whole images.

    Raises:
        DatasetError: the dataset or its split will not do.
        ModelError: the target exists, the weights are missing, or a library refuses.
        RequestError: the overkill asked for is no share.
    """
    name, version = name_of(request.out)
    started_s = time.monotonic()
    progress.stage("read", 1)
    splits = split_image_level(read_dataset(request.data), request.division)
    progress.advance()
    spec = ModelSpec(Kind.CLASSIFIER, splits.train.classes, (input_for(splits.train, request.size_px, LARGEST_PX),))
    learned = learned_from(splits)
    weights = read_weights()
    progress.stage("features", len(learned))
    found = read_features(weights, spec.inputs[0], [image.path for image in learned.images], progress.advance)
    read_s = time.monotonic() - started_s
    progress.stage("fit", 1)
    fit = fit_probe(found, labels_of(learned), groups_of(learned, splits.by), overkill=request.overkill)
    progress.advance()
    seconds = {"features": round(read_s, 1), "fit": round(time.monotonic() - started_s - read_s, 1)}
    origin = ClassOrigin(name, version, digest(splits), datetime.now(UTC), _threshold(fit, request.overkill))
    making = Making(
        request.out, splits, origin, _story(request, splits, fit, spec), _about(fit, seconds), request.division.seed
    )
    return make_bundle(probe_graph(weights, spec.inputs[0], fit.head), spec, making, progress)


def learned_from(splits: Splits) -> Dataset:
    """Train and val together: what is chosen is chosen by cross-validation over both."""
    train = splits.train
    return Dataset(train.root, train.form, train.classes, (*train.images, *splits.val.images))


def _threshold(fit: Fit, overkill: float | None) -> ClassifierThreshold:
    rule = "escape and overkill together least"
    if overkill is not None:
        rule = f"at most {overkill:.1%} of good images rejected, 95 % sure, and no lower than where mistakes are fewest"
    return ClassifierThreshold(
        probability=float(np.clip(expit(fit.head.threshold), 1e-6, 1 - 1e-6)),
        chosen_by=f"{rule}, on images left out in cross-validation over groups",
        scale=fit.calibration.scale,
        shifts=fit.calibration.shifts.tolist(),
    )


def _about(fit: Fit, seconds: dict[str, float]) -> dict[str, object]:
    losses = {f"{strength:g}": round(loss, 5) for strength, loss in fit.losses.items()}
    return {"method": "probe", "strength": fit.strength, "log_loss_by_strength": losses, "seconds": seconds}


def _story(request: ProbeRequest, splits: Splits, fit: Fit, spec: ModelSpec) -> list[tuple[str, str]]:
    parts = ", ".join(f"{name} {len(part)} images" for name, part in splits)
    return [
        ("Data", f"{request.data.name}, {splits.train.form}, {splits.groups} groups by {splits.by}: {parts}"),
        ("Method", "probe: frozen EfficientNet-Lite0 features, logistic regression; learned from train and val"),
        ("Input", f"{spec.inputs[0].width} x {spec.inputs[0].height}"),
        ("Held back by", f"C = {fit.strength:g}, chosen by cross-validation over groups"),
    ]
