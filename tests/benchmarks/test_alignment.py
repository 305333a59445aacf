"""How often a golden reference is laid right, how often a wrong one is refused, and what it costs: all of DeepPCB."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from models.alignment import Golden, misfit
from models.errors import AlignmentError
from models.spec import Alignment

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "deeppcb"
HOW = Alignment()
Picture = NDArray[np.uint8]
pytestmark = pytest.mark.benchmark


@pytest.fixture(scope="module")
def names() -> list[str]:
    if not DATA.is_dir():
        pytest.skip(f"{DATA} is absent: test data that is not part of the repository")
    return sorted(path.name for path in (DATA / "images").iterdir())


def read(kind: str, name: str) -> Picture:
    return np.asarray(cv2.imread(str(DATA / kind / name)), np.uint8)


def accepted(image: Picture, template: Picture) -> bool:
    try:
        Golden(template, HOW).onto(image)
    except AlignmentError:
        return False
    return True


def apart(first: Picture, second: Picture) -> float:
    return float(cv2.absdiff(first, second)[20:-20, 20:-20].mean())


def shifted(image: Picture, distance_px: float, random: np.random.Generator) -> tuple[Picture, tuple[int, int]]:
    angle = random.uniform(0, 2 * np.pi)
    right, down = round(distance_px * np.cos(angle)), round(distance_px * np.sin(angle))
    matrix = np.array([[1, 0, right], [0, 1, down]], np.float64)
    size = image.shape[1], image.shape[0]
    return np.asarray(cv2.warpAffine(image, matrix, size, borderMode=cv2.BORDER_REPLICATE), np.uint8), (right, down)


def say(text: str) -> None:
    sys.stdout.write(f"\n{text}")


def test_true_pairs_are_accepted_lie_better_and_cost_little(names: list[str]) -> None:
    taken, before, after, took_s = 0, 0.0, 0.0, []
    for name in names:
        image, template = read("images", name), read("templates", name)
        golden = Golden(template, HOW)
        started_s = time.perf_counter()
        moved = golden.onto(image)
        took_s.append(time.perf_counter() - started_s)
        taken, before, after = taken + 1, before + apart(image, template), after + apart(image, moved)
    say(f"true pairs accepted: {taken} of {len(names)}")
    say(f"mean difference of the two: {before / taken:.2f} as they come, {after / taken:.2f} laid on each other")
    say(f"one frame at 640 x 640: median {np.median(took_s) * 1000:.2f} ms")
    assert taken == len(names)
    assert after < 0.8 * before


def test_known_shifts_are_recovered(names: list[str]) -> None:
    random = np.random.default_rng(0)
    errors = []
    for index, name in enumerate(names):
        image, golden = read("images", name), Golden(read("templates", name), HOW)
        moved, (right, down) = shifted(image, index % 16, random)
        first, second = golden.fit(image).shift_px, golden.fit(moved).shift_px
        errors.append(float(np.hypot(second[0] - first[0] - right, second[1] - first[1] - down)))
    within = {limit: float(np.mean(np.array(errors) <= limit)) for limit in (0.5, 1, 2)}
    say(f"shifts of 0 to 15 px: median error {np.median(errors):.2f} px, share within {within}")
    assert within[1] > 0.9


def test_wrong_references_are_refused(names: list[str]) -> None:
    random = np.random.default_rng(0)
    shares: dict[str, list[bool]] = {}
    for name in names:
        image = read("images", name)
        for what, template in wrong(name, names, random):
            shares.setdefault(what, []).append(not accepted(image, template))
        fit = Golden(read("templates", name), HOW).fit(shifted(image, 40, random)[0])
        shares.setdefault("shifted by 40 px", []).append(bool(misfit(fit, HOW)) and not fit.same)
    for what, refused in shares.items():
        say(f"{what}: {sum(refused)} of {len(refused)} refused")
    assert all(np.mean(refused) > 0.98 for refused in shares.values())


def wrong(name: str, names: list[str], random: np.random.Generator) -> Iterator[tuple[str, Picture]]:
    other = random.choice([one for one in names if one[:5] != name[:5]])
    yield "another board", read("templates", str(other))
    template = read("templates", name)
    yield "turned by 90 degrees", np.ascontiguousarray(np.rot90(template))
    yield "turned by 180 degrees", np.ascontiguousarray(np.rot90(template, 2))
