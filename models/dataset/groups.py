"""What belongs together, said by an `index.csv` at the root, for any form of dataset.

A row names an image by its path below the root (column `file`, `filename`, `image` or `path`) and what it belongs to
(column `group`, `part`, `part_id`, `tile_group`, `board` or `board_group`, the first of these that is there). Commas,
semicolons and tabs separate; the mark that spreadsheets put before the first column is passed over.
"""

import csv
from collections.abc import Collection
from pathlib import Path

from models.dataset.drafts import GROUP_COLUMNS, Faults, read_text
from models.dataset.errors import DatasetError

FILE_COLUMNS = ("file", "filename", "image", "path")
_INDEX = "index.csv"


def read_groups(root: Path, names: Collection[str]) -> dict[str, str]:
    """Group by image name; empty where no index says one.

    Args:
        root: the dataset's folder.
        names: of its images, below the root.

    Raises:
        DatasetError: the index has groups and no file column, names an image that is not there, or gives one image two
            groups: either way a group would be lost, and with it the promise that parts never lie on both sides.
    """
    path = root / _INDEX
    if not path.is_file():
        return {}
    rows = _rows(path)
    columns = [column for column in GROUP_COLUMNS if rows and column in rows[0]]
    files = [column for column in FILE_COLUMNS if rows and column in rows[0]]
    if not columns:
        return {}
    if not files:
        raise DatasetError(f"dataset: {path} has a column {columns[0]!r} and none of {FILE_COLUMNS}: name the images")
    return _by_name(path, [(row[files[0]] or "", row[columns[0]] or "") for row in rows], set(names))


def _rows(path: Path) -> list[dict[str, str]]:
    lines = read_text(path).splitlines()
    separator = max(",;\t", key=lines[0].count) if lines else ","
    try:
        table = list(csv.reader(lines, delimiter=separator))
    except csv.Error as fault:
        raise DatasetError(f"dataset: {path} is no readable table ({fault}): mend it") from fault
    header = [name.strip().lower() for name in table[0]] if table else []
    return [dict(zip(header, (*row, *[""] * len(header)), strict=False)) for row in table[1:] if row]


def _by_name(path: Path, rows: list[tuple[str, str]], names: set[str]) -> dict[str, str]:
    faults = Faults()
    found: dict[str, str] = {}
    for number, (file, group) in enumerate(rows, 2):
        name = file.strip().replace("\\", "/").removeprefix("./")
        if name not in names:
            faults.add(f"{path}: row {number} is for {file!r}, which is no labelled image here: mend or remove the row")
        if found.setdefault(name, group.strip()) != group.strip():
            faults.add(
                f"{path}: row {number} puts {name} into {group!r}, an earlier row into {found[name]!r}: keep one"
            )
    faults.raise_if_any()
    return found
