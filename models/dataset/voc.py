"""Pascal VOC: one XML file per image in `Annotations`, images in `JPEGImages` or beside, splits in `ImageSets`.

A VOC box counts pixels from 1 and includes its last one; here it becomes 0-based with an exclusive end. Where the XML's
file name has no or another ending, or is another's, the image with the XML's own name is taken.
"""

from pathlib import Path
from xml.etree import ElementTree as ET

from models.dataset.drafts import IMAGE_SUFFIXES, Draft, DraftBox, Drafts, Faults, first_file, split_named

FORM = "voc"
_ANNOTATIONS = ("Annotations", "annotations", "ANNOTATIONS", "labels", ".")
_IMAGES = ("JPEGImages", "images", "IMAGES", "Images", "imgs", ".")
_MAX_BYTES = 4 << 20


def read(root: Path) -> Drafts | None:
    """Every annotated image, or None if there is no annotation in XML."""
    files = _files(root)
    if not files:
        return None
    faults, declared = Faults(), _declared(root)
    drafts = [_draft(root, path, declared, faults) for path in files]
    faults.raise_if_any()
    images = tuple(draft for draft in drafts if draft is not None)
    classes = tuple(sorted({box.label for draft in images for box in draft.boxes}))
    return Drafts(FORM, classes, images)


def _files(root: Path) -> list[Path]:
    """XML files of the first folder that has some, also one level down (`train/annotations`)."""
    folders = [root / name for name in _ANNOTATIONS]
    for folder in (
        *folders,
        *(inner / name for inner in sorted(root.iterdir()) if inner.is_dir() for name in _ANNOTATIONS),
    ):
        if folder.is_dir() and (found := sorted(folder.glob("*.xml"))):
            others = [path for name in _ANNOTATIONS for path in sorted(root.glob(f"*/{name}/*.xml"))]
            return found if folder.parent in (root, root.parent) else sorted(set(others))
    return []


def _declared(root: Path) -> dict[str, str]:
    """Split by image name, from `ImageSets/Main/train.txt` and the like."""
    lists = {path: split_named([path.stem]) for path in sorted(root.glob("ImageSets/**/*.txt"))}
    return {
        line.split()[0]: split
        for path, split in lists.items()
        if split
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.strip()
    }


def _draft(root: Path, path: Path, declared: dict[str, str], faults: Faults) -> Draft | None:
    try:
        tree = _parse(path)
    except (ET.ParseError, ValueError) as fault:
        faults.add(f"{path} is no readable XML ({fault}): mend or remove it")
        return None
    image = _image(root, path, tree.findtext("filename") or "")
    if image is None:
        faults.add(f"{path}: no image of that name below {root}: restore it or remove the annotation")
        return None
    boxes = [_box(path, index, entry, faults) for index, entry in enumerate(tree.findall("object"))]
    kept = tuple(box for box in boxes if box is not None)
    split = declared.get(path.stem) or split_named([path.parent.parent.name])
    return Draft(image, kept, bool(kept), split=split)


def _parse(path: Path) -> ET.Element:
    """The file's tree; one that declares entities, which no annotation needs, is refused."""
    raw = path.read_bytes()
    if len(raw) > _MAX_BYTES or b"<!ENTITY" in raw:
        raise ValueError("too large, or it declares entities")
    return ET.fromstring(raw)  # noqa: S314 - entities were refused above


def _image(root: Path, path: Path, name: str) -> Path | None:
    folders = [base / folder for base in (root, path.parent.parent, path.parent) for folder in _IMAGES]
    stems = [path.stem, *([Path(name).name] if name else [])]
    names = [stem + suffix for stem in stems[:1] for suffix in (*IMAGE_SUFFIXES, *(s.upper() for s in IMAGE_SUFFIXES))]
    return first_file(folder / file for file in [*names, *stems[1:]] for folder in folders)


def _box(path: Path, index: int, entry: ET.Element, faults: Faults) -> DraftBox | None:
    where, label = f"{path}: object {index + 1}", (entry.findtext("name") or "").strip()
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
