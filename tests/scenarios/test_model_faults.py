"""A broken model never passes a part: NaN is UNDECIDED with an alarm, a flipped bit is refused before it runs."""

import random
from pathlib import Path

import cv2
import numpy as np
import pytest
from line_kit import make_line
from station_kit import good_frame, make_bundle, run_json

from models.bundle import open_bundle
from models.errors import ModelError


def test_a_nan_model_is_undecided_with_an_alarm_and_recovers_for_frames_it_can_judge(tmp_path: Path) -> None:
    line = make_line(tmp_path, frames=20, bad_every=0, nan_above=170, settings={"camera": {"loop": False}})
    for number in range(11, 16):
        bright = good_frame(seed=number) + np.uint8(90)
        cv2.imwrite(str(line.station.folder / "frames" / f"{number:06d}.png"), bright)
    with line.daemon():
        line.run_parts(20)
    told = line.events("told")
    assert [event["verdict"] for event in told] == ["PASS"] * 10 + ["UNDECIDED"] * 5 + ["PASS"] * 5
    assert {tuple(event["reasons"]) for event in told[10:15]} == {("model_fault",)}  # type: ignore[arg-type]
    assert any("not finite" in str(event["why"]) for event in line.events("ready"))


@pytest.mark.parametrize("name", ["model.bin", "model.xml", "bundle.json", "selftest/40.png"])
def test_a_flipped_bit_is_refused_by_verify_and_by_the_daemon(tmp_path: Path, name: str) -> None:
    line = make_line(tmp_path)
    path = next(line.station.bundles.glob("blob/v*"))
    flip_bit(path / name, random.Random(3))
    code, answer = run_json(["edge", "bundle", "verify", str(path), "--json"])
    assert (code, answer["ok"]) == (3, False)
    if name != "bundle.json":
        assert name in answer["error"]
    code, answer = run_json(["edge", "run", "-c", str(line.station.config), "--json"])
    assert (code, answer["kind"]) == (3, "ModelError")


def test_every_single_flipped_bit_of_the_weights_is_noticed(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path)
    weights = bundle.path / "model.bin"
    whole = weights.read_bytes()
    for bit in range(len(whole) * 8):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        weights.write_bytes(flipped)
        with pytest.raises(ModelError, match=r"model\.bin"):
            open_bundle(bundle.path)
    weights.write_bytes(whole)
    assert open_bundle(bundle.path).model_id == bundle.model_id


def flip_bit(file: Path, chance: random.Random) -> None:
    """Anywhere; of a manifest in what it says of files, because nothing on this machine vouches for the rest of it."""
    content = bytearray(file.read_bytes())
    start = content.index(b'"files"') if file.name == "bundle.json" else 0
    content[start + chance.randrange(len(content) - start)] ^= 1
    file.write_bytes(content)
