"""What tuning gains over OpenVINO's own THROUGHPUT hint, where a control group grants fewer CPUs than are seen and not.

Each row is a process of its own in a control group of its own. Ratios are the middle of rounds in turns. The floors are
what a defect would fall through; the aims (1.3 under a quota, 0.97 without) are printed beside.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from full_size_kit import anomaly_256, detector_640
from paced_kit import prepared
from quota_kit import inside, quota_group

from models.bundle import Bundle

pytestmark = pytest.mark.benchmark
SCRIPT = Path(__file__).parents[1] / "kit" / "tuned_under_quota.py"
SECONDS = 12


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Bundle]:
    root, frames = tmp_path_factory.mktemp("bundles"), prepared(4)
    return {"anomaly 256": anomaly_256(root, frames), "detector 640": detector_640(root, frames)}


@pytest.mark.parametrize("quota", [None, 1.5, 1.0, 0.5], ids=["all CPUs", "1.5 CPUs", "1 CPU", "half a CPU"])
@pytest.mark.parametrize("model", ["anomaly 256", "detector 640"])
def test_times_the_throughput_hint(bundles: dict[str, Bundle], model: str, quota: float | None) -> None:
    with quota_group(quota, first=True) as group:
        command = [sys.executable, str(SCRIPT), str(bundles[model].path), "1", str(SECONDS), str(group)]
        done = subprocess.run(inside(group, command), capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    aim = 0.97 if quota is None else 1.3
    sys.stdout.write(
        f"\n{model}, quota {quota}: {found['ratio']} times the hint (aim {aim}): {json.dumps(found, indent=1)}"
    )
    assert found["ratio"] > 0.8
