"""`cloud work` with quick programs in place of the long ones: `python quick_worker.py CLOUD_TOML`."""

import sys
from pathlib import Path

import quick_programs

from cloud_sync.hub.files.blobs import Blobs
from cloud_sync.hub.labels.dataset import DatasetNeeds
from cloud_sync.hub.labels.made import DatasetMade, Holdout
from cloud_sync.hub.retraining.cloud_toml import CloudConfig, load_config
from cloud_sync.hub.retraining.production import Production
from cloud_sync.hub.retraining.runs import Runs
from cloud_sync.hub.retraining.steps import Steps
from cloud_sync.hub.retraining.working import work_until_signal


def frozen(place: str, blobs: Blobs, product: str, out: Path, kind: str, needs: DatasetNeeds) -> DatasetMade:
    """A snapshot of two files."""
    del place, blobs, kind, needs
    (out / "images").mkdir(parents=True)
    (out / "images" / "a.png").write_bytes(b"picture")
    (out / "labels.json").write_text(product)
    holdout = Holdout(1, {"bright": 1}, 1, 0, (), 0)
    return DatasetMade(out, "ab" * 32, 3, 7, holdout, {"train": {"bright": 1, "good": 1}}, {}, ())


def quick_steps(config: CloudConfig, runs: Runs) -> Steps:
    return Production(config, runs, frozen, quick_programs.programs()).steps


if __name__ == "__main__":
    work_until_signal(load_config(Path(sys.argv[1])), quick_steps, as_json=True)
