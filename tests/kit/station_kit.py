"""What tests need of a station: a small real bundle, frames, a station.toml, and its processes."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import openvino as ov
from openvino import opset13 as ops

from cloud_sync.wire.broker import free_port
from edge.processes import command
from models.bundle import MANIFEST, Bundle, file_entries, open_bundle, write_bundle
from models.bundle_store import activate, version_path
from models.compile import compile_graph
from models.letterbox import letterbox_into, placement
from models.manifest import GateRecord, InputEntry, Manifest, SelftestEntry, SelftestFile
from models.spec import InputSpec, Kind, Precision

SIDE = 64
GRID = 8
GREY = 128
INPUT = InputSpec("image", SIDE, SIDE)


def blob_graph(nan_above: float | None = None, blindness: float = 1) -> ov.Model:
    """An anomaly graph that is quick to compile: how far each cell of an 8 x 8 grid is from mid grey.

    The greater its blindness, the greater a difference it takes for nothing.

    A frame whose mean brightness is above `nan_above` gets NaN, as a graph with a broken weight would give.
    """
    image = ops.parameter([1, SIDE, SIDE, 3], ov.Type.u8, name="image")
    grey = ops.reduce_mean(ops.convert(image, "f32"), ops.constant([3]), keep_dims=True)
    planes = ops.transpose(grey, ops.constant([0, 3, 1, 2]))
    step = SIDE // GRID
    pooled = ops.avg_pool(planes, [step, step], [0, 0], [0, 0], [step, step], exclude_pad=True)
    distance = ops.divide(ops.abs(ops.subtract(pooled, np.float32(GREY))), np.float32(64 * blindness))
    if nan_above is not None:
        mean = ops.reduce_mean(grey, ops.constant([1, 2, 3]))
        broken = ops.sqrt(ops.subtract(np.float32(0), ops.relu(ops.subtract(mean, np.float32(nan_above)))))
        distance = ops.add(distance, broken)
    heat = ops.divide(distance, ops.add(distance, np.float32(1)))
    heat_map = ops.reshape(heat, ops.constant([1, GRID, GRID]), special_zero=False)
    score = ops.reduce_max(heat_map, ops.constant([1, 2]))
    model = ov.Model([ops.result(score), ops.result(heat_map)], [image], "blob")
    for index, name in enumerate(("score", "map")):
        model.output(index).get_tensor().set_names({name})
    return model


def make_bundle(
    root: Path,
    bundle_id: str = "blob",
    version: int = 1,
    *,
    nan_above: float | None = None,
    blindness: float = 1,
    dataset_sha256: str = "0" * 64,
) -> Bundle:
    """Write the blob graph as a bundle and make it active; its self-test frames are dark and of mid grey."""
    source = root / f".source-{bundle_id}-{version}"
    (source / "selftest").mkdir(parents=True)
    (source / "fp32").mkdir()
    model = blob_graph(nan_above, blindness)
    ov.save_model(model, source / "model.xml", compress_to_fp16=False)
    ov.save_model(model, source / "fp32" / "model.xml", compress_to_fp16=False)
    cases = [_selftest_case(source, model, f"{level}.png", level) for level in (40, GREY)]
    (source / "selftest" / "expected.json").write_text(SelftestFile(cases=cases).model_dump_json())
    (source / "report.html").write_text("<!doctype html><title>test bundle</title>")
    manifest = Manifest(
        id=bundle_id,
        kind=Kind.ANOMALY,
        version=version,
        classes=["anomaly"],
        inputs=[InputEntry(name="image", height=SIDE, width=SIDE)],
        precision=Precision.FP32,
        dataset_sha256=dataset_sha256,
        metrics={},
        thresholds={},
        gate=GateRecord(outcome="not run", reason="a graph for tests", images=0),
        tools={"openvino": ov.__version__},
        created_at=datetime.now(UTC),
        files=file_entries(source),
    )
    bundle = write_bundle(source, version_path(root, bundle_id, version), manifest)
    activate(root, bundle_id, version)
    return bundle


def ungated_int8(root: Path, bundle_id: str, version: int, outcome: str) -> Path:
    """The next version of a bundle, copied in by hand, that runs in INT8 though its gate said `outcome`."""
    last = version_path(root, bundle_id, version - 1)
    held = open_bundle(last).manifest
    gate = held.gate.model_copy(update={"outcome": outcome, "reason": "AUROC drops by 0.3"})
    files = root / f".source-{bundle_id}-{version}"
    shutil.copytree(last, files, ignore=shutil.ignore_patterns(MANIFEST))
    changes = {"version": version, "precision": Precision.INT8, "gate": gate}
    return write_bundle(files, version_path(root, bundle_id, version), held.model_copy(update=changes)).path


def _selftest_case(source: Path, model: ov.Model, name: str, level: int) -> SelftestEntry:
    frame = np.full((SIDE, SIDE, 3), level, np.uint8)
    cv2.imwrite(str(source / "selftest" / name), frame)
    tensor = np.empty((1, SIDE, SIDE, 3), np.uint8)
    letterbox_into(frame, tensor[0], placement(SIDE, SIDE, INPUT), INPUT)
    score = float(compile_graph(model, Precision.FP32)(tensor)["score"][0])
    return SelftestEntry(frame=name, score=score, tolerance=0.01)


def good_frame(size: tuple[int, int] = (80, 60), seed: int = 0) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A frame (H, W, 3) of mid grey with a little noise, which the blob graph finds good."""
    noise = np.random.default_rng(seed).integers(-8, 9, (size[1], size[0], 3))
    return (GREY + noise).astype(np.uint8)


def bad_frame(size: tuple[int, int] = (80, 60), seed: int = 0) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A good frame with a white blot, which the blob graph finds bad."""
    frame = good_frame(size, seed)
    frame[20:40, 30:50] = 255
    return frame


def write_frames(folder: Path, count: int, *, bad_every: int = 0) -> set[str]:
    """Fill a folder with frames in the order of their names; returns the names of the bad ones."""
    folder.mkdir(parents=True)
    bad = set()
    for number in range(1, count + 1):
        name = f"{number:06d}.png"
        is_bad = bool(bad_every) and number % bad_every == 0
        cv2.imwrite(str(folder / name), bad_frame(seed=number) if is_bad else good_frame(seed=number))
        if is_bad:
            bad.add(name)
    return bad


@dataclass
class Station:
    """A station's folder, ports and configuration."""

    folder: Path
    broker: str | None = None
    port: int = field(default_factory=free_port)
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def config(self) -> Path:
        """Its station.toml."""
        return self.folder / "station.toml"

    @property
    def bundles(self) -> Path:
        """Where its bundles lie."""
        return self.folder / "data" / "bundles"

    @property
    def database(self) -> Path:
        """Its database."""
        return self.folder / "data" / "station.db"

    def write_config(self) -> Path:
        """Write station.toml: a triggered replay of `frames`, product and bundle `blob`."""
        sections: dict[str, dict[str, Any]] = {
            "station": {"id": "test-1", "data_dir": "data"},
            "line": {"port": f"tcp://127.0.0.1:{self.port}", "deadline_ms": 1000, "ack_timeout_ms": 1000},
            "inference": {"threads": 1},
            "retention": {"images": "all", "image_format": "png"},
        }
        camera: dict[str, Any] = {"id": "top", "source": "frames", "trigger": "software", "timeout_ms": 400}
        camera["loop"] = True
        if self.broker:
            sections["sync"] = {"broker": f"mqtt://{self.broker}", "resend_s": 2}
        for name, changes in self.settings.items():
            if name == "camera":
                camera |= changes
            else:
                sections[name] = sections.get(name, {}) | dict(changes)
        text = "".join(f"[{name}]\n{_toml(values)}" for name, values in sections.items())
        text += f"[[camera]]\n{_toml(camera)}[[product]]\nid = 'blob'\nbundle = 'blob'\n"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config.write_text(text)
        return self.config


def _toml(values: Mapping[str, Any]) -> str:
    return "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())


@contextmanager
def process(arguments: list[str], log: Path, env: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[str]]:
    """One of our commands in the background; ended by SIGTERM, or by SIGKILL when it does not."""
    with log.open("ab") as errors:
        child = subprocess.Popen(
            [command(arguments[0]), *arguments[1:]],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=None if env is None else {**os.environ, **env},
        )
    try:
        yield child
    finally:
        end(child)


def end(child: subprocess.Popen[str], how: signal.Signals = signal.SIGTERM) -> int:
    """End a process and wait for it; returns its exit code."""
    if child.poll() is None:
        child.send_signal(how)
    try:
        code = child.wait(40)
    except subprocess.TimeoutExpired:
        child.kill()
        code = child.wait(5)
    if child.stdout is not None:
        child.stdout.close()
    return code


def simulate(station: Station, log: Path, parts: int, *options: str) -> list[str]:
    """The command line of a simulated line for this station."""
    address = f"tcp://127.0.0.1:{station.port}"
    base = ["edge", "simulate", "--product", "blob", "--port", address, "--log", str(log), "--parts", str(parts)]
    return [*base, "--json", *options]


def run_json(arguments: list[str], timeout_s: float = 60) -> tuple[int, dict[str, Any]]:
    """Run a command to its end; returns its exit code and the last JSON object it printed."""
    done = subprocess.run(
        [command(arguments[0]), *arguments[1:]], capture_output=True, text=True, check=False, timeout=timeout_s
    )
    lines = done.stdout.strip().splitlines()
    return done.returncode, cast("dict[str, Any]", json.loads(lines[-1])) if lines else {}
