"""The parts of a study of repeatability: which of them, and what is known of each."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import numpy as np

from edge.calibrate.frames.cropping import Cropping
from edge.domain.errors import ConfigError
from models.dataset.image_files import picture_sha256
from models.errors import RequestError
from models.letterbox import Image
from models.scoring import read_image
from models.synthetic import with_defect

_FEWEST = 2
_REPEATS = ".repeats"
_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})


class Truth(StrEnum):
    """What is known of a part."""

    GOOD = "good"
    DEFECT = "defect"
    SYNTHETIC = "synthetic defect"


@dataclass(frozen=True, slots=True, eq=False)
class StudyPart:
    """One part, its pictures, and what is known of it; more than one picture are real repeats."""

    name: str
    truth: Truth
    images: tuple[Image | Path, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """A part that is studied; `donors` are pictures that lend a patch where its defect is to be painted."""

    name: str
    truth: Truth
    images: tuple[Image | Path, ...]
    donors: tuple[Image | Path, ...] = ()
    seed: int = 0

    def image(self) -> Image:
        """What is looked at. Raises ModelError."""
        image = read_part(self.images[0])
        if not self.donors:
            return image
        return with_defect(image, [read_part(donor) for donor in self.donors], self.seed)


def draw(parts: Sequence[StudyPart], most: int, random: np.random.Generator) -> tuple[list[Drawn], bool]:
    """At most so many, a third of them bad ones: by chance, and painted where there is none.

    Returns:
        The parts, and whether their defects are synthetic.

    Raises:
        RequestError: fewer than two parts, or no good one.
    """
    good = [part for part in parts if part.truth is Truth.GOOD]
    bad = [part for part in parts if part.truth is not Truth.GOOD]
    if not good or len(parts) < _FEWEST:
        raise RequestError(
            f"repeatability: needs two parts or more and a good one among them, got {len(parts)} and {len(good)}: give "
            "frames of more good parts"
        )
    thirds = max(1, most // 3)
    chosen_bad = [Drawn(part.name, part.truth, part.images) for part in _some(bad, thirds, random)]
    chosen_good = _some(good, max(1, most - (len(chosen_bad) or thirds)), random)
    drawn = [Drawn(part.name, part.truth, part.images) for part in chosen_good]
    if chosen_bad:
        return [*drawn, *chosen_bad], any(part.truth is Truth.SYNTHETIC for part in bad)
    painted = chosen_good[: min(thirds, max(1, len(chosen_good) // 2))]
    donors = (chosen_good[-1].images[0],)
    for number, part in enumerate(painted):
        drawn.append(Drawn(f"{part.name} + defect", Truth.SYNTHETIC, part.images[:1], donors, 1000 + number))
    return drawn, True


def mixed(drawn: list[Drawn]) -> list[Drawn]:
    """Good and bad in turn, so that a study cut short has both."""
    good = [part for part in drawn if part.truth is Truth.GOOD]
    bad = [part for part in drawn if part.truth is not Truth.GOOD]
    places = {id(part): (number + 0.5) / len(kind) for kind in (good, bad) for number, part in enumerate(kind)}
    return sorted(drawn, key=lambda part: places[id(part)])


def study_parts(
    good: Sequence[Path],
    defects: Sequence[Path] = (),
    repeats: Path | None = None,
    cropping: Cropping | None = None,
) -> list[StudyPart]:
    """Parts from files: held-out good ones, labelled defects, and a folder of real repeats of good parts.

    Args:
        good: files, cut to the camera's roi already.
        defects: files, cut as well.
        repeats: folder of pictures that a camera repeated.
        cropping: the roi of the frames' camera, if it has one, which the repeats are cut to.

    Raises:
        ConfigError: the folder of repeats will not do.
        StorageError: a cut picture cannot be written.
    """
    parts = [StudyPart(file.name, Truth.GOOD, (file,)) for file in good]
    parts += [StudyPart(f"{file.parent.name}/{file.name}", Truth.DEFECT, (file,)) for file in defects]
    if repeats is None:
        return parts
    real = real_repeats(repeats)
    return [*parts, *(real if cropping is None else _cropped(real, cropping))]


def digest_of(parts: Sequence[StudyPart]) -> list[object]:
    """Names the parts, and what their real repeats show."""
    return [
        [part.name, [picture_sha256(one) for one in part.images if isinstance(one, Path) and len(part.images) > 1]]
        for part in parts
    ]


def _cropped(parts: Sequence[StudyPart], cropping: Cropping) -> list[StudyPart]:
    """Real repeats as the camera's roi leaves them."""
    whole = cropping.whole([one for part in parts for one in part.images if isinstance(one, Path)])

    def cut(part: StudyPart, one: Image | Path) -> Image | Path:
        if not isinstance(one, Path):
            return one
        own = replace(cropping, folder=cropping.folder / _REPEATS / part.name)
        found = own.apply(one, read_image(one), whole)
        if isinstance(found, str):
            raise ConfigError(f"repeats: {one}: {found}")
        return found[0]

    return [replace(part, images=tuple(cut(part, one) for one in part.images)) for part in parts]


def real_repeats(folder: Path, truth: Truth = Truth.GOOD) -> list[StudyPart]:
    """Parts whose pictures a camera repeated: files `PART-REPEAT.png`, or a folder for each part.

    Raises:
        ConfigError: no such folder, or no part has two pictures in it.
    """
    if not folder.is_dir():
        raise ConfigError(f"repeats: {folder} is no folder: give one with PART-REPEAT.png files, or a folder a part")
    found: dict[str, list[Path]] = defaultdict(list)
    for file in sorted(folder.rglob("*")):
        if file.suffix.lower() in _SUFFIXES and file.is_file():
            own = file.parent != folder
            part = file.parent.relative_to(folder).as_posix() if own else file.stem.rpartition("-")[0]
            found[part or file.stem].append(file)
    parts = [StudyPart(part, truth, tuple(files)) for part, files in found.items() if len(files) > 1]
    if not parts:
        raise ConfigError(
            f"repeats: no part in {folder} has two pictures: name them PART-REPEAT.png, as 17-1.png and 17-2.png, or "
            "put each part's into a folder of its own"
        )
    return parts


def read_part(image: Image | Path) -> Image:
    """A part's picture, (H, W, 3) uint8 BGR. Raises ModelError where it cannot be read."""
    return read_image(image) if isinstance(image, Path) else image


def _some(parts: list[StudyPart], most: int, random: np.random.Generator) -> list[StudyPart]:
    chosen = sorted(random.permutation(len(parts))[:most].tolist())
    return [parts[index] for index in chosen]
