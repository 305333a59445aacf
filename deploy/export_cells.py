"""Solar cells as folders by label, for figures only: `export_cells.py FOLDER`, those that experts were sure of.

`export_cells.py FOLDER all` takes the doubtful ones too, by the side of one half that their probability lies on: the
task of Deitsch et al. 2019 (https://doi.org/10.1016/j.solener.2019.02.067), who published 88.42 % accuracy.

The images are CC BY-NC-SA 4.0 (elpv-dataset): not for commercial use, never shipped.
"""

import shutil
import sys
from pathlib import Path

from edge.demo.cells import LICENCE, load_cells

SURE = (0.0, 1.0)
_HALF = 0.5


def main(folder: Path, *, doubtful: bool) -> None:
    """Copy each cell into the folder of its label."""
    for name in ("good", "defective"):
        (folder / name).mkdir(parents=True)
    for cell in load_cells():
        if doubtful or cell.probability in SURE:
            name = "defective" if cell.probability > _HALF else "good"
            shutil.copyfile(cell.path, folder / name / cell.path.name)
    sys.stderr.write(f"{LICENCE}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), doubtful="all" in sys.argv[2:])
