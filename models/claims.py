"""What a bundle holds and its manifest claims, alike for every kind: both graphs, figures as rates, the gate, tools."""

from collections.abc import Sequence
from importlib.metadata import distributions
from pathlib import Path
from typing import Protocol

import openvino as ov

from models.compile import save_graph
from models.evaluate import Estimate
from models.labelled_gate import LabelledResult
from models.manifest import GateRecord, PrecisionName, Rate
from models.spec import Precision

PRECISION_NAMES: dict[Precision, PrecisionName] = {
    Precision.FP32: "fp32",
    Precision.BF16: "bf16",
    Precision.INT8: "int8",
}
_TOOLS = ("inspectd", "numpy", "nncf", "opencv-python-headless", "openvino", "scikit-learn", "torch")


class JudgedTrial(Protocol):
    """A rung of a ladder: how it was made, its precision, and what the gate said of it (nothing, of FP32 itself)."""

    @property
    def step(self) -> str:
        """How it was made."""
        ...

    @property
    def precision(self) -> Precision:
        """What it runs in."""
        ...

    @property
    def gate(self) -> LabelledResult | None:
        """The gate's answer."""
        ...


def save_graphs(folder: Path, chosen: ov.Model, fp32: ov.Model) -> None:
    """Both graphs in a bundle's folder, every weight in the precision it has: halving FP32 weights changes scores."""
    for path, graph in ((folder / "model.xml", chosen), (folder / "fp32" / "model.xml", fp32)):
        path.parent.mkdir(parents=True, exist_ok=True)
        save_graph(graph, path)


def rate_of(found: Estimate | None) -> Rate | None:
    """An estimate, for the manifest."""
    return None if found is None else Rate(value=found.value, low=found.low, high=found.high)


def tools_used() -> dict[str, str]:
    """Name and version of the libraries that may have a part in a model, as installed here."""
    return {found.name: found.version for found in distributions() if found.name in _TOOLS}


def ladder_record(trials: Sequence[JudgedTrial], chosen: JudgedTrial, *, boxes: bool) -> GateRecord:
    """What the gate said of the last INT8 trial: the one that runs, or the one whose failure left INT8 out.

    Args:
        trials: FP32 first.
        chosen: of them.
        boxes: whether boxes are what can be missed.
    """
    plain = {"outcome": "not run", "reason": "only FP32 was made", "images": 0, "step": str(chosen.step)}
    record = GateRecord.model_validate(plain)
    judged = [trial for trial in trials if trial.precision is Precision.INT8] or list(trials[1:])
    if not judged or judged[-1].gate is None:
        return record
    gate = judged[-1].gate
    return record.model_copy(
        update={
            "outcome": gate.outcome.value,
            "reason": gate.reason,
            "images": gate.images,
            "boxes": gate.boxes if boxes else None,
            "metric": gate.metric,
            "metric_drop": gate.drop.value,
            "metric_drop_low": gate.drop.low,
            "metric_drop_high": gate.drop.high,
            "budget": gate.budget,
            "trials": {str(trial.step): _said(trial) for trial in trials[1:]},
        }
    )


def _said(trial: JudgedTrial) -> str:
    return "not judged" if trial.gate is None else f"{trial.gate.outcome.value}: {trial.gate.reason}"
