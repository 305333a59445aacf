"""What is measured of a frame beside the model, once for both triage and drift."""

from dataclasses import dataclass

from edge.capture.pictures.checks import Gauge
from edge.decide.novelty import Description, describe
from edge.domain.frame import Frame


@dataclass(frozen=True, slots=True)
class Looks:
    """One frame in a few numbers.

    Args:
        brightness: mean grey level, 0 to 255.
        focus: sharpness as the camera's checks measure it; no unit.
        description: what novelty goes by.
    """

    brightness: float
    focus: float
    description: Description


def measure(gauge: Gauge, frame: Frame) -> Looks:
    """Measure a frame; for the thread that owns the gauge."""
    signs = gauge.signs(frame.image)
    return Looks(signs.mean, signs.sharpness, describe(gauge.sample()))
