"""What a new model must keep to. Plain numbers, so that whoever reads a configuration needs nothing else."""

from dataclasses import dataclass

from models.errors import RequestError


@dataclass(frozen=True, slots=True)
class PromotionLimits:
    """What a challenger must keep to on the frozen hold-out.

    Args:
        escapes_most: the highest share of defective images of all classes together that may pass.
        class_escapes_most: likewise of one class, or as many as the champion lets pass; of boxes, for a detector.
        escapes_rise: how many more images of one class may pass than the champion lets pass, of the same images.
        overkill_most: the highest share of good images that may be rejected.
        overkill_rise_most: how much that share may lie above the champion's; one image more is always chance.
        alpha: a difference is proven where chance gives it less often than this.
        least_bad: with fewer defective images the hold-out proves nothing.
        least_good: likewise good ones.
        least_of_class: a class with fewer images is judged by its count alone, and the proof says how little that is.
        named_least: of the defective images that it rejects, the share whose class it must name rightly.
    """

    escapes_most: float = 0.2
    class_escapes_most: float = 0.5
    escapes_rise: int = 0
    overkill_most: float = 0.05
    overkill_rise_most: float = 0.02
    alpha: float = 0.05
    least_bad: int = 20
    least_good: int = 50
    least_of_class: int = 5
    named_least: float = 0.5

    def __post_init__(self) -> None:
        """Raises RequestError: a limit that is none."""
        for name in (
            "escapes_most",
            "class_escapes_most",
            "overkill_most",
            "overkill_rise_most",
            "alpha",
            "named_least",
        ):
            _check_share(name, getattr(self, name))
        for name in ("escapes_rise", "least_bad", "least_good", "least_of_class"):
            if getattr(self, name) < 0:
                raise RequestError(f"promotion: {name} must not be negative, got {getattr(self, name)}")


def _check_share(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise RequestError(f"promotion: {name} is a share from 0 to 1, got {value}")
