"""A detector that was trained for the tests, with all that its precision is chosen by."""

from dataclasses import dataclass

import openvino as ov

from models.ladder import Ladder
from models.training.pictures import Gallery
from models.training.train import Trained


@dataclass(frozen=True, eq=False)
class Taught:
    """A small detector that has really learned the painted pictures."""

    trained: Trained
    gallery: Gallery
    graph: ov.Model
    ladder: Ladder
