"""Plans that were kept: what they hold for, what a change does, and that a broken file stops nothing."""

import shutil
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from station_kit import make_bundle

from edge.config import InferenceSection
from edge.domain.errors import ConfigError, StorageError
from edge.infer.kept_plans import PlanKey, find_plan, keep_plan, kept_plans, key_of, machine_now
from edge.infer.plan import Plan, make_plan
from models.bundle import open_bundle
from models.cpus import CpuGrant, cpu_grant

NOW = datetime(2026, 7, 1, tzinfo=UTC)
KEY = PlanKey("Xeon", 2.0, 2, 2, 1, "2026.4.1", "a" * 64, "INT8", 2, 440.0)
PLAN = Plan(2, 2, 5, 1, pinning=True)


def test_what_is_kept_is_found_again(tmp_path: Path) -> None:
    keep_plan(tmp_path / "plans", KEY, Plan(1, 1, 3), 10.0, NOW)
    path = keep_plan(tmp_path / "plans", KEY, PLAN, 12.0, NOW)
    found = find_plan(tmp_path / "plans", KEY)
    assert (found.plan, found.plan and found.plan.origin) == (PLAN, "tuned")
    assert list((tmp_path / "plans").iterdir()) == [path]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({"cpu": "EPYC"}, "cpu Xeon, now EPYC", id="another CPU"),
        pytest.param({"cpus": 1.5}, "cpus 2.0, now 1.5", id="another quota"),
        pytest.param({"logical": 4}, "logical 2, now 4", id="more CPUs"),
        pytest.param({"cores": 1}, "cores 2, now 1", id="hardware threads of one core"),
        pytest.param({"nodes": 2}, "nodes 1, now 2", id="another NUMA node"),
        pytest.param({"openvino": "2027.1"}, "openvino 2026.4.1, now 2027.1", id="another OpenVINO"),
        pytest.param({"precision": "FP32"}, "precision INT8, now FP32", id="another precision"),
        pytest.param({"cameras": 3}, "cameras 2, now 3", id="another camera"),
        pytest.param({"limit_ms": 90.0}, "limit_ms 440.0, now 90.0", id="another deadline"),
        pytest.param({"graph_sha256": "b" * 64}, "no plan is kept for this model", id="another model"),
    ],
)
def test_a_plan_of_something_else_is_not_used_and_the_difference_is_said(
    tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    keep_plan(tmp_path, KEY, PLAN, 12.0, NOW)
    found = find_plan(tmp_path, replace(KEY, **changes))  # type: ignore[arg-type]
    assert found.plan is None
    assert said in found.why
    assert set(changes) < set(asdict(KEY))


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda text: text[: len(text) // 2], id="half a file"),
        pytest.param(lambda _text: "", id="empty"),
        pytest.param(lambda text: text.replace('"threads":2', '"threads":0'), id="no thread"),
        pytest.param(lambda text: text.replace("inspectd.plan.v1", "inspectd.plan.v9"), id="of another version"),
        pytest.param(lambda text: text + " " * (2 << 20), id="far too large"),
    ],
)
def test_a_damaged_file_is_said_and_stops_nothing(tmp_path: Path, damage: object) -> None:
    path = keep_plan(tmp_path, KEY, PLAN, 12.0, NOW)
    whole = path.read_text().replace('"threads": 2', '"threads":2')
    path.write_text(damage(whole))  # type: ignore[operator]
    found = find_plan(tmp_path, KEY)
    assert found.plan is None
    assert "cannot be used" in found.why
    assert "edge tune" in found.why
    assert [isinstance(key, str) for _path, key in kept_plans(tmp_path)] == [True]


def test_a_damaged_neighbour_hides_no_good_plan(tmp_path: Path) -> None:
    (tmp_path / f"{'a' * 16}-0000.json").write_text("{")
    keep_plan(tmp_path, KEY, PLAN, 12.0, NOW)
    assert find_plan(tmp_path, KEY).plan == PLAN


def test_no_plan_at_all_says_what_to_do(tmp_path: Path) -> None:
    assert find_plan(tmp_path / "none", KEY).why == "no plan is kept for this model: run `edge tune`"


def test_a_folder_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "plans").write_text("a file")
    with pytest.raises(StorageError, match="cannot keep the plan"):
        keep_plan(tmp_path / "plans", KEY, PLAN, 1.0, NOW)


def test_the_key_is_of_machine_model_cameras_and_limit(tmp_path: Path) -> None:
    bundle, grant = make_bundle(tmp_path), CpuGrant((0, 1, 2), 8, 3, 1)
    key = key_of(bundle, grant, 2, 440)
    assert (key.cpus, key.logical, key.cameras, key.limit_ms) == (3.0, 3, 2, 440)
    assert key.digest != key_of(bundle, CpuGrant((0, 1), 8, 2, 1), 2, 440).digest
    copied = open_bundle(Path(shutil.copytree(bundle.path, tmp_path / "copied" / "v1")))
    assert key == key_of(copied, grant, 2, 440)
    assert key.graph_sha256 != key_of(make_bundle(tmp_path / "other", nan_above=250.0), grant, 2, 440).graph_sha256
    assert key_of(bundle, cpu_grant(), 1, 1).machine_differences(machine_now()) == []


@pytest.mark.parametrize(
    ("section", "wanted", "origin"),
    [
        pytest.param({}, Plan(2, 2, 5, 1, pinning=True), "tuned", id="all left open"),
        pytest.param({"threads": 1}, Plan(1, 1, 5, 1, pinning=True), "tuned", id="threads set, streams fit them"),
        pytest.param({"requests": 2}, Plan(2, 2, 2, 1, pinning=True), "tuned", id="requests set"),
        pytest.param(
            {"threads": 4, "streams": 1, "requests": 7}, Plan(4, 1, 7, 1, pinning=True), "station.toml", id="all"
        ),
    ],
)
def test_what_station_toml_says_wins_over_the_kept_plan(section: dict[str, int], wanted: Plan, origin: str) -> None:
    plan = make_plan(InferenceSection(**section), 2, 2, kept=PLAN)  # type: ignore[arg-type]
    assert (plan, plan.origin) == (wanted, origin)


def test_a_kept_plan_never_leaves_a_part_without_a_request() -> None:
    assert make_plan(InferenceSection(), 2, 7, kept=PLAN).requests == 7
    with pytest.raises(ConfigError, match="2 cameras"):
        make_plan(InferenceSection(requests=1), 2, 2, kept=PLAN)
    assert make_plan(InferenceSection(), 2, 2, tiled=True, kept=Plan(2, 2, 6, 3)).per_frame == 3
    assert make_plan(InferenceSection(), 4, 1).origin == "default"
