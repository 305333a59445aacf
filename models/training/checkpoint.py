"""Where a run stands, on disk: whole or not there, and only for the run it belongs to.

A checkpoint is written beside, synced and renamed over the last one, so that a kill at any moment leaves one that can
be read. It holds everything the next step depends on; pictures need no state (see `augment`).
"""

import hashlib
import os
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from models.durable import sync_directory
from models.errors import ModelError

NAME = "checkpoint.pt"
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A run after `step` steps.

    Args:
        run: what the run computes, as a digest; a checkpoint of another run is refused.
        step: steps done since the start.
        network: the network's state.
        average: the averaged network's.
        optimizer: the optimizer's.
        seconds: spent so far.
        history: one row per epoch, for the report.
        sums: of the losses since the epoch began.
    """

    run: str
    step: int
    network: dict[str, Any]
    average: dict[str, Any]
    optimizer: dict[str, Any]
    seconds: float
    history: list[dict[str, float]]
    sums: list[float]


def save(folder: Path, checkpoint: Checkpoint) -> None:
    """Replace the folder's checkpoint, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    beside = folder / f".{NAME}.new"
    with beside.open("wb") as file:
        torch.save({"format": _FORMAT, **{name: getattr(checkpoint, name) for name in checkpoint.__slots__}}, file)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(folder / NAME)
    sync_directory(folder)


def load(folder: Path, run: str) -> Checkpoint | None:
    """The folder's checkpoint, or None if it has none.

    Raises:
        ModelError: it cannot be read, or belongs to another run.
    """
    path = folder / NAME
    if not path.is_file():
        return None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        version = content.pop("format")
        checkpoint = Checkpoint(**content)
    except (RuntimeError, KeyError, TypeError, EOFError, ValueError, AttributeError, pickle.UnpicklingError) as fault:
        raise ModelError(f"training: {path} cannot be read ({fault}): remove it to start anew") from fault
    if version != _FORMAT or checkpoint.run != run:
        raise ModelError(f"training: {path} belongs to another run or version: remove it or choose another cache")
    return checkpoint


def weights_digest(network: nn.Module) -> str:
    """Names a network by its weights: sha256 in hex."""
    seen = hashlib.sha256()
    for name, value in network.state_dict().items():
        seen.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return seen.hexdigest()
