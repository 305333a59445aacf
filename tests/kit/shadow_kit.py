"""What tests of shadows need: a station, parts one by one, challengers that are no good, and the process of one."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from brokers import eventually
from edge_kit import LineClient
from openvino import opset13 as ops
from station_kit import Station, make_bundle, write_frames

from edge.daemon import Daemon
from edge.shadow.desk import ShadowDesk
from models.bundle import MANIFEST, Bundle, file_entries, open_bundle, write_bundle
from models.bundle_store import activate, next_version, version_path

VERDICTS = ["PASS", "PASS", "PASS", "REJECT"]  # of the station's frames, again and again
_ROUNDS = 1e8


def shadow_station(folder: Path, settings: dict[str, dict[str, object]] | None = None) -> Station:
    """A station whose champion passes three parts and rejects the fourth."""
    made = Station(folder / "station", settings={"line": {"deadline_ms": 4000}, **(settings or {})})
    made.write_config()
    make_bundle(made.bundles)
    write_frames(made.folder / "frames", len(VERDICTS), bad_every=len(VERDICTS))
    return made


def challenger(made: Station, *, nan_above: float | None = None, blindness: float = 1) -> Bundle:
    """The next version of the champion, stored; active for a moment, so make it before the station runs."""
    return _inactive(made, lambda at: make_bundle(made.bundles, version=at, nan_above=nan_above, blindness=blindness))


def renamed(made: Station) -> Bundle:
    """The next version, whose class has another name."""

    def write(at: int) -> Bundle:
        source = open_bundle(version_path(made.bundles, "blob", 1))
        held = source.manifest.model_copy(update={"version": at, "classes": ["scratch"]})
        return write_bundle(copied(source, made, at), version_path(made.bundles, "blob", at), held)

    return _inactive(made, write)


def spinning(made: Station) -> Bundle:
    """The next version, whose graph goes round for minutes on a bright frame, and answers its self-test at once."""

    def write(at: int) -> Bundle:
        source = open_bundle(version_path(made.bundles, "blob", 1))
        files = copied(source, made, at)
        ov.save_model(spinning_graph(source), files / "model.xml", compress_to_fp16=False)
        held = source.manifest.model_copy(update={"version": at, "files": file_entries(files)})
        return write_bundle(files, version_path(made.bundles, "blob", at), held)

    return _inactive(made, write)


def spinning_graph(source: Bundle) -> ov.Model:
    """The bundle's graph with a loop in front whose rounds grow with the brightness above 130."""
    model = ov.Core().read_model(source.model_xml)
    (parameter,), score = model.get_parameters(), model.output("score").get_node().input_value(0)
    mean = ops.reduce_mean(ops.convert(parameter, "f32"), ops.constant([0, 1, 2, 3]), keep_dims=False)
    over = ops.relu(ops.sign(ops.subtract(mean, np.float32(130))))
    rounds = ops.add(ops.convert(ops.multiply(over, np.float32(_ROUNDS)), "i32"), np.int32(1))
    value = ops.parameter([1], ov.Type.f32)
    more = ops.constant(np.array([True]))
    body = ov.Model([ops.add(value, np.float32(0)), more], [value])
    loop = ops.loop(rounds, ops.constant(np.array([True])))
    loop.set_function(body)
    loop.set_special_body_ports([-1, 1])
    loop.set_merged_input(value, ops.constant(np.zeros(1, np.float32)).output(0), body.get_results()[0].output(0))
    nothing = loop.get_iter_value(body.get_results()[0].output(0), -1)
    zero = ops.reduce_sum(nothing, ops.constant([0]), keep_dims=False)
    outputs = [ops.result(ops.add(score, zero)), model.output("map").get_node()]
    made = ov.Model([outputs[0], outputs[1]], [parameter], "spinning")
    for index, name in enumerate(("score", "map")):
        made.output(index).get_tensor().set_names({name})
    return made


def copied(source: Bundle, made: Station, version: int) -> Path:
    """The bundle's files in a folder of their own, without a manifest."""
    import shutil

    files = made.bundles / f".source-copy-{version}"
    shutil.copytree(source.path, files, ignore=shutil.ignore_patterns(MANIFEST))
    return files


def desk(running: Daemon) -> ShadowDesk:
    """The daemon's."""
    return running._station.shadow  # noqa: SLF001


def state(running: Daemon) -> str:
    """Of the shadow of product `blob`."""
    return desk(running).figures("blob").state


def begin(running: Daemon, bundle: Bundle) -> None:
    """Begin a shadow and wait until it looks."""
    desk(running).begin("blob", bundle)
    eventually(lambda: state(running) != "loading", 60)


def serve(line: LineClient, running: Daemon, parts: int, name: str = "p") -> list[str]:
    """The verdicts of so many parts; while a challenger looks, each is triggered once it had its turn at the last."""
    verdicts = []
    for number in range(parts):
        before = _seen(running)
        line.trigger(f"{name}-{number}")
        told: dict[str, Any] = line.hear()
        verdicts.append(told["verdict"])
        line.ack(f"{name}-{number}")
        if state(running) == "looking":
            eventually(lambda before=before: _seen(running) != before or state(running) != "looking", 60)  # type: ignore[misc]
    return verdicts


def processes() -> list[int]:
    """The challengers' processes of this one."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            ours = parent == os.getpid() and b"edge.shadow.child" in (folder / "cmdline").read_bytes()
        except (OSError, IndexError):
            continue
        if ours:
            found.append(int(folder.name))
    return found


def _seen(running: Daemon) -> tuple[int, int]:
    figures = desk(running).figures("blob")
    return figures.restarts, figures.parts + figures.skipped


def _inactive(made: Station, write: Callable[[int], Bundle]) -> Bundle:
    bundle = write(next_version(made.bundles, "blob"))
    activate(made.bundles, "blob", 1)
    return bundle
