"""Graphs that a signature makes no better: one that breaks OpenVINO, one that never ends, one that swells, and
one that takes good for bad."""

import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import openvino as ov
from openvino import opset13 as ops
from station_kit import GREY, GRID, SIDE, blob_graph, make_bundle

from models.bundle import MANIFEST, Bundle, file_entries, open_bundle, write_bundle
from models.compile import compile_graph
from models.manifest import SelftestEntry, SelftestFile
from models.spec import Precision

Graph = Callable[[], ov.Model]


def crashing() -> ov.Model:
    """Writes gigabytes behind its own memory: OpenVINO's CPU plugin does not look where an index leads."""
    image, grey = _mean_grey()
    data = ops.broadcast(grey, ops.constant([64]))
    far = ops.convert(ops.multiply(ops.add(grey, np.float32(1)), np.float32(5e7)), "i32")
    written = ops.scatter_elements_update(data, far, grey, ops.constant(0))
    return _answering(image, ops.reshape(ops.reduce_mean(written, ops.constant([0])), ops.constant([1]), False))


def hanging() -> ov.Model:
    """Goes round two thousand million times."""
    image, grey = _mean_grey()
    before = ops.parameter([1], ov.Type.f32, "x")
    after = ops.add(ops.sin(before), np.float32(1e-3))
    loop = ops.loop(ops.constant(np.array(2**31 - 1, np.int32)), ops.constant(np.array(True)))
    loop.set_function(ov.Model([ops.result(after), ops.result(ops.constant(np.array([True])))], [before], "body"))
    loop.set_special_body_ports([-1, 1])
    loop.set_merged_input(before, grey.output(0), after.output(0))
    return _answering(image, loop.get_iter_value(after.output(0), -1))


def swelling() -> ov.Model:
    """Wants 14 GB for one picture."""
    image, grey = _mean_grey()
    large = ops.sin(ops.broadcast(ops.reshape(grey, ops.constant([1, 1]), False), ops.constant([60000, 60000])))
    return _answering(image, ops.reshape(ops.reduce_mean(large, ops.constant([0, 1])), ops.constant([1]), False))


def inverted() -> ov.Model:
    """What its labels taught it the wrong way round: it finds good what is bad, and bad what is good."""
    model = blob_graph()
    image, heat = model.get_parameters()[0], model.output(1).get_node().input_value(0).get_node()
    turned = ops.subtract(np.float32(1), heat)
    return _named(image, ops.reduce_max(turned, ops.constant([1, 2])), turned)


def taught(root: Path, make: Graph, version: int = 7) -> Bundle:
    """A bundle of this graph, whose self-test expects what the graph says."""
    files = _files_with(root, make, version)
    model, cases = compile_graph(files / "model.xml", Precision.FP32), []
    for level in (40, GREY):
        frame = cv2.imread(str(files / "selftest" / f"{level}.png"))
        score = float(model(frame[None])["score"][0])
        cases.append(SelftestEntry(frame=f"{level}.png", score=score, tolerance=0.01))
    (files / "selftest" / "expected.json").write_text(SelftestFile(cases=cases).model_dump_json())
    return _written(root, files, version)


def with_graph(root: Path, make: Graph, version: int = 7) -> Bundle:
    """A bundle whose manifest is as it should be, with this graph in it."""
    return _written(root, _files_with(root, make, version), version)


def _files_with(root: Path, make: Graph, version: int) -> Path:
    whole, files = make_bundle(root / "whole", "blob", version), root / "files"
    shutil.copytree(whole.path, files, ignore=shutil.ignore_patterns(MANIFEST))
    ov.save_model(make(), files / "model.xml", compress_to_fp16=False)
    return files


def _written(root: Path, files: Path, version: int) -> Bundle:
    whole = open_bundle(root / "whole" / "blob" / f"v{version}")
    manifest = whole.manifest.model_copy(update={"files": file_entries(files)})
    return write_bundle(files, root / "blob" / f"v{version}", manifest)


def _mean_grey() -> tuple[ov.Node, ov.Node]:
    image = ops.parameter([1, SIDE, SIDE, 3], ov.Type.u8, name="image")
    return image, ops.reshape(
        ops.reduce_mean(ops.convert(image, "f32"), ops.constant([1, 2, 3])), ops.constant([1]), False
    )


def _answering(image: ov.Node, score: ov.Node) -> ov.Model:
    heat = ops.broadcast(ops.reshape(score, ops.constant([1, 1, 1]), False), ops.constant([1, GRID, GRID]))
    return _named(image, score, heat)


def _named(image: ov.Node, score: ov.Node, heat: ov.Node) -> ov.Model:
    model = ov.Model([ops.result(score), ops.result(heat)], [image], "blob")
    for index, name in enumerate(("score", "map")):
        model.output(index).get_tensor().set_names({name})
    return model
