import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops
from station_kit import blob_graph, make_bundle

from models.bundle import MANIFEST, file_entries, open_bundle, write_bundle
from models.compile import compile_bundle, compile_graph, save_graph
from models.errors import ModelError
from models.manifest import Manifest
from models.selftest import check_selftest, run_selftest
from models.spec import Kind, Precision


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("bundles")).path


@pytest.fixture
def bundle(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "v1"))


def edit(bundle: Path, change: Callable[[dict[str, object]], None]) -> None:
    manifest = json.loads((bundle / MANIFEST).read_text())
    change(manifest)
    (bundle / MANIFEST).write_text(json.dumps(manifest))


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_a_whole_bundle_opens_and_tells_what_it_is(bundle: Path) -> None:
    opened = open_bundle(bundle)
    assert (opened.model_id.id, opened.model_id.version, opened.precision) == ("blob", 1, Precision.FP32)
    assert opened.spec.kind is Kind.ANOMALY
    assert [case.frame.name for case in opened.selftest] == ["40.png", "128.png"]
    assert opened.model_xml.is_file()
    assert opened.fp32_xml.is_file()


def test_the_digest_is_that_of_the_manifest_and_covers_every_file(bundle: Path) -> None:
    before = open_bundle(bundle).model_id.sha256
    edit(bundle, lambda manifest: manifest.update(tools={"openvino": "other"}))
    assert open_bundle(bundle).model_id.sha256 != before


TAMPERED = [
    pytest.param(lambda path: flip_a_bit(path / "model.bin"), r"model\.bin has sha256", id="flipped-bit"),
    pytest.param(lambda path: flip_a_bit(path / "selftest/40.png"), r"40\.png has sha256", id="flipped-bit-in-frame"),
    pytest.param(lambda path: (path / "model.bin").write_bytes(b""), r"model\.bin has 0 bytes, expected", id="cut"),
    pytest.param(lambda path: (path / "model.xml").unlink(), r"lacks model\.xml", id="missing"),
    pytest.param(lambda path: (path / "plugin.so").write_bytes(b"x"), r"holds plugin\.so", id="extra"),
    pytest.param(lambda path: (path / MANIFEST).unlink(), r"no bundle\.json", id="no-manifest"),
    pytest.param(lambda path: (path / MANIFEST).write_text("{"), "the whole file", id="no-json"),
    pytest.param(lambda path: edit(path, lambda m: m.update(extra=1)), "extra", id="unknown-key"),
    pytest.param(lambda path: edit(path, lambda m: m.update(schema="inspectd/bundle/9")), "schema", id="other-schema"),
    pytest.param(lambda path: edit(path, lambda m: m.pop("gate")), "gate", id="no-gate"),
    pytest.param(lambda path: edit(path, lambda m: m.update(version=0)), "version", id="version-0"),
]


@pytest.mark.parametrize(("tamper", "message"), TAMPERED)
def test_a_tampered_bundle_is_refused_by_name(bundle: Path, tamper: Callable[[Path], object], message: str) -> None:
    tamper(bundle)
    with pytest.raises(ModelError, match=message):
        open_bundle(bundle)


@pytest.mark.parametrize("name", ["../outside.bin", "/etc/passwd", "a/../../b", "./model.xml", "", "fp32//model.xml"])
def test_a_name_that_leads_out_of_the_bundle_is_refused(bundle: Path, name: str) -> None:
    (bundle.parent / "outside.bin").write_bytes(b"")
    entry = {"sha256": "0" * 64, "size_bytes": 0}
    edit(bundle, lambda manifest: manifest["files"].update({name: entry}))  # type: ignore[attr-defined]
    with pytest.raises(ModelError, match="files"):
        open_bundle(bundle)


@pytest.mark.parametrize("name", ["model.bin", "selftest", MANIFEST])
def test_a_symlink_is_refused_even_to_the_right_content(bundle: Path, name: str) -> None:
    (bundle / name).rename(bundle.parent / "moved")
    (bundle / name).symlink_to(bundle.parent / "moved")
    with pytest.raises(ModelError, match=r"symlink|no bundle\.json"):
        open_bundle(bundle)


def test_a_bundle_is_never_overwritten(bundle: Path, tmp_path: Path) -> None:
    manifest = open_bundle(bundle).manifest
    with pytest.raises(ModelError, match="never changes"):
        write_bundle(tmp_path, bundle, manifest)


def test_what_does_not_verify_is_not_put_in_place(bundle: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(bundle, source)
    (source / MANIFEST).unlink()
    manifest: Manifest = open_bundle(bundle).manifest
    flip_a_bit(source / "model.bin")
    assert file_entries(source) != manifest.files
    with pytest.raises(ModelError, match=r"model\.bin"):
        write_bundle(source, tmp_path / "store" / "v2", manifest)
    assert list((tmp_path / "store").iterdir()) == []


def test_the_self_test_passes_here_and_fails_on_another_answer(bundle: Path) -> None:
    opened = open_bundle(bundle)
    compiled = compile_bundle(opened, threads=1)
    check_selftest(opened, compiled)
    assert all(result.passed for result in run_selftest(opened, compiled))
    broken = compile_graph(blob_graph(nan_above=100.0), Precision.FP32, threads=1)
    with pytest.raises(ModelError, match=r"self-test frame 128\.png gives nan"):
        check_selftest(opened, broken)


def test_opening_a_bundle_imports_nothing_heavy(bundle: Path) -> None:
    """A station that only runs installs neither nncf nor scipy."""
    code = (
        "import sys, pathlib; from models.bundle import open_bundle; import models.bundle_store, models.compile, "
        "models.verify, models.selftest; open_bundle(pathlib.Path(sys.argv[1])); "
        "print(sorted({'nncf', 'scipy', 'matplotlib', 'torch', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(bundle)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_graph_that_a_full_disk_does_not_take_is_an_error_of_the_disk(tmp_path: Path) -> None:
    """OpenVINO says "basic_ios::clear: iostream error", which ended `edge calibrate` in a traceback."""
    parameter = ops.parameter([1, 500], np.float32)
    weights = ops.constant(np.ones((500, 500), np.float32))
    graph = ov.Model([ops.matmul(parameter, weights, False, False)], [parameter])
    (tmp_path / "model.bin").symlink_to("/dev/full")
    with pytest.raises(OSError, match="the graph cannot be written"):
        save_graph(graph, tmp_path / "model.xml")
