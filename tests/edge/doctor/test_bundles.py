"""Models that are absent, damaged, refused, unfit or wrong, and plans of other machines."""

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from doctor_kit import expect, on_machine, run_by_us, station_around, well
from station_kit import make_bundle, ungated_int8

from edge.doctor.around import Around
from edge.doctor.finding import Finding
from edge.doctor.rooms.bundles import plans, product, unfinished
from edge.infer.kept_plans import keep_plan, key_of
from edge.infer.plan import Plan
from models.bundle import MANIFEST, file_entries, open_bundle, write_bundle
from models.bundle_store import activate, version_path
from models.cpus import cpu_grant
from models.scratch import UNPACKED, scratch_folder
from models.spec import Precision

PLAIN_CPU = {"proc/cpuinfo": "processor : 0\nmodel name : old\nflags : fpu avx2\n"}


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one good bundle."""
    root = tmp_path_factory.mktemp("store") / "bundles"
    make_bundle(root)
    return root


@pytest.fixture
def around(tmp_path: Path, bundles: Path) -> Around:
    made = station_around(tmp_path)
    shutil.copytree(bundles, made.data_dir / "bundles", symlinks=True)
    return made


def store(around: Around) -> Path:
    return around.data_dir / "bundles"


def look(around: Around) -> list[Finding]:
    assert around.config is not None
    return list(product(around, around.config.product[0]))


def put_active(around: Around, version: int) -> None:
    """As a hand would: the store's own command refuses."""
    link = store(around) / "blob" / "active"
    link.unlink()
    link.symlink_to(f"v{version}")


def test_a_good_model_is_well_and_nothing_is_kept(around: Around) -> None:
    before = sorted(around.data_dir.rglob("*"))
    assert len(well(look(around))) == 2
    assert sorted(around.data_dir.rglob("*")) == before


def test_a_product_without_a_model_is_found(tmp_path: Path) -> None:
    expect(look(station_around(tmp_path)), "bundles.none-yet", "edge calibrate --from good-parts/ -c")


def test_a_product_whose_model_was_never_activated_is_found(around: Around) -> None:
    (store(around) / "blob" / "active").unlink()
    expect(look(around), "bundles.none-active", "edge bundle activate blob VERSION -c")


def test_a_flipped_bit_is_found(around: Around) -> None:
    weights = store(around) / "blob" / "v1" / "model.bin"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x5a")
    expect(look(around), "bundles.damaged", "sha256", "edge bundle rollback blob")


def test_a_model_that_its_gate_refused_is_found(around: Around) -> None:
    ungated_int8(store(around), "blob", 2, "failed")
    put_active(around, 2)
    expect(look(around), "bundles.gate", "failed")


def test_a_recipe_for_another_kind_of_model_is_found(around: Around) -> None:
    recipe = "[product.recipe]\nkind = 'detector'\n[product.recipe.classes.scratch]\n"
    other = station_around(around.data_dir.parent, more=recipe)
    expect(look(other), "bundles.no-fit", "[[product]] blob")


def test_a_model_that_answers_otherwise_than_released_is_found(around: Around) -> None:
    old, files = version_path(store(around), "blob", 1), store(around) / ".source-2"
    shutil.copytree(old, files, ignore=shutil.ignore_patterns(MANIFEST))
    expected = files / "selftest" / "expected.json"
    content = json.loads(expected.read_text())
    content["cases"][0]["score"] = 0.01
    expected.write_text(json.dumps(content))
    changes = {"version": 2, "files": file_entries(files)}
    manifest = open_bundle(old).manifest.model_copy(update=changes)
    write_bundle(files, version_path(store(around), "blob", 2), manifest)
    activate(store(around), "blob", 2)
    expect(look(around), "bundles.self-test", "40.png", "edge bundle verify /")
    with run_by_us(around):
        well(look(around))  # the daemon took it through at its start, and needs its processor


@pytest.mark.parametrize("precision", [Precision.INT8, Precision.BF16])
def test_a_precision_that_this_processor_lacks_is_noted(around: Around, tmp_path: Path, precision: Precision) -> None:
    path = ungated_int8(store(around), "blob", 2, "passed")
    manifest = path / MANIFEST
    content = json.loads(manifest.read_text())
    content["precision"] = precision.value
    manifest.write_text(json.dumps(content))
    put_active(around, 2)
    old = on_machine(around, tmp_path / "root", PLAIN_CPU)
    expect(look(old), "bundles.slow-precision", precision.value.upper())


def test_without_a_plan_that_is_noted(around: Around) -> None:
    expect(plans(around), "bundles.no-plan", "edge tune -c")


def test_a_plan_that_cannot_be_read_or_is_of_another_machine_is_noted(around: Around) -> None:
    key = key_of(open_bundle(store(around) / "blob" / "v1"), cpu_grant(), 1, 400.0)
    folder, plan, now = around.data_dir / "plans", Plan(1, 1, 2), datetime.now(UTC)
    folder.mkdir()
    keep_plan(folder, key, plan, 10.0, now)
    well(plans(around))
    keep_plan(folder, replace(key, cpu="another processor"), plan, 10.0, now)
    (folder / "x.json").write_text("{")
    found = list(plans(around))
    expect(found, "bundles.other-plan", "another process")
    expect(found, "bundles.bad-plan", "x.json")


def test_what_killed_imports_left_is_counted_and_what_one_works_in_is_not(around: Around) -> None:
    with scratch_folder(store(around), UNPACKED) as own:
        (own / "model.bin").write_bytes(bytes(9_000_000))
        assert list(unfinished(around)) == []
        for name in (".unpacked-1", "blob/.making-2"):
            (store(around) / name).mkdir()
            (store(around) / name / "model.bin").write_bytes(bytes(1_500_000))
        expect(unfinished(around), "bundles.unfinished", "2 of killed imports", "3.0 MB", "edge bundle list -c")
    assert (store(around) / ".unpacked-1").exists()
