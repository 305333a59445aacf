"""What of station.toml fits a bundle: its rules, its golden reference, and how it is run here."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import structlog

from edge.config import ProductSection, StationConfig
from edge.decide.recipe import Recipe, Rule, check_fit
from edge.domain.errors import ConfigError
from edge.domain.frame import Image
from edge.infer.answers import reported
from edge.infer.kept_plans import find_plan, key_of
from edge.infer.plan import Plan, make_plan
from models.bundle import Bundle
from models.cpus import cpu_grant
from models.errors import ModelError
from models.scoring import read_image
from models.spec import Kind, ModelSpec

log = structlog.get_logger()


def station_plan(config: StationConfig, bundle: Bundle) -> Plan:
    """How this station runs the bundle, said once in the log. Raises ConfigError: fewer requests than cameras."""
    plan = chosen_plan(config, bundle)
    log.info("plan", bundle=bundle.model_id.id, version=bundle.model_id.version, plan=str(plan), why=plan.why)
    return plan


def chosen_plan(config: StationConfig, bundle: Bundle) -> Plan:
    """How a station of this configuration runs the bundle: as it says, else as `edge tune` found, else the default.

    Raises:
        ConfigError: fewer requests than cameras.
    """
    cameras, grant = len(config.camera), cpu_grant()
    limit_ms = config.line.deadline_ms - config.line.commit_margin_ms
    found = find_plan(config.plans_dir, key_of(bundle, grant, cameras, limit_ms))
    tiled = bundle.spec.tiling is not None
    plan = make_plan(config.inference, grant.threads, cameras, tiled=tiled, kept=found.plan)
    return replace(plan, why="station.toml says so" if plan.origin == "station.toml" else found.why)


def fitting_recipe(section: ProductSection, bundle: Bundle, mm_per_px: float | None = None) -> Recipe:
    """A product's rules for a camera of this scale, if they suit this bundle.

    Raises:
        ConfigError: another kind, classes that are not the bundle's, a rule about what is never reported, or an area in
            square millimetres and no scale.
    """
    recipe, seen = make_recipe(section, mm_per_px, bundle.spec.kind), reported(bundle)
    check_fit(recipe, bundle.spec, section.id, seen.score_floor, seen.most_findings)
    return recipe


def fitting_recipes(
    section: ProductSection, bundle: Bundle, scales: Mapping[str, float]
) -> tuple[Recipe, dict[str, Recipe]]:
    """A product's rules, and those of each camera whose scale, millimetres a pixel, they need. As `fitting_recipe`."""
    own = {camera: fitting_recipe(section, bundle, mm_per_px) for camera, mm_per_px in scales.items()}
    return next(iter(own.values())) if own else fitting_recipe(section, bundle), own


def fitting_reference(section: ProductSection, spec: ModelSpec) -> Image | None:
    """A product's golden reference, (H, W, 3) uint8 BGR; None for a bundle that compares with none.

    Raises:
        ConfigError: one is given and not wanted, wanted and not given, or cannot be read.
    """
    if not spec.compares and (section.reference is None or spec.alignment is not None):
        return None  # a bundle that lays frames on a reference holds its own, made from this one
    if section.reference is None:
        raise ConfigError(
            f"product {section.id!r}: the bundle compares with a golden reference: set reference to a picture of a "
            "good part, taken by this camera"
        )
    if not spec.compares:
        raise ConfigError(f"product {section.id!r}: the bundle compares with no reference: remove {section.reference}")
    try:
        return read_image(section.reference)
    except ModelError as error:
        raise ConfigError(f"product {section.id!r}: reference {section.reference} is no readable image") from error


def make_recipe(section: ProductSection, mm_per_px: float | None = None, kind: Kind | None = None) -> Recipe:
    """A product's rules from station.toml for a kind of model, areas in pixels; its own scale goes before the camera's.

    Raises:
        ConfigError: an area in square millimetres and no scale.
    """
    own = section.recipe if kind is None else section.recipe_for(kind)
    scale = own.mm_per_px or mm_per_px
    if own.wants_scale and scale is None:
        raise ConfigError(
            f"product {section.id!r}: the recipe sets min_area_mm2, and no scale is known: name the camera, and run "
            "`edge camera scale --save`, or set mm_per_px"
        )
    rules = {
        name: Rule(
            rule.min_score,
            max(rule.min_area_px, (rule.min_area_mm2 or 0) / scale**2 if scale else 0),
            rule.max_count,
            np.array(rule.zones, np.float32).reshape(-1, 4),
        )
        for name, rule in own.classes.items()
    }
    return Recipe(Kind(own.kind), own.version, rules)
