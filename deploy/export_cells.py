"""The solar cells that experts were sure of, as folders by label: `export_cells.py FOLDER`; for figures only.

The images are CC BY-NC-SA 4.0 (elpv-dataset): not for commercial use, never shipped.
"""

import shutil
import sys
from pathlib import Path

from edge.demo.cells import LICENCE, load_cells

NAMES = {0.0: "good", 1.0: "defective"}


def main(folder: Path) -> None:
    """Copy each cell of probability 0 or 1 into the folder of its label."""
    for name in NAMES.values():
        (folder / name).mkdir(parents=True)
    for cell in load_cells():
        if cell.probability in NAMES:
            shutil.copyfile(cell.path, folder / NAMES[cell.probability] / cell.path.name)
    sys.stderr.write(f"{LICENCE}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
