"""Where a run's work lies on a worker's machine: its data, the champion, what it made; and what of old ones is kept.

Nothing here is missed: what later steps need, and what was proven, lies in the store and its blob store.
"""

import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The files of one run below the worker's folder."""

    root: Path

    @property
    def data(self) -> Path:
        """The snapshot of the labelled images."""
        return self.root / "data"

    @property
    def champion(self) -> Path:
        """Where the champion's bundle is unpacked."""
        return self.root / "champion"

    @property
    def cache(self) -> Path:
        """Where the training keeps its checkpoints."""
        return self.root / "cache"

    @property
    def lock(self) -> Path:
        """Held by the training while it lives."""
        return self.root / "training.lock"

    @property
    def log(self) -> Path:
        """What the training said."""
        return self.root / "training.log"

    @property
    def report(self) -> Path:
        """The proof as a page."""
        return self.root / "proof.html"

    def frozen(self) -> str:
        """Which snapshot lies whole in `data`, by the sha256 of its list; "" for none."""
        file = self.root / "frozen"
        return file.read_text(encoding="ascii") if file.exists() and self.data.exists() else ""

    def freeze(self, snapshot_sha256: str) -> None:
        """Say which snapshot lies there."""
        (self.root / "frozen").write_text(snapshot_sha256, encoding="ascii")

    def bundle(self, bundle: str, version: int) -> Path:
        """The challenger's folder, as `cloud train --out` takes it."""
        return self.root / "out" / bundle / f"v{version}"


def run_folder(folder: Path, run: str) -> RunFolder:
    """The run's folder, made where absent. Raises OSError."""
    root = folder / "runs" / run
    root.mkdir(parents=True, exist_ok=True)
    return RunFolder(root)


def surplus(names: Sequence[str], under_way: Collection[str], newest_first: Sequence[str], keep: int) -> list[str]:
    """Which run folders go: all but those under way and the newest `keep` ended ones.

    Args:
        names: the folders that are there.
        under_way: runs that have not ended.
        newest_first: ended runs, the newest first; a folder of no run that is known goes.
        keep: how many ended ones stay.
    """
    stay = {*under_way, *[name for name in newest_first if name in set(names)][:keep]}
    return sorted(name for name in names if name not in stay)


def clean(folder: Path, under_way: Collection[str], newest_first: Sequence[str], keep: int) -> list[str]:
    """Remove the folders that `surplus` names; returns them. Raises OSError."""
    runs = folder / "runs"
    if not runs.is_dir():
        return []
    gone = surplus([path.name for path in runs.iterdir()], under_way, newest_first, keep)
    for name in gone:
        shutil.rmtree(runs / name)
    return gone
