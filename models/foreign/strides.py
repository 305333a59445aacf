"""The grid that an anchor-free yolo leaves to its reader."""

from collections.abc import Sequence

import numpy as np

from models.detections import FloatArray
from models.spec import InputSpec


def grid_of(strides: Sequence[int], spec: InputSpec) -> tuple[FloatArray, FloatArray]:
    """Column and row of every cell (N, 2), and its stride (N, 1), row by row, in the order of the strides.

    Source: Ge et al. 2021, YOLOX, https://arxiv.org/abs/2107.08430, its reference demo.
    """
    cells, sizes = [], []
    for stride in strides:
        rows, columns = np.meshgrid(np.arange(spec.height // stride), np.arange(spec.width // stride), indexing="ij")
        cells.append(np.stack([columns, rows], 2).reshape(-1, 2))
        sizes.append(np.full((len(cells[-1]), 1), stride))
    return np.concatenate(cells).astype(np.float32), np.concatenate(sizes).astype(np.float32)
