"""Whatever comes in on any topic, in station.toml or a manifest: one of the declared errors, or it is right."""

import os
import random
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from fuzz_files import config_target, head_target, manifest_target, selftest_target
from fuzz_hub import hub_targets
from fuzz_kit import Target
from fuzz_station import station_targets

SHORT_INPUTS = 4000
LEAST_INPUTS = 100
SOAK_INPUTS = 1_000_000


@pytest.fixture
def targets(tmp_path: Path) -> Iterator[list[Target]]:
    with ExitStack() as stack:
        made = stack.enter_context(hub_targets(tmp_path)) + stack.enter_context(station_targets(tmp_path))
        files = [config_target(tmp_path), head_target(tmp_path), manifest_target(tmp_path), selftest_target(tmp_path)]
        yield made + files


def shares(targets: list[Target], inputs: int) -> list[tuple[Target, int]]:
    whole = sum(target.share for target in targets)
    return [(target, max(LEAST_INPUTS, round(inputs * target.share / whole))) for target in targets]


def test_damaged_input_raises_what_is_declared_and_changes_nothing(targets: list[Target]) -> None:
    for target, count in shares(targets, SHORT_INPUTS):
        target.run(7, count)
        assert target.refused > 0, target.name
        assert target.accepted > 0, target.name


@pytest.mark.soak
@pytest.mark.timeout(5400)
def test_a_million_damaged_inputs(targets: list[Target]) -> None:
    seed = os.environ.get("FUZZ_SEED") or str(random.SystemRandom().randrange(10**9))
    say(f"FUZZ_SEED={seed}")
    for target, count in shares(targets, SOAK_INPUTS):
        target.run(seed, count, say)
        assert target.refused > 0, target.name
        assert target.accepted > 0, target.name


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
