"""The probe: features of a frozen backbone, pooled, and a linear head fitted by logistic regression; no torch.

Learned from are four views of each image (as it is, and flipped), looked at is one. How strongly the head is held back
is chosen by cross-validation over groups, so that no near-twin of an image judges it, and so are calibration and
threshold: by logits of images that the head of that fold never saw.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold

from models.classifier.calibration import (
    Calibration,
    Floats,
    Labels,
    best_odds,
    defect_odds,
    fit_calibration,
    log_loss,
    odds_within,
)
from models.compile import compile_graph
from models.dataset.errors import DatasetError
from models.dataset.image_level import GOOD
from models.networks.backbone import features, image_input
from models.networks.classes import LinearHead, class_outputs, pooled
from models.networks.weights import Weights
from models.scoring import model_input
from models.spec import InputSpec, Precision

STAGES = (3, 4, 5, 6)
STRENGTHS = (1e-3, 3e-3, 1e-2, 3e-2)
_VIEWS = ((1, 1), (1, -1), (-1, 1), (-1, -1))
_FOLDS = 5
_ROUNDS = 300
_TINY = 1e-6
_NEVER = -20.0
Features = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """A fitted head and how it came about.

    Args:
        head: calibration and threshold folded in.
        calibration: of the logits before.
        strength: the inverse of the penalty, chosen by cross-validation.
        losses: mean log loss of images not learned from, by strength.
        logits: (N, K) of the images, each by a head that did not learn from it or its group; not calibrated.
    """

    head: LinearHead
    calibration: Calibration
    strength: float
    losses: dict[float, float]
    logits: Floats


def feature_graph(weights: Weights, spec: InputSpec) -> ov.Model:
    """Image in, `features` (1, F) out."""
    image = image_input(spec.height, spec.width, spec.name)
    model = ov.Model([pooled(features(weights, image, STAGES))], [image], "probe-features")
    model.output(0).get_tensor().set_names({"features"})
    return model


def probe_graph(weights: Weights, spec: InputSpec, head: LinearHead) -> ov.Model:
    """The whole model, FP32. Raises ModelError if the head was made for another backbone."""
    image = image_input(spec.height, spec.width, spec.name)
    return ov.Model(class_outputs(features(weights, image, STAGES), head), [image], "probe")


def read_features(
    weights: Weights, spec: InputSpec, images: Sequence[Path], advance: Callable[[], None] | None = None
) -> Features:
    """(N, views, F) float32 of these files, letterboxed as the station does. Raises ModelError: one cannot be read."""
    compiled = compile_graph(feature_graph(weights, spec), Precision.FP32)
    queue = ov.AsyncInferQueue(compiled)
    count = int(compiled.output(0).get_shape()[1])
    found = np.empty((len(images), len(_VIEWS), count), np.float32)

    def take(request: ov.InferRequest, place: tuple[int, int]) -> None:
        found[place] = request.get_output_tensor(0).data[0]
        if advance and place[1] == 0:
            advance()

    queue.set_callback(take)
    for index, path in enumerate(images):
        picture = model_input(path, spec)
        for view, (down, right) in enumerate(_VIEWS):
            queue.start_async({0: np.ascontiguousarray(picture[::down, ::right])[None]}, (index, view))
    queue.wait_all()
    return found


def fit_probe(
    found: Features,
    labels: Labels,
    groups: Sequence[str],
    advance: Callable[[], None] | None = None,
    *,
    overkill: float | None = None,
) -> Fit:
    """The head that does best on images it did not learn from.

    Args:
        found: (N, views, F), from `read_features`.
        labels: (N,), 0 good, k a defect class.
        groups: (N,) what belongs together.
        advance: called once per strength.
        overkill: the share of good images that the threshold may reject; None: whatever makes the fewest mistakes.

    Raises:
        DatasetError: a class is in fewer than two groups, so that nothing can be held out.
        RequestError: the share is none.
    """
    folds = list(_folds(labels, groups))
    tried: dict[float, tuple[float, Floats, Calibration]] = {}
    for strength in STRENGTHS:
        logits = _held_out(found, labels, folds, strength)
        calibration = fit_calibration(logits, labels)
        tried[strength] = log_loss(calibration.apply(logits), labels), logits, calibration
        if advance:
            advance()
    strength = min(tried, key=lambda one: tried[one][0])
    _, logits, calibration = tried[strength]
    odds, bad = defect_odds(calibration.apply(logits)), np.asarray(labels != GOOD, np.bool_)
    threshold = best_odds(odds, bad) if overkill is None else odds_within(odds, bad, overkill)
    head = _head(
        _Linear.fitted(found, labels, strength, int(labels.max())), found[labels == GOOD, 0], calibration, threshold
    )
    return Fit(head, calibration, strength, {one: loss for one, (loss, *_) in tried.items()}, logits)


@dataclass(frozen=True, slots=True, eq=False)
class _Linear:
    """Logits as a linear function of features: weights (K, F) and bias (K,), against good."""

    weights: Floats
    bias: Floats

    @classmethod
    def fitted(cls, found: Features, labels: Labels, strength: float, classes: int) -> "_Linear":
        flat = found.reshape(-1, found.shape[-1])
        mean, spread = flat.mean(0), np.maximum(flat.std(0), _TINY)
        model = LogisticRegression(C=strength, max_iter=_ROUNDS)
        model.fit((flat - mean) / spread, np.repeat(labels, found.shape[1]))
        weights, bias = _against_good(model, classes)
        return cls(weights / spread, bias - weights @ (mean / spread))

    def logits(self, features_: Features) -> Floats:
        return np.asarray(features_ @ self.weights.T + self.bias, np.float64)


def _against_good(model: LogisticRegression, classes: int) -> tuple[Floats, Floats]:
    """Weights and bias of each defect class less those of good; a class not learned gets a logit of never."""
    known = [int(label) for label in model.classes_]
    coefficients, intercepts = model.coef_, model.intercept_
    if len(coefficients) == 1:
        coefficients = np.concatenate([np.zeros_like(coefficients), coefficients])
        intercepts = np.concatenate([[0.0], intercepts])
    weights, bias = np.zeros((classes, coefficients.shape[1])), np.full(classes, _NEVER)
    for row, label in enumerate(known[1:], 1):
        weights[label - 1] = coefficients[row] - coefficients[0]
        bias[label - 1] = intercepts[row] - intercepts[0]
    return weights, bias


def _folds(labels: Labels, groups: Sequence[str]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    held = np.array(groups)
    fewest = min(len(set(held[labels == label])) for label in np.unique(labels))
    if fewest < 2:  # noqa: PLR2004 - one to learn from, one to judge by
        raise DatasetError("probe: a class is in one group only, so nothing of it can be held out: give more images")
    split = StratifiedGroupKFold(min(_FOLDS, fewest), shuffle=True, random_state=0)
    yield from split.split(labels, labels, held)


def _held_out(
    found: Features, labels: Labels, folds: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]], strength: float
) -> Floats:
    classes = int(labels.max())
    logits = np.zeros((len(labels), classes))
    for learn, held in folds:
        logits[held] = _Linear.fitted(found[learn], labels[learn], strength, classes).logits(found[held, 0])
    return logits


def _head(linear: _Linear, good: Features, calibration: Calibration, threshold: float) -> LinearHead:
    return LinearHead(
        (calibration.scale * linear.weights).astype(np.float32),
        calibration.apply(linear.bias[None])[0].astype(np.float32),
        good.mean(0).astype(np.float32),
        threshold,
    )
