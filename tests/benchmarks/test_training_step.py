"""What the trainer's step gains: BF16, depthwise gradients, kept memory; each in a process of its own, in turn."""

import subprocess
import sys
from pathlib import Path
from statistics import median

import pytest
import timed_steps

from models.cpus import has_bf16

pytestmark = pytest.mark.benchmark
ROUNDS = 3
WAYS = ["chosen", "fp32", "torchs depthwise", "memory given back", "torchs depthwise, memory given back"]


def step_s(way: str) -> float:
    words = [sys.executable, str(Path(timed_steps.__file__)), way]
    return float(subprocess.run(words, capture_output=True, text=True, timeout=300, check=True).stdout)


def test_the_step_against_torchs_defaults() -> None:
    if not has_bf16():
        pytest.skip("this CPU has no BF16: there is nothing to choose")
    rounds = [{way: step_s(way) for way in WAYS} for _ in range(ROUNDS)]
    found = {way: median(turn[way] for turn in rounds) for way in WAYS}
    chosen = found.pop("chosen")
    sys.stdout.write(
        f"\ntraining step, 16 crops of 320 with reference, all cores, BF16: {chosen:.3f} s; "
        + ", ".join(f"{way} {value / chosen:.2f}x" for way, value in found.items())
    )
    assert found["torchs depthwise, memory given back"] / chosen > 1.1
