"""Graphs that a signature makes no better: one that breaks OpenVINO, one that never ends, one that swells."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import openvino as ov
from openvino import opset13 as ops
from station_kit import GRID, SIDE, make_bundle

from models.bundle import MANIFEST, Bundle, file_entries, write_bundle

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


def with_graph(root: Path, make: Graph, version: int = 7) -> Bundle:
    """A bundle whose manifest is as it should be, with this graph in it."""
    whole = make_bundle(root / "whole", "blob", version)
    files = root / "files"
    shutil.copytree(whole.path, files, ignore=shutil.ignore_patterns(MANIFEST))
    ov.save_model(make(), files / "model.xml", compress_to_fp16=False)
    manifest = whole.manifest.model_copy(update={"files": file_entries(files)})
    return write_bundle(files, root / "blob" / f"v{version}", manifest)


def _mean_grey() -> tuple[ov.Node, ov.Node]:
    image = ops.parameter([1, SIDE, SIDE, 3], ov.Type.u8, name="image")
    return image, ops.reshape(
        ops.reduce_mean(ops.convert(image, "f32"), ops.constant([1, 2, 3])), ops.constant([1]), False
    )


def _answering(image: ov.Node, score: ov.Node) -> ov.Model:
    heat = ops.broadcast(ops.reshape(score, ops.constant([1, 1, 1]), False), ops.constant([1, GRID, GRID]))
    model = ov.Model([ops.result(score), ops.result(heat)], [image], "blob")
    for index, name in enumerate(("score", "map")):
        model.output(index).get_tensor().set_names({name})
    return model
