"""The self-test: the bundle's own frames must give the bundle's own scores, on this machine, with this graph."""

from dataclasses import dataclass

import numpy as np
import openvino as ov

from models.bundle import Bundle
from models.errors import ModelError
from models.scoring import MAP, SCORE, model_input


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One frame's answer; `got` is NaN if score or map held a value that is not finite."""

    name: str
    expected: float
    got: float
    tolerance: float

    @property
    def passed(self) -> bool:
        """Within the tolerance; NaN never is."""
        return abs(self.got - self.expected) <= self.tolerance


def run_selftest(bundle: Bundle, compiled: ov.CompiledModel) -> tuple[CaseResult, ...]:
    """Every self-test frame through a graph that was compiled from this bundle.

    Raises:
        ModelError: a frame cannot be read.
    """
    request = compiled.create_infer_request()
    results = []
    for case in bundle.selftest:
        request.infer({0: model_input(case.frame, bundle.spec.inputs[0])[None]})
        heat = request.get_tensor(MAP).data
        got = float(request.get_tensor(SCORE).data[0]) if np.isfinite(heat).all() else float("nan")
        results.append(CaseResult(case.frame.name, case.score, got, case.tolerance))
    return tuple(results)


def check_selftest(bundle: Bundle, compiled: ov.CompiledModel) -> None:
    """Pass, or refuse the bundle.

    Raises:
        ModelError: a frame's score differs by more than its tolerance.
    """
    for result in run_selftest(bundle, compiled):
        if not result.passed:
            raise ModelError(
                f"bundle {bundle.model_id.id!r} v{bundle.model_id.version}: self-test frame {result.name} gives "
                f"{result.got:.4f}, expected {result.expected:.4f} +- {result.tolerance:.4f}: roll back or recalibrate"
            )
