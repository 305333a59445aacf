"""Whether a sign is still as it was: quiet where nothing changed, an alarm where it did, and no flicker in between."""

import csv
import json
import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge.capture.pictures.checks import Gauge
from edge.decide.drift import (
    BLOCK_PARTS,
    LIMIT,
    OVERRULE_LIMIT,
    REFERENCE_BLOCKS,
    OverruleWatch,
    Reference,
    Sign,
    Watch,
    learn,
)
from edge.domain.errors import StorageError
from edge.triage.drift_book import SIGNS_MOST, DriftBook

TILES = Path(__file__).parents[2].parent / "shared" / "data" / "magnetic_tile"
LEARNED = BLOCK_PARTS * REFERENCE_BLOCKS
NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
SHA = "a" * 64
Values = Sequence[float] | NDArray[np.float64]


def learned(values: Values, least_spread: float = 0.1) -> Watch:
    watch = Watch(least_spread)
    for value in values[:LEARNED]:
        watch.see(float(value))
    assert watch.reference is not None
    return watch


def alarms(watch: Watch, values: Values) -> list[int]:
    """After how many of the values the alarm opened or closed."""
    return [number for number, value in enumerate(values, 1) if watch.see(float(value))]


def usual(chance: np.random.Generator, parts: int) -> NDArray[np.float64]:
    return chance.normal(100, 5, parts)


def wandering(chance: np.random.Generator, parts: int) -> NDArray[np.float64]:
    """Each part much like the one before it."""
    found = np.empty(parts)
    found[0] = 0
    steps = chance.normal(0, 5 * math.sqrt(1 - 0.9**2), parts)
    for number in range(1, parts):
        found[number] = 0.9 * found[number - 1] + steps[number]
    return found + 100


def spotted(chance: np.random.Generator, parts: int) -> NDArray[np.float64]:
    """One in twenty far off, as the scores of defects are."""
    return np.where(chance.random(parts) < 0.05, 300.0, usual(chance, parts))


@pytest.mark.parametrize("make", [usual, wandering, spotted])
def test_where_nothing_changed_there_is_no_alarm_in_twenty_thousand_parts(
    make: Callable[[np.random.Generator, int], NDArray[np.float64]],
) -> None:
    values = make(np.random.default_rng(5), LEARNED + 20_000)
    assert alarms(learned(values), values[LEARNED:]) == []


@pytest.mark.parametrize(
    ("shift", "within"),
    [
        pytest.param(5.0, 80, id="one spread up"),
        pytest.param(-5.0, 80, id="one spread down"),
        pytest.param(2.5, 500, id="half a spread"),
    ],
)
def test_a_lasting_shift_is_an_alarm_soon_and_stays_one(shift: float, within: int) -> None:
    chance = np.random.default_rng(6)
    watch = learned(usual(chance, LEARNED))
    (opened,) = alarms(watch, usual(chance, 5000) + shift)
    assert opened <= within
    assert watch.alarm
    assert watch.statistic > LIMIT


def test_one_odd_batch_is_no_alarm() -> None:
    chance = np.random.default_rng(7)
    watch = learned(usual(chance, LEARNED))
    batch = np.concatenate([usual(chance, BLOCK_PARTS) + 50, usual(chance, 1000)])
    assert alarms(watch, batch) == []


def test_an_alarm_closes_when_all_is_as_before_and_does_not_flicker_meanwhile() -> None:
    chance = np.random.default_rng(8)
    watch = learned(usual(chance, LEARNED))
    drifted, back = usual(chance, 3000) + 5, usual(chance, 3000)
    assert len(alarms(watch, drifted)) == 1
    (closed,) = alarms(watch, back)
    assert 4 * BLOCK_PARTS <= closed <= 40 * BLOCK_PARTS
    assert not watch.alarm


def test_what_comes_and_goes_again_and_again_opens_one_alarm() -> None:
    chance = np.random.default_rng(9)
    watch = learned(usual(chance, LEARNED))
    blocks = [usual(chance, 2 * BLOCK_PARTS) + (8 if turn % 2 else 0) for turn in range(100)]
    assert len(alarms(watch, np.concatenate(blocks))) <= 2


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_none_is_left_out(value: float) -> None:
    watch = learned(usual(np.random.default_rng(1), LEARNED))
    assert not any(watch.see(value) for _ in range(10 * BLOCK_PARTS))
    assert (watch.parts, watch.statistic) == (LEARNED, 0.0)


def test_a_sign_that_never_moved_has_room_for_what_nobody_would_mind() -> None:
    watch = learned([7.0] * LEARNED, least_spread=1.0)
    assert alarms(watch, [7.1] * 1000) == []
    assert alarms(watch, [9.0] * 1000) != []


def test_values_and_sums_stay_bounded() -> None:
    watch = learned(usual(np.random.default_rng(1), LEARNED))
    alarms(watch, [1e30] * 10_000)
    assert len(watch.values) < BLOCK_PARTS
    assert watch.statistic <= 2 * LIMIT


def test_a_reference_of_parts_alike_in_runs_scatters_more_than_one_of_parts_that_are_not() -> None:
    chance = np.random.default_rng(2)
    shuffled = wandering(chance, LEARNED)
    runs = learn(shuffled, 0.1)
    chance.shuffle(shuffled)
    assert runs.scatter > 1.5 * learn(shuffled, 0.1).scatter


def told(watch: OverruleWatch, rate: float, parts: int, seed: int) -> list[int]:
    chance, changed = np.random.default_rng(seed), []
    for number in range(1, parts + 1):
        turned = watch.see_part()
        turned |= chance.random() < rate and watch.see_overrule()
        if turned:
            changed.append(number)
    return changed


def test_overrules_at_a_usual_rate_are_no_alarm_and_many_are_one_soon_and_few_again_close_it() -> None:
    watch = OverruleWatch()
    assert told(watch, 0.01, 50_000, 1) == []
    (opened,) = told(watch, 0.10, 2000, 2)
    assert opened < 400
    assert watch.statistic > OVERRULE_LIMIT
    assert len(told(watch, 0.0, 2000, 3)) == 1
    assert not watch.alarm


def book(products: int = 1) -> DriftBook:
    return DriftBook(frozenset((f"p{number}", "top") for number in range(products)))


def fill(made: DriftBook, values: Values, sha256: str = SHA) -> list[int]:
    return [
        number
        for number, value in enumerate(values)
        if made.see("p0", "top", sha256, {Sign.BRIGHTNESS: float(value)}, NOW)
    ]


def test_another_model_begins_anew_and_says_so() -> None:
    chance, made = np.random.default_rng(3), book()
    assert fill(made, usual(chance, LEARNED)) == [0]
    assert len(fill(made, usual(chance, 500) + 20)) == 1
    (alarm,) = [sign for sign in made.signs() if sign.alarm]
    assert (alarm.sign, alarm.since) == ("brightness", NOW)
    assert fill(made, usual(chance, LEARNED) + 20, "b" * 64) == [0]
    assert not [sign for sign in made.signs() if sign.alarm or sign.since]
    assert made.models == {"p0": "b" * 64}
    assert fill(made, usual(chance, 1000) + 20, "b" * 64) == []


def test_a_restart_goes_on_where_it_was_and_takes_no_drift_for_usual(tmp_path: Path) -> None:
    chance, made, path = np.random.default_rng(3), book(), tmp_path / "drift.json"
    fill(made, usual(chance, LEARNED + 7))
    made.save(path)
    again = book()
    again.load(path)
    assert again.signs() == made.signs()
    assert fill(again, usual(chance, 500) + 20) != []
    assert again.see_overrule("p0", NOW) is False
    again.save(path)
    third = book()
    third.load(path)
    assert third.signs() == again.signs()
    assert [sign.since for sign in third.signs() if sign.alarm] == [NOW]


WATCH = {"camera": "top", "sign": "focus", "values": [2, 3], "up": 0, "down": 0, "calm": 0, "alarm": False, "parts": 5}
SPREAD = {"centre": 1, "spread": 1, "mean": 0, "scatter": 1}


def kept(reference: object = None, sha256: str = SHA, **damage: object) -> str:
    """A file of one watch, some of it damaged."""
    watch = WATCH | {"reference": reference} | damage
    product = {"sha256": sha256, "watches": [watch], "overrule_sum": 0, "overrule_alarm": False, "parts": 3}
    return json.dumps({"schema": "inspectd.drift-book.v1", "products": {"p0": product}, "since": []})


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("[" * 100_000, id="brackets"),
        pytest.param(kept(values=[math.nan]), id="no number"),
        pytest.param(kept(SPREAD | {"spread": 0}), id="a spread of nothing"),
        pytest.param(kept(SPREAD | {"spread": math.inf}), id="a spread without end"),
        pytest.param(kept(values=[1] * 401), id="too many values"),
        pytest.param(kept(up=-1), id="a sum below nothing"),
        pytest.param(kept(sha256="x"), id="no digest"),
        pytest.param("\x00\xff", id="no text"),
    ],
)
def test_a_damaged_file_is_learned_anew_and_stops_nothing(tmp_path: Path, text: str) -> None:
    path, made = tmp_path / "drift.json", book()
    path.write_bytes(text.encode("latin-1"))
    made.load(path)
    assert made.signs() == []
    assert fill(made, usual(np.random.default_rng(3), LEARNED)) == [0]


def test_the_file_of_these_tests_is_good_where_nothing_is_damaged(tmp_path: Path) -> None:
    path, made = tmp_path / "drift.json", book()
    path.write_text(kept(SPREAD))
    made.load(path)
    assert [(sign.sign, sign.parts) for sign in made.signs()] == [("overrule", 3), ("focus", 5)]


def test_a_folder_that_takes_no_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "drift.json").mkdir()
    with pytest.raises(StorageError, match="cannot write"):
        book().save(tmp_path / "drift.json")


def test_a_message_holds_the_alarms_first_and_no_more_than_it_may() -> None:
    chance, made = np.random.default_rng(3), book(300)
    for number in reversed(range(300)):
        made.see(f"p{number}", "top", SHA, dict.fromkeys((Sign.SCORE, Sign.FOCUS), 1.0), NOW + timedelta(1))
    fill(made, [*usual(chance, LEARNED), *usual(chance, 500) + 20])
    found = made.signs()
    assert len(found) == SIGNS_MOST
    assert found[0].alarm
    assert not made.see("stranger", "top", SHA, {Sign.SCORE: 1.0}, NOW)
    assert made.models.keys() == {f"p{number}" for number in range(300)}


@pytest.fixture(scope="module")
def exposures() -> dict[str, list[tuple[float, float]]]:
    """Brightness and focus of good tiles, by exposure; a few dozen of each."""
    if not (TILES / "index.csv").exists():
        pytest.skip("the magnetic tiles are not on this machine (../shared/data/magnetic_tile)")
    gauge, found = Gauge(), {"2": [], "3": [], "4": []}
    with (TILES / "index.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            kept = found.get(row["exposure"])
            if kept is not None and row["class"] == "good" and len(kept) < 60:
                signs = gauge.signs(cv2.imread(str(TILES / row["file"])))
                kept.append((signs.mean, signs.sharpness))
    return found


@pytest.mark.parametrize("other", ["2", "4"], ids=["darker", "brighter"])
def test_real_tiles_are_quiet_at_their_exposure_and_an_alarm_at_the_next(
    exposures: dict[str, list[tuple[float, float]]], other: str
) -> None:
    chance = np.random.default_rng(11)

    def shown(exposure: str, parts: int) -> NDArray[np.float64]:
        return np.array([mean for mean, _ in exposures[exposure]])[chance.integers(0, len(exposures[exposure]), parts)]

    watch = learned(shown("3", LEARNED), 1.0)
    assert alarms(watch, shown("3", 5000)) == []
    (opened,) = alarms(watch, shown(other, 1000))
    assert opened <= 300
    assert len(alarms(watch, shown("3", 1000))) == 1


def test_a_reference_is_what_it_says() -> None:
    found = learn([100.0, 102.0, 98.0, 101.0, 99.0] * (LEARNED // 5), 0.1)
    assert isinstance(found, Reference)
    assert (found.centre, round(found.spread, 3), round(found.mean, 6)) == (100.0, 1.483, 0.0)
