"""What looks at a product's parts beside its bundle, as one digest: another one judges by other eyes.

A recipe's version is a person's word and may be left as it was, so the rules themselves are in it, beside the cameras'
regions and checks, what their pictures were learned to look like, and the golden reference.
"""

import hashlib
import json
from pathlib import Path

from edge.capture.pictures.limits import limits_path
from edge.config import ProductSection, StationConfig
from edge.pipeline import Product


def eyes_digest(config: StationConfig, section: ProductSection, product: Product) -> str:
    """The sha256 of all that, as it is in station.toml and on disk now.

    Args:
        config: the station's.
        section: the product.
        product: as it runs; its rules hold each camera's scale.
    """
    data_dir = config.station.data_dir
    said = {
        "recipe": section.recipe_for(product.recipe.kind).model_dump(mode="json"),
        "areas_px": {camera: _areas_px(product, camera) for camera in sorted(product.by_camera)},
        "cameras": [
            [one.id, one.roi, one.checks.model_dump(mode="json"), _sha256(limits_path(data_dir, section.id, one.id))]
            for one in config.camera
        ],
        "reference": None if section.reference is None else _sha256(section.reference),
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _areas_px(product: Product, camera: str) -> dict[str, float]:
    return {name: rule.min_area_px for name, rule in product.recipe_for(camera).rules.items()}


def _sha256(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None
