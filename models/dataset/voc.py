"""Pascal VOC: one XML file per image, anywhere below the root; splits by `ImageSets` or by the folder's name.

A VOC box counts pixels from 1 and includes its last one; here it becomes 0-based with an exclusive end. A left or top
of 0, which strict VOC does not have, stays 0. The image is the one with the XML's own name, in the usual folders or
anywhere below the root if there is one only; then the one that `filename` names. Where the declared size is another
than the image's, the image counts. Images without an XML file are not labelled and are passed over; an XML file without
objects is a good image. Objects marked `difficult` count like any other. XML that is no annotation is passed over.
"""

from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

from models.dataset.drafts import (
    IMAGE_SUFFIXES,
    Draft,
    DraftBox,
    Drafts,
    Faults,
    images_below,
    read_text,
    split_named,
)

FORM = "voc"
_IMAGES = ("JPEGImages", "images", "IMAGES", "Images", "imgs", ".")
_LISTS = ("train", "val", "test")
_MAX_BYTES = 4 << 20


def read(root: Path) -> Drafts | None:
    """Every annotated image, or None if there is no annotation in XML."""
    faults = Faults()
    trees = _trees(root, faults)
    if not trees:
        faults.raise_if_any()
        return None
    declared, pictures = _declared(root, faults), _Pictures(root)
    drafts = [_draft(path, tree, pictures, faults) for path, tree in trees]
    faults.raise_if_any()
    images = tuple(
        replace(draft, split=declared.get(path.stem) or split_named(path.relative_to(root).parts[:-1]))
        for (path, _), draft in zip(trees, drafts, strict=True)
        if draft is not None
    )
    classes = tuple(sorted({box.label for draft in images for box in draft.boxes}))
    return Drafts(FORM, classes, images)


def _trees(root: Path, faults: Faults) -> list[tuple[Path, ET.Element]]:
    """Annotations below the root, by name; hidden files are passed over, unreadable ones are faults."""
    trees = []
    for path in sorted(root.rglob("*.xml")):
        if any(part.startswith(".") for part in path.relative_to(root).parts):
            continue
        try:
            tree = _parse(path)
        except (ET.ParseError, ValueError, LookupError) as fault:
            faults.add(f"{path} is no readable XML ({fault}): mend or remove it")
            continue
        if tree.tag == "annotation":
            trees.append((path, tree))
    return trees


def _parse(path: Path) -> ET.Element:
    """The file's tree; one that declares entities, which no annotation needs, is refused."""
    raw = path.read_bytes()
    if len(raw) > _MAX_BYTES or b"<!ENTITY" in raw:
        raise ValueError("too large, or it declares entities")
    return ET.fromstring(raw)  # noqa: S314 - entities were refused above


def _declared(root: Path, faults: Faults) -> dict[str, str]:
    """Split by image name, from `ImageSets/Main/train.txt` and the like; `trainval` trains what no other list has."""
    lists = {path.stem: path for path in sorted(root.glob("ImageSets/**/*.txt"))}
    found: dict[str, str] = {}
    for split in _LISTS:
        for name in _listed(lists.get(split)):
            if found.setdefault(name, split) != split:
                faults.add(f"{lists[split]}: {name} is listed for {found[name]} too: take it out of one list")
    return dict.fromkeys(_listed(lists.get("trainval")), "train") | found


def _listed(path: Path | None) -> list[str]:
    """Names in a list, without folder and ending."""
    if path is None:
        return []
    names = [Path(line.split()[0]).name for line in read_text(path).splitlines() if line.strip()]
    return [Path(name).stem if Path(name).suffix.lower() in IMAGE_SUFFIXES else name for name in names]


class _Pictures:
    """Where the images are: in the usual folders first, then anywhere below the root."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._by_stem: dict[str, list[Path]] = defaultdict(list)
        for path in images_below(root):
            self._by_stem[path.stem].append(path)

    def of(self, path: Path, filename: str) -> Path | None:
        """The image of an annotation, or None if there is none, or more than one and no saying which."""
        named = Path(filename.replace("\\", "/"))
        stems = [path.stem, *({named.name, named.stem} - {"", path.stem})]
        return next((found for stem in stems if (found := self._of_stem(path, stem)) is not None), None)

    def _of_stem(self, path: Path, stem: str) -> Path | None:
        known = self._by_stem.get(stem, [])
        bases = [base for base in (path.parent, path.parent.parent) if base.is_relative_to(self._root)]
        usual = [base / folder for base in (*bases, self._root) for folder in _IMAGES]
        nearest = next((found for folder in usual for found in known if found.parent == folder), None)
        return nearest or (known[0] if len(known) == 1 else None)


def _draft(path: Path, tree: ET.Element, pictures: _Pictures, faults: Faults) -> Draft | None:
    image = pictures.of(path, (tree.findtext("filename") or "").strip())
    if image is None:
        faults.add(f"{path}: no image of that name, or more than one: restore it or remove the annotation")
        return None
    boxes = [_box(path, index, entry, faults) for index, entry in enumerate(tree.findall("object"), 1)]
    kept = tuple(box for box in boxes if box is not None)
    return Draft(image, kept, bool(kept))


def _box(path: Path, index: int, entry: ET.Element, faults: Faults) -> DraftBox | None:
    where, label = f"{path}: object {index}", (entry.findtext("name") or "").strip()
    texts = [entry.findtext(f"bndbox/{name}") for name in ("xmin", "ymin", "xmax", "ymax")]
    try:
        left, top, right, bottom = (float(text or "") for text in texts)
    except ValueError:
        faults.add(f"{where}: bndbox must hold xmin, ymin, xmax, ymax, got {texts}: mend it")
        return None
    if not label:
        faults.add(f"{where} has no name: say its class")
        return None
    return DraftBox((max(left - 1, min(left, 0)), max(top - 1, min(top, 0)), right, bottom), label, where)
