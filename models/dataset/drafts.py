"""What a form's reader finds before any image is opened: files, labels and where each label stands."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from models.dataset.errors import DatasetError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
SPLITS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
GROUP_COLUMNS = ("group", "part", "part_id", "tile_group", "board", "board_group")


@dataclass(frozen=True, slots=True)
class DraftBox:
    """One labelled box.

    Args:
        corners: left, top, right, bottom; pixels, or shares of the image's sides if `relative`.
        label: the class's name.
        where: file and place of the label, for messages.
        relative: what `corners` are measured in.
    """

    corners: tuple[float, float, float, float]
    label: str
    where: str
    relative: bool = False


@dataclass(frozen=True, slots=True)
class Draft:
    """One image as a form describes it; fields as in `LabelledImage`.

    `declared` is the size, (width, height), for which the labels were drawn, where the form says it and means it.
    """

    path: Path
    boxes: tuple[DraftBox, ...] = ()
    defective: bool | None = None
    reference: Path | None = None
    mask: Path | None = None
    label: str = ""
    group: str = ""
    split: str = ""
    declared: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Drafts:
    """What a form's reader found; `classes` in the order that class ids follow."""

    form: str
    classes: tuple[str, ...]
    images: tuple[Draft, ...] = field(repr=False)


class Faults:
    """Collects what is wrong, so that one run names the first fault and counts the rest."""

    def __init__(self) -> None:
        self._found: list[str] = []

    def add(self, fault: str) -> None:
        """One more."""
        self._found.append(fault)

    def raise_if_any(self) -> None:
        """Raise DatasetError with the first and the number of the others."""
        if self._found:
            more = f" (and {len(self._found) - 1} more such faults)" if len(self._found) > 1 else ""
            raise DatasetError(f"dataset: {self._found[0]}{more}")


def images_below(folder: Path) -> list[Path]:
    """Every image file in a folder and those below it, by name; hidden ones are passed over."""
    found = (path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file())
    return sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts))


def first_file(candidates: Iterable[Path]) -> Path | None:
    """The first of these that is a file."""
    return next((path for path in candidates if path.is_file()), None)


def read_text(path: Path) -> str:
    """A text file's content, in UTF-8 with or without the mark that Windows puts first.

    Raises:
        DatasetError: another encoding, or no access.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as fault:
        raise DatasetError(f"dataset: {path} cannot be read as UTF-8 text ({fault}): save it as UTF-8") from fault


def check_names(path: Path, names: Sequence[str]) -> tuple[str, ...]:
    """Class names of one file.

    Raises:
        DatasetError: two classes of one name, or one without a name: boxes would go to the wrong class.
    """
    stripped = [name.strip() for name in names]
    for number, name in enumerate(stripped):
        if not name:
            raise DatasetError(f"dataset: {path}: class {number} has no name, and those behind it would move: name it")
        if name in stripped[:number]:
            raise DatasetError(f"dataset: {path} gives the name {name!r} to two classes: rename one")
    return tuple(stripped)


def split_named(words: Sequence[str]) -> str:
    """The split that one of these words names (`train2017` counts as `train`), or nothing."""
    for word in words:
        if (name := SPLITS.get(word.lower().rstrip("0123456789"))) is not None:
            return name
    return ""
