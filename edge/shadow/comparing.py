"""Both models' own view of one frame: what each would say, without the checks of the picture. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from edge.decide.recipe import Recipe, decide
from edge.domain.inspection import View
from edge.domain.part import Verdict
from edge.infer.plan import Plan
from models.bundle import Bundle
from models.detections import Detections


@dataclass(frozen=True, slots=True)
class Challenger:
    """What is to look beside the champion, and by which rules; it was found to fit them.

    Args:
        bundle: opened.
        recipe: the product's for a bundle of this kind.
        plan: how it will be run once it is live.
        by_camera: the rules of cameras that have a scale of their own.
        reference: file of the golden reference, for a bundle that compares.
    """

    bundle: Bundle
    recipe: Recipe
    plan: Plan
    by_camera: Mapping[str, Recipe] = field(default_factory=dict)
    reference: Path | None = None

    def recipe_for(self, camera_id: str) -> Recipe:
        """The rules for what a camera shows."""
        return self.by_camera.get(camera_id, self.recipe)


def own_view(view: View, recipe: Recipe) -> View:
    """What the champion itself said of a frame, whatever the checks of the picture made of it.

    Args:
        view: with detections, whose labels the recipe has a rule for each.
        recipe: by which it decided.

    Raises:
        ModelError: as `decide`.
    """
    if view.detections is None or view.verdict is not Verdict.UNDECIDED:
        return view
    verdict, reasons = decide(view.detections, view.labels, recipe)
    return replace(view, verdict=verdict, reasons=reasons)


def challenging_view(view: View, found: Detections, challenger: Challenger) -> View:
    """What the challenger says of the champion's frame. Raises ModelError as `decide` does."""
    bundle = challenger.bundle
    classes = bundle.spec.classes
    verdict, reasons = decide(found, classes, challenger.recipe_for(view.camera_id))
    return View(view.camera_id, verdict, reasons, view.frame, found, classes, bundle.model_id)


def failed_view(view: View, reason: str, challenger: Challenger) -> View:
    """That the challenger has no answer to the champion's frame."""
    model = challenger.bundle.model_id
    return View(view.camera_id, Verdict.UNDECIDED, (reason,), view.frame, model=model)
