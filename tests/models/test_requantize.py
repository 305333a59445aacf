"""A released float graph through the INT8 gate, at the station, for every kind."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from classifier_kit import frame, make_classifier
from detector_kit import grey, make_detector, pattern, with_square
from station_kit import bad_frame, good_frame, make_bundle

from models.bundle import MANIFEST, Bundle, file_entries, open_for_line, write_bundle
from models.compile import compile_bundle
from models.errors import RequestError
from models.progress import SilentProgress
from models.requantize import Requantized, StationFrames, float_graph, requantize, write_graph
from models.selftest import check_selftest
from models.spec import Precision

Picture = np.ndarray[Any, np.dtype[np.uint8]]
GOLDEN = pattern(seed=9)


@dataclass(frozen=True)
class Kind:
    make: Callable[[Path], Bundle]
    good: Callable[[int], Picture]
    bad: Callable[[int], Picture]
    golden: Picture | None = None


KINDS = {
    "anomaly": Kind(make_bundle, lambda i: good_frame(seed=i), lambda i: bad_frame(seed=i)),
    "classifier": Kind(make_classifier, lambda _: frame(), lambda i: frame(255 if i % 2 else 0)),
    "detector": Kind(make_detector, lambda _: grey(), lambda i: with_square(grey(), 10 + i, 20)),
    "comparing": Kind(
        lambda root: make_detector(root, compares=True),
        lambda _: GOLDEN,
        lambda i: with_square(GOLDEN, 10 + i, 20),
        GOLDEN,
    ),
}


def write(folder: Path, count: int, make: Callable[[int], Picture]) -> list[Path]:
    folder.mkdir()
    random, paths = np.random.default_rng(0), [folder / f"{index:02}.png" for index in range(count)]
    for index, path in enumerate(paths):
        noisy = make(index).astype(int) + random.integers(-6, 7, make(index).shape)
        cv2.imwrite(str(path), np.clip(noisy, 0, 255).astype(np.uint8))
    return paths


def tried(kind: Kind, bundle: Bundle, folder: Path, *, labelled: bool = True) -> Requantized:
    good = write(folder / "good", 24, kind.good)
    bad = write(folder / "bad", 20, kind.bad)
    frames = StationFrames(good[:8], good[8:], bad, labelled, kind.golden)
    return requantize(bundle, frames, 1, SilentProgress(), speed_s=0.2)


@pytest.mark.parametrize("name", ["classifier", "detector", "comparing"])
def test_int8_that_answers_as_fp32_does_becomes_a_bundle_that_may_go_live(name: str, tmp_path: Path) -> None:
    bundle = KINDS[name].make(tmp_path / "store")
    found = tried(KINDS[name], bundle, tmp_path)
    assert found.gate.allows, found.gate.reason
    assert found.seen == 1.0
    assert not found.turned
    faster = replace(found, speed_ms={Precision.FP32: 2.0, Precision.INT8: 1.0})
    assert faster.allows
    files = tmp_path / "files"
    shutil.copytree(bundle.path, files, ignore=shutil.ignore_patterns(MANIFEST))
    manifest = write_graph(files, bundle, faster)
    written = write_bundle(files, tmp_path / "v2", manifest.model_copy(update={"files": file_entries(files)}))
    assert open_for_line(written.path).precision is Precision.INT8
    check_selftest(written, compile_bundle(written, threads=1))
    assert written.fp32_xml.is_file()
    assert written.manifest.thresholds["int8"] == bundle.manifest.thresholds["fp32"]
    assert written.manifest.gate.reason.startswith("at the station: ")
    with pytest.raises(RequestError, match="runs in INT8 already"):
        float_graph(written)


def test_int8_that_loses_the_defects_fails_and_is_not_used(tmp_path: Path) -> None:
    """Its two steps near the threshold are one in eight bits over the whole range, and every defect would pass."""
    found = tried(KINDS["anomaly"], KINDS["anomaly"].make(tmp_path / "store"), tmp_path)
    assert not found.gate.allows
    assert found.against.startswith("INT8 failed the gate")
    assert not found.allows


def test_a_gate_that_cannot_show_a_loss_lets_nothing_through(tmp_path: Path) -> None:
    blind = make_detector(tmp_path / "store", sight=0.05)
    found = tried(KINDS["detector"], blind, tmp_path, labelled=False)
    quick = replace(found, speed_ms={Precision.FP32: 2.0, Precision.INT8: 1.0})
    assert found.gate.allows, "both see nothing, so they agree"
    assert "FP32 itself rejects 0% of the painted defects" in quick.against


def test_int8_that_is_no_faster_is_not_used(tmp_path: Path) -> None:
    found = tried(KINDS["detector"], KINDS["detector"].make(tmp_path / "store"), tmp_path)
    slower = replace(found, speed_ms={Precision.FP32: 1.0, Precision.INT8: 1.0})
    assert slower.against == "INT8 is no faster here"
    assert replace(slower, turned=("good.png",)).against.startswith("INT8 gives the release's own frames good.png")
