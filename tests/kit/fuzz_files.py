"""What a person or a release puts on disk, damaged: station.toml, a bundle's manifest, its self-test."""

import hashlib
import json
import math
import random
import re
from pathlib import Path
from typing import Any

from fuzz_kit import Target
from mutator import Json, damaged_lines
from station_kit import Station, make_bundle

import edge
from edge.config import load_config
from edge.domain.errors import ConfigError
from models.bundle import MANIFEST, SELFTEST, open_bundle
from models.errors import ModelError, RequestError
from models.foreign.head import read_head

_HEAD = b"""kind = "detector"
style = "yolo"
classes = ["scratch", "dent"]
[input]
layout = "NCHW"
colour = "rgb"
scale = 255
[outputs]
combined = "output0"
[decode]
threshold = 0.25
box_format = "cxcywh"
box_unit = "pixels"
activation = "none"
order = "values-first"
"""
_OPTION = re.compile(r"^# (?=\[|[a-z_]+ = )", re.MULTILINE)


def config_target(folder: Path) -> Target:
    """station.toml: the one that is written by `edge init`, with its options set too, and the tests' own."""
    template = (Path(edge.__file__).parent / "station.example.toml").read_text().replace("{id}", "line-1")
    plain = Station(folder / "station", "127.0.0.1:1883").write_config().read_bytes()
    samples = [template.encode(), _OPTION.sub("", template).encode(), plain]
    place = folder / "fuzzed.toml"

    def make(seed: object, number: int) -> bytes:
        dice = random.Random(f"{seed}/{number}")
        return damaged_lines(dice.choice(samples), dice)

    def feed(text: bytes) -> bool:
        place.write_bytes(text)
        try:
            config = load_config(place)
        except ConfigError as error:
            str(error).encode()
            return False
        assert _is_finite(json.loads(config.model_dump_json()))
        return True

    return Target("station.toml", samples, feed, make, share=0.5)


def head_target(folder: Path) -> Target:
    """The head of a foreign model."""
    place = folder / "head.toml"

    def make(seed: object, number: int) -> bytes:
        return damaged_lines(_HEAD, random.Random(f"{seed}/{number}"))

    def feed(text: bytes) -> bool:
        place.write_bytes(text)
        try:
            read_head(place)
        except RequestError as error:
            str(error).encode()
            return False
        return True

    return Target("foreign model's head", [_HEAD], feed, make, share=0.5)


def manifest_target(folder: Path) -> Target:
    """A bundle's manifest."""
    bundle = make_bundle(folder / "bundles").path
    whole = (bundle / MANIFEST).read_bytes()

    def feed(text: bytes) -> bool:
        (bundle / MANIFEST).write_bytes(text)
        return _opens(bundle)

    return Target("bundle manifest", [whole], feed, share=0.5)


def selftest_target(folder: Path) -> Target:
    """A bundle's self-test, which its manifest vouches for."""
    bundle = make_bundle(folder / "selftests").path
    whole = (bundle / SELFTEST).read_bytes()
    manifest: dict[str, Any] = json.loads((bundle / MANIFEST).read_bytes())

    def feed(text: bytes) -> bool:
        (bundle / SELFTEST).write_bytes(text)
        entry = {"size_bytes": len(text), "sha256": hashlib.sha256(text).hexdigest()}
        manifest["files"][SELFTEST] = entry
        (bundle / MANIFEST).write_text(json.dumps(manifest))
        return _opens(bundle)

    return Target("bundle self-test", [whole], feed, share=0.1)


def _opens(bundle: Path) -> bool:
    try:
        opened = open_bundle(bundle)
    except ModelError as error:
        str(error).encode()
        return False
    assert _is_finite(json.loads(opened.manifest.model_dump_json()))
    for case in opened.selftest:
        assert math.isfinite(case.score)
        assert case.tolerance >= 0
        assert bundle.resolve() in case.frame.resolve().parents
    return True


def _is_finite(value: Json) -> bool:
    if isinstance(value, dict):
        return all(_is_finite(item) for item in value.values())
    if isinstance(value, list):
        return all(_is_finite(item) for item in value)
    return not isinstance(value, float) or math.isfinite(value)
