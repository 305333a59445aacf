"""What the demo learns from and what it inspects are different cells, and no near-twins."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.demo.cells import FAST, Cell, Split, link_cells, load_cells, split_cells
from edge.demo.judged import Inspected, by_level, rates
from models.near_twins import groups

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def cells() -> list[Cell]:
    pytest.importorskip("elpv_dataset", reason="package elpv-dataset (extra: demo) is absent")
    return load_cells()


@pytest.fixture(scope="module")
def split(cells: list[Cell]) -> Split:
    return split_cells(cells, FAST)


def test_the_package_holds_what_its_authors_counted(cells: list[Cell]) -> None:
    counted = {level: sum(round(cell.probability * 3) == level for cell in cells) for level in range(4)}
    assert counted == {0: 1508, 1: 295, 2: 106, 3: 715}


def test_only_good_cells_are_learned_and_at_least_500_others_inspected(split: Split) -> None:
    assert {cell.probability for cell in split.learn} == {0.0}
    assert len(split.inspect) >= 500
    assert not {cell.path for cell in split.learn} & {cell.path for cell in split.inspect}


def test_no_near_twins_across_the_split_nor_among_what_is_inspected(cells: list[Cell], split: Split) -> None:
    images = [np.asarray(cv2.imread(str(cell.path), cv2.IMREAD_GRAYSCALE), np.uint8) for cell in cells]
    group = dict(zip((cell.path for cell in cells), groups(images).tolist(), strict=True))
    learned = {group[cell.path] for cell in split.learn}
    inspected = [group[cell.path] for cell in (*split.inspect, *split.unseen)]
    assert not learned & set(inspected)
    assert len(inspected) == len(set(inspected))


def test_what_is_kept_for_the_end_is_good_or_defective_beyond_doubt(split: Split) -> None:
    counted = [sum(cell.probability == level for cell in split.unseen) for level in (0.0, 1.0)]
    assert min(counted) >= 200
    assert sum(counted) == len(split.unseen)


def test_linked_cells_keep_their_order_and_their_probability(split: Split, tmp_path: Path) -> None:
    names = link_cells(split.inspect[:20], tmp_path / "frames")
    files = sorted((tmp_path / "frames").iterdir())
    assert [file.name for file in files] == list(names)
    assert [file.resolve() for file in files] == [cell.path.resolve() for cell in split.inspect[:20]]
    assert list(names.values()) == [cell.probability for cell in split.inspect[:20]]


def test_undecided_good_cells_are_overkill_and_undecided_bad_ones_no_escape() -> None:
    good = [Inspected("PASS", 0.1, 0.0)] * 7 + [Inspected("REJECT", 0.6, 0.0)] * 2 + [Inspected("UNDECIDED", None, 0.0)]
    bad = [Inspected("REJECT", 0.9, 1.0)] * 3 + [Inspected("PASS", 0.2, 1.0)] + [Inspected("UNDECIDED", None, 1.0)]
    overkill, escape, roc = rates([*good, *bad, Inspected("REJECT", 0.9, 0.333)])
    assert (overkill.value, escape.value) == (pytest.approx(0.3), pytest.approx(0.2))
    assert roc.value == pytest.approx((9 * 3 + 7) / (9 * 4))
    assert by_level([*good, *bad])["good (p = 0)"] == {"PASS": 7, "REJECT": 2, "UNDECIDED": 1}
