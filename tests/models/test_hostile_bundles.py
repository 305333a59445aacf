"""Bundles and model files from strangers: no name leaves the folder, nothing is read for ever."""

import json
import os
import shutil
from pathlib import Path

import pytest
from onnx_kit import write_yolo8_onnx
from station_kit import make_bundle

from edge.domain.errors import ConfigError
from edge.importing import ImportRequest, take_import
from models.bundle import MANIFEST, open_bundle
from models.errors import ModelError, RequestError
from models.foreign.graph import read_graph
from models.foreign.head import PixelInput, read_head
from models.progress import SilentProgress

PIXELS = PixelInput(layout="NCHW", colour="rgb", scale=255)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("bundles")).path


@pytest.fixture
def bundle(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "v1"))


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "a/../../b",
        "..",
        "./model.bin",
        "a//b",
        "a\\..\\b",
        "model.bin\n",
        "a\0b",
        "",
    ],
)
def test_a_manifest_that_names_a_path_outside_is_refused(bundle: Path, name: str) -> None:
    manifest = json.loads((bundle / MANIFEST).read_text())
    manifest["files"][name] = manifest["files"]["model.bin"]
    (bundle / MANIFEST).write_text(json.dumps(manifest))

    with pytest.raises(ModelError, match="files"):
        open_bundle(bundle)


@pytest.mark.parametrize("bundle_id", ["../x", "a/b", "/", ".x", "A", "x" * 65, "a\n"])
def test_an_import_under_a_name_that_is_a_path_is_refused(bundle: Path, bundle_id: str, tmp_path: Path) -> None:
    store = tmp_path / "store"
    with pytest.raises((ModelError, ConfigError)):
        take_import(ImportRequest(bundle, store, bundle_id=bundle_id), SilentProgress())

    manifest = json.loads((bundle / MANIFEST).read_text())
    (bundle / MANIFEST).write_text(json.dumps(manifest | {"id": bundle_id}))
    with pytest.raises(ModelError, match="id"):
        take_import(ImportRequest(bundle, store), SilentProgress())
    assert not list(tmp_path.rglob("x/*.xml"))
    assert not store.exists()


def test_a_link_in_a_bundle_brings_no_file_of_the_machine_along(bundle: Path) -> None:
    (bundle / "model.bin").unlink()
    (bundle / "model.bin").symlink_to("/etc/passwd")
    with pytest.raises(ModelError, match="symlink"):
        open_bundle(bundle)


def test_a_pipe_in_a_bundle_is_not_waited_for(bundle: Path) -> None:
    (bundle / "model.bin").unlink()
    os.mkfifo(bundle / "model.bin")
    with pytest.raises(ModelError, match="no plain file"):
        open_bundle(bundle)


def test_an_endless_file_in_a_bundle_is_not_read(bundle: Path) -> None:
    with (bundle / "model.bin").open("r+b") as file:
        file.truncate(1 << 42)
    with pytest.raises(ModelError, match="bytes, expected"):
        open_bundle(bundle)


def test_an_endless_head_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "head.toml").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(RequestError, match="larger than"):
        read_head(tmp_path / "head.toml")


@pytest.mark.parametrize("way", ["up", "absolute", "link"])
def test_a_model_that_names_a_file_elsewhere_as_its_weights_is_refused(way: str, tmp_path: Path) -> None:
    secret, folder = tmp_path / "secret.bin", tmp_path / "given"
    secret.write_bytes(bytes(1000))
    folder.mkdir()
    (folder / "weights.bin").symlink_to(secret)
    named = {"up": "../secret.bin", "absolute": str(secret), "link": "weights.bin"}[way]

    with pytest.raises(ModelError, match="OpenVINO reads no model"):
        read_graph(write_yolo8_onnx(folder / "model.onnx", kernel_file=named), PIXELS)
