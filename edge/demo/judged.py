"""What the models said of the cells beside what experts said, as rates with intervals. Pure."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edge.demo.compare import Told
from models.evaluate import Estimate, auroc, clopper_pearson

VERDICTS = ("PASS", "REJECT", "UNDECIDED")
_LEVELS = {0.0: "good (p = 0)", 0.333: "p = 1/3", 0.667: "p = 2/3", 1.0: "defective (p = 1)"}


@dataclass(frozen=True, slots=True)
class Inspected:
    """One inspection joined with what experts said: score in [0, 1] or None, probability 0, 1/3, 2/3 or 1."""

    verdict: str
    score: float | None
    probability: float


def join_cells(station: Mapping[str, bytes], probabilities: Mapping[str, float]) -> list[Inspected]:
    """Join inspections with the experts' word by the replayed file's name; a part without frame has no name."""
    records = [json.loads(payload) for payload in station.values()]
    return [
        Inspected(record["verdict"], view["score"], probabilities[view["source"]])
        for record in records
        for view in record["views"]
        if view["source"] in probabilities
    ]


def rates(inspected: list[Inspected]) -> tuple[Estimate, Estimate, Estimate]:
    """(overkill on p = 0: anything but PASS; escape on p = 1: PASS; AUROC of the scores between the two)."""
    good = [each for each in inspected if round(each.probability * 3) == 0]
    bad = [each for each in inspected if round(each.probability * 3) == 3]  # noqa: PLR2004 - three thirds
    overkill = clopper_pearson(sum(each.verdict != "PASS" for each in good), len(good))
    escape = clopper_pearson(sum(each.verdict == "PASS" for each in bad), len(bad))
    return overkill, escape, auroc(_scores(good), _scores(bad))


def by_level(inspected: list[Inspected]) -> dict[str, dict[str, int]]:
    """Verdict counts for each level of the experts' doubt."""
    counted = {name: Counter[str]() for name in _LEVELS.values()}
    names = list(_LEVELS.values())
    for each in inspected:
        counted[names[round(each.probability * 3)]][each.verdict] += 1
    return {name: dict(counts) for name, counts in counted.items()}


def latencies_ms(told: list[Told]) -> tuple[float, float]:
    """(p50, p99) from trigger to told, as the line saw it."""
    seen = [each.latency_ms for each in told if each.latency_ms is not None]
    return float(np.percentile(seen, 50)), float(np.percentile(seen, 99))


def percent(estimate: Estimate) -> str:
    """A rate with its interval, for a table."""
    return interval(estimate, 100, 1, " %")


def interval(estimate: Estimate, factor: float, digits: int, unit: str = "") -> str:
    """A figure times `factor` with its interval, for a table."""
    value, low, high = (factor * each for each in (estimate.value, estimate.low, estimate.high))
    return f"{value:.{digits}f}{unit} (95 %: {low:.{digits}f} to {high:.{digits}f}{unit})"


def _scores(inspected: list[Inspected]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array([each.score for each in inspected if each.score is not None], np.float64)
