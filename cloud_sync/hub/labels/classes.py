"""The classes that a product's images may be labelled with: nobody adds one by a slip of the pen."""

from collections.abc import Iterable

import sqlalchemy as sa

from cloud_sync.hub.labels.errors import LabelError
from cloud_sync.hub.store.adding import add_absent
from cloud_sync.hub.store.label_tables import label_classes

NAME_LENGTH = 100
# These name something else in a folder of images by label, or in what a person says.
_SPLITS = ("train", "training", "val", "valid", "validation", "test")
_FOLDERS = ("image", "images", "img", "imgs", "mask", "masks", "ground_truth")
_TAKEN = frozenset({"good", "normal", "ok", "pass", "no_defect", "unsure", "defective", *_SPLITS, *_FOLDERS})


def checked_class(name: str) -> str:
    """The name, if it can name a defect, a folder and a column. Raises LabelError."""
    fits = 0 < len(name) <= NAME_LENGTH and name.isprintable() and name == name.strip() and name[0] != "."
    if not fits or set(name) & set('/\\:*?"<>|') or name.lower().rstrip("0123456789") in _TAKEN:
        raise LabelError(
            f'a class is 1 to {NAME_LENGTH} printable characters without / \\ : * ? " < > |, not beginning with a dot, '
            f"and none of {', '.join(sorted(_TAKEN))}; got {name[:120]!r}"
        )
    return name


def declare_classes(connection: sa.Connection, product: str, names: Iterable[str], by: str, at_ms: int) -> None:
    """Let images of a product be labelled with these too. Raises LabelError, SQLAlchemyError."""
    for name in sorted({checked_class(name) for name in names}):
        add_absent(connection, label_classes, {"product": product, "name": name, "said_by": by, "at_ms": at_ms})


def known_classes(connection: sa.Connection, product: str) -> tuple[str, ...]:
    """In order. Raises SQLAlchemyError."""
    query = sa.select(label_classes.c.name).where(label_classes.c.product == product)
    return tuple(sorted(connection.scalars(query)))


def check_known(known: Iterable[str], wanted: Iterable[str]) -> None:
    """Raises LabelError with every class that is not known."""
    strange = sorted(set(wanted) - set(known))
    if strange:
        listed, declared = ", ".join(map(ascii, strange[:10])), ", ".join(sorted(known)) or "(none)"
        raise LabelError(f"unknown class {listed}, known are {declared}: mend the name, or add it with --new-class")
