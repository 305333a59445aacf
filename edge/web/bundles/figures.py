"""What a bundle reached in each precision, as rows of a table. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from models.manifest import (
    ClassifierMetrics,
    DetectorMetrics,
    Manifest,
    Metrics,
    Rate,
    Threshold,
)

PRECISIONS = ("fp32", "bf16", "int8")


@dataclass(frozen=True, slots=True)
class Figure:
    """A row: the word of what is counted, and the figure by precision."""

    word: str
    by_precision: Mapping[str, str]


def figures(manifest: Manifest) -> tuple[tuple[str, ...], tuple[Figure, ...]]:
    """The precisions that were measured, and a row for each figure that one of them has."""
    found = {name: _of(manifest, name) for name in PRECISIONS if name in manifest.metrics}
    words = dict.fromkeys(word for each in found.values() for word in each)
    rows = tuple(Figure(word, {name: each.get(word, "") for name, each in found.items()}) for word in words)
    return tuple(found), rows


def _of(manifest: Manifest, precision: str) -> dict[str, str]:
    metrics = next(each for name, each in manifest.metrics.items() if name == precision)
    said = _metrics(metrics)
    threshold = next((each for name, each in manifest.thresholds.items() if name == precision), None)
    if isinstance(threshold, Threshold):
        said["proven"] = f"{threshold.proven_rate:.2%}"
        said["held_out"] = str(threshold.held_out)
    return said


def _metrics(metrics: Metrics | DetectorMetrics | ClassifierMetrics) -> dict[str, str]:
    match metrics:
        case Metrics():
            word = "auroc_painted" if metrics.synthetic else "auroc"
            said = {word: _between(metrics.auroc, metrics.auroc_low, metrics.auroc_high)}
            return said | {"images": f"{metrics.good_frames} + {metrics.defect_frames}"}
        case DetectorMetrics():
            said = {"map50": f"{metrics.map50:.3f}", "map50_95": f"{metrics.map50_95:.3f}"}
            return said | _rates(metrics) | {"images": str(metrics.images)}
        case ClassifierMetrics():
            said = {"auroc": _rate(metrics.auroc), "accuracy": _rate(metrics.accuracy, percent=True)}
            return said | _rates(metrics) | {"images": str(metrics.images)}


def _rates(metrics: DetectorMetrics | ClassifierMetrics) -> dict[str, str]:
    known = {"escape": metrics.escape, "overkill": metrics.overkill}
    return {word: _rate(rate, percent=True) for word, rate in known.items() if rate is not None}


def _rate(rate: Rate, *, percent: bool = False) -> str:
    if percent:
        return f"{rate.value:.1%} ({rate.low:.1%} – {rate.high:.1%})"  # noqa: RUF001 - a range
    return _between(rate.value, rate.low, rate.high)


def _between(value: float, low: float, high: float) -> str:
    return f"{value:.3f} ({low:.3f} – {high:.3f})"  # noqa: RUF001 - a range
