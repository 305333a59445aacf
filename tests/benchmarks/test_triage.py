"""What triage and drift are worth and what they cost: on real pictures, and beside a running line.

Drift: of each exposure of the magnetic tiles, parts are drawn from the good ones, with returns, one by one, in runs of
neighbours, or each like the one before; the first 400 are the reference. The same exposure must stay quiet, the next
brighter or darker is a drift. Novelty: half of the usual pictures of a set is what came before; among the rest one in
twenty is unusual. Lift: how many times more unusual ones are in the twentieth part that is least like what came before
than chance would find there. The description was chosen among six on these very sets, so it is somewhat flattered.
"""

import csv
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from station_kit import Station, make_bundle
from station_speed import median, serve
from triage_kit import scored

from cloud_sync.wire.broker import free_port
from edge.capture.pictures.checks import Gauge
from edge.decide.drift import BLOCK_PARTS, LEAST_SPREAD, REFERENCE_BLOCKS, Sign, Watch
from edge.decide.novelty import describe

pytestmark = pytest.mark.benchmark
DATA = Path(__file__).parents[2].parent / "shared" / "data"
LEARNED = BLOCK_PARTS * REFERENCE_BLOCKS
PARTS = 10_000
STREAMS = 10
Values = NDArray[np.float64]
Draw = Callable[[Values, int, np.random.Generator], Values]


def say(line: str) -> None:
    sys.stdout.write(line + "\n")


@pytest.fixture(scope="module")
def exposures() -> dict[int, dict[Sign, Values]]:
    """Of the good tiles, what is measured, by exposure."""
    if not (DATA / "magnetic_tile" / "index.csv").exists():
        pytest.skip("the magnetic tiles are not on this machine (../shared/data/magnetic_tile)")
    gauge, found = Gauge(), {exposure: ([], []) for exposure in range(1, 7)}
    with (DATA / "magnetic_tile" / "index.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["class"] == "good" and int(row["exposure"]) in found:
                signs = gauge.signs(cv2.imread(str(DATA / "magnetic_tile" / row["file"])))
                for values, value in zip(found[int(row["exposure"])], (signs.mean, signs.sharpness), strict=True):
                    values.append(value)
    named = (Sign.BRIGHTNESS, Sign.FOCUS)
    return {exposure: dict(zip(named, map(np.array, both), strict=True)) for exposure, both in found.items()}


def one_by_one(values: Values, parts: int, chance: np.random.Generator) -> Values:
    return chance.choice(values, parts)


def in_runs(values: Values, parts: int, chance: np.random.Generator) -> Values:
    """Runs of 50 neighbours, as the set is ordered."""
    starts = chance.integers(len(values), size=parts // 50 + 1)
    return values[(starts[:, None] + np.arange(50)).ravel()[:parts] % len(values)]


def wandering(values: Values, parts: int, chance: np.random.Generator) -> Values:
    """Each part like the one before it: correlation 0.9, the set's own distribution."""
    found = np.empty(parts)
    found[0] = 0.0
    steps = chance.normal(size=parts) * math.sqrt(1 - 0.9**2)
    for number in range(1, parts):
        found[number] = 0.9 * found[number - 1] + steps[number]
    shares = np.array([0.5 * (1 + math.erf(value / math.sqrt(2))) for value in found])
    return np.sort(values)[np.minimum((shares * len(values)).astype(int), len(values) - 1)]


def learned(sign: Sign, values: Values) -> Watch:
    watch = Watch(LEAST_SPREAD[sign])
    for value in values:
        watch.see(float(value))
    assert watch.reference is not None
    return watch


@pytest.mark.parametrize("draw", [one_by_one, in_runs, wandering])
@pytest.mark.parametrize("sign", [Sign.BRIGHTNESS, Sign.FOCUS])
def test_false_alarms_at_the_same_exposure(exposures: dict[int, dict[Sign, Values]], sign: Sign, draw: Draw) -> None:
    chance, alarms, parts = np.random.default_rng(1), 0, 0
    for signs in exposures.values():
        for _ in range(STREAMS):
            watch = learned(sign, draw(signs[sign], LEARNED, chance))
            opened = [watch.see(float(value)) and watch.alarm for value in draw(signs[sign], PARTS, chance)]
            alarms, parts = alarms + sum(opened), parts + PARTS
    say(f"{sign}, {draw.__name__}: {alarms} false alarms in {parts} parts, {alarms / parts * 10_000:.2f} in 10,000")
    assert alarms / parts * 10_000 < 0.5


@pytest.mark.parametrize("draw", [one_by_one, in_runs, wandering])
@pytest.mark.parametrize("step", [1, 2])
def test_parts_until_the_alarm_at_another_exposure(
    exposures: dict[int, dict[Sign, Values]], draw: Draw, step: int
) -> None:
    chance, waited = np.random.default_rng(2), []
    for exposure, other in ((first, first + way * step) for first in exposures for way in (1, -1)):
        if other not in exposures:
            continue
        for _ in range(STREAMS):
            watch = learned(Sign.BRIGHTNESS, draw(exposures[exposure][Sign.BRIGHTNESS], LEARNED, chance))
            shown = draw(exposures[other][Sign.BRIGHTNESS], 4000, chance)
            waited.append(next((n for n, value in enumerate(shown, 1) if watch.see(float(value))), 4001))
    found = sorted(waited)
    missed = sum(parts > 4000 for parts in found)
    say(f"{step} exposures on, {draw.__name__}: alarm after {median(found):.0f} parts, 9 in 10 by "
        f"{found[int(0.9 * len(found))]}, {missed} of {len(found)} not within 4,000")  # fmt: skip
    assert median(found) <= (1000 if draw is wandering else 200)
    assert missed == 0 or draw is wandering


def pictures() -> dict[str, tuple[list[Path], list[Path]]]:
    """By set: usual pictures, and unusual ones."""
    with (DATA / "magnetic_tile" / "index.csv").open(encoding="utf-8") as file:
        tiles = list(csv.DictReader(file))
    found = {
        f"magnetic tiles, exposure {exposure}": tuple(
            [DATA / "magnetic_tile" / row["file"] for row in tiles
             if row["exposure"] == exposure and (row["class"] == "good") is good]
            for good in (True, False)
        )
        for exposure in "12356"
    }  # fmt: skip
    steel = sorted((DATA / "neu_det" / "images").rglob("*.*"))
    for name in ("scratches", "inclusion", "patches", "crazing", "pitted", "rolled"):
        usual = [path for path in steel if path.name.startswith(name)]
        found[f"steel, {name} the usual"] = usual, [path for path in steel if path not in usual][::17]
    aliens = DATA / "aliens"
    found["aliens"] = sorted((aliens / "normal").iterdir()), sorted((aliens / "anomaly").iterdir())
    return {name: (usual, odd) for name, (usual, odd) in found.items() if len(usual) > 40}


def lift(usual: NDArray[np.float32], odd: NDArray[np.float32], chance: np.random.Generator) -> float:
    mixed, half = chance.permutation(len(usual)), len(usual) // 2
    before, rest = usual[mixed[:half]], usual[mixed[half:]]
    few = odd[chance.choice(len(odd), max(1, len(rest) // 20), replace=False)]
    shown = np.concatenate([rest, few])
    apart = np.sort(((shown[:, None] - before[None]) ** 2).mean(2), 1)[:, :3].mean(1)
    picked = np.argsort(-apart)[: max(1, len(shown) // 20)]
    return float(np.mean(picked >= len(rest)) / (len(few) / len(shown)))


def test_novelty_finds_unusual_pictures_more_often_than_chance() -> None:
    if not DATA.is_dir():
        pytest.skip("no ../shared/data beside the repository")
    chance, gauge, lifts = np.random.default_rng(3), Gauge(), []

    def described(paths: Sequence[Path]) -> NDArray[np.float32]:
        found = []
        for path in paths:
            gauge.signs(cv2.imread(str(path)))
            found.append(describe(gauge.sample()))
        return np.array(found)

    for name, (usual, odd) in pictures().items():
        both = described(usual), described(odd)
        lifts.append(float(np.mean([lift(*both, chance) for _ in range(50)])))
        say(f"{name}: {lifts[-1]:.1f} times as many as chance")
    tiles = lifts[:5]
    assert sum(tiles) / len(tiles) > 1  # small defects on parts of all shapes: hardly
    assert median(lifts) > 2


def test_what_a_part_waits_with_triage_and_without(tmp_path: Path) -> None:
    def served(triage: dict[str, object], name: str) -> tuple[float, float]:
        settings = {
            "triage": triage,
            "sync": {"broker": f"mqtt://127.0.0.1:{free_port()}"},
            "camera": {"source": str(tmp_path / "frames"), "timeout_ms": 2000, "max_age_ms": 5000},
            "line": {"deadline_ms": 5000},
        }
        station = Station(tmp_path / name, settings=settings)
        station.write_config()
        make_bundle(station.bundles)
        found = serve(station, 300, "--in-flight", "1", "--rate", "30")
        return found.told_p50_ms, found.told_p99_ms

    (tmp_path / "frames").mkdir()
    for number in range(40):
        cv2.imwrite(str(tmp_path / "frames" / f"{number:03d}.bmp"), scored(0.1, (1920, 1080), number))
    off = {"per_hour": 0, "drift": False}
    rounds = [(served(off, f"off-{turn}"), served({}, f"on-{turn}")) for turn in range(3)]
    for (off_p50, off_p99), (on_p50, on_p99) in rounds:
        say(f"told p50 {off_p50:.1f} to {on_p50:.1f} ms, p99 {off_p99:.1f} to {on_p99:.1f} ms")
    assert median([on[1] / before[1] for before, on in rounds]) < 2
