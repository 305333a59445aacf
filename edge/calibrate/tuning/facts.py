"""What a plan depends on: the station's cameras and their frames, time limit, rules, images; and how long to look."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from edge.capture.open import is_replayed
from edge.capture.replay import IMAGE_SUFFIXES
from edge.capture.roi import as_seen
from edge.capture.scales import scales_of
from edge.config import CameraSection, InferenceSection, ProductSection, StationConfig
from edge.decide.recipe import Recipe
from edge.domain.errors import ConfigError
from edge.domain.frame import Image
from edge.fitting import fitting_recipes, fitting_reference
from models.alignment import Golden
from models.bundle import Bundle
from models.errors import AlignmentError, ModelError
from models.scoring import pose_of, read_image

FRAMES = 4
_NOISE = 8


@dataclass(frozen=True, slots=True, eq=False)
class StationFacts:
    """What is measured with.

    Args:
        cameras: frames (H, W, 3) uint8 BGR by camera id; all cameras see every part.
        frames_from: where the frames come from, for a person.
        limit_ms: from trigger to decision.
        recipe: the product's rules.
        inference: of station.toml.
        data_dir: the station's, whose disk takes the rehearsal's records.
        plans_dir: where plans are kept.
        images: in which format images are stored; empty for none.
        reference: the product's golden reference, for bundles that compare.
    """

    cameras: Mapping[str, Sequence[Image]]
    frames_from: str
    limit_ms: float
    recipe: Recipe
    inference: InferenceSection
    data_dir: Path
    plans_dir: Path
    images: str = "jpeg"
    reference: Image | None = None

    @property
    def parts(self) -> list[list[Image]]:
        """Each of them one frame of every camera."""
        return [list(frames) for frames in zip(*self.cameras.values(), strict=True)]


@dataclass(frozen=True, slots=True)
class TuneLimits:
    """How long it may take, about, in seconds; without planning the answer for other cameras and cores is left out."""

    seconds: float = 25.0
    planning: bool = True


def station_facts(
    config: StationConfig,
    product: ProductSection,
    bundle: Bundle,
    folder: Path | None = None,
    frames: Mapping[str, Sequence[Image]] | None = None,
) -> StationFacts:
    """The station of station.toml, looked at through some frames.

    Args:
        config: the checked station.toml.
        product: one of its products.
        bundle: that runs for it.
        folder: images of its cameras; else those of replayed cameras are taken, else the bundle's self-test frames.
        frames: images by camera id, where they are in memory already.

    Raises:
        ConfigError: recipe or reference do not suit the bundle, or the folder holds no image.
    """
    reference = fitting_reference(product, bundle.spec)
    origin = "the frames given" if frames or folder else ""
    found: dict[str, list[Image]] = {}
    for camera in config.camera:
        given = list((frames or {}).get(camera.id, ()))
        images, said = (given, origin) if given else _frames_of(camera, bundle, folder, reference)
        found[camera.id], origin = _filled(_aligned(images, bundle, reference)), said
    line, kept = config.line, config.retention
    return StationFacts(
        found,
        origin,
        line.deadline_ms - line.commit_margin_ms,
        fitting_recipes(product, bundle, scales_of(config, product))[0],
        config.inference,
        config.station.data_dir,
        config.plans_dir,
        kept.image_format if kept.images == "all" else "",
        reference,
    )


def _frames_of(
    camera: CameraSection, bundle: Bundle, folder: Path | None, reference: Image | None
) -> tuple[list[Image], str]:
    if folder is not None:
        if not (images := _images(folder)):
            raise ConfigError(f"--from {folder} holds no image that can be read: name a folder of frames")
        return [as_seen(image, camera.roi) for image in images], str(folder)
    if is_replayed(camera) and (images := _images(Path(str(camera.source)))):
        return [as_seen(image, camera.roi) for image in images], f"camera {camera.id}'s own files"
    if reference is not None:
        return [reference], "the golden reference"
    images = [image for case in bundle.selftest if (image := _image(case.frame)) is not None]
    return images, "the bundle's self-test: a camera's frames of another size cost another letterboxing, see --from"


def _aligned(images: Sequence[Image], bundle: Bundle, reference: Image | None) -> Sequence[Image]:
    """Those that lie on the reference, where there is one: the others are answered at once and tell nothing of speed.

    Raises:
        ModelError: the bundle's own reference cannot be read.
    """
    pose = pose_of(bundle)
    if pose is not None:
        return [image for image in images if _lies(pose.place, image)] or [pose.reference]
    if reference is None:
        return images
    return [image for image in images if _lies(Golden(reference, bundle.spec.alignment).onto, image)] or [reference]


def _lies(lay: Callable[[Image], object], image: Image) -> bool:
    try:
        lay(image)
    except AlignmentError:
        return False
    return True


def _images(folder: Path) -> list[Image]:
    if not folder.is_dir():
        return []
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    return list(islice((image for path in files if (image := _image(path)) is not None), FRAMES))


def _image(path: Path) -> Image | None:
    try:
        return read_image(path)
    except ModelError:
        return None


def _filled(images: Sequence[Image]) -> list[Image]:
    """As many frames as are taken turns, none the copy of another: a sensor's noise makes up what is missing."""
    random, filled = np.random.default_rng(0), list(images[:FRAMES])
    while len(filled) < FRAMES:
        image = images[len(filled) % len(images)]
        noise = random.integers(-_NOISE, _NOISE + 1, image.shape)
        filled.append(np.clip(image + noise, 0, 255).astype(np.uint8))
    return filled
