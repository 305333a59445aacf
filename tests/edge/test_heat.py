"""What a record keeps of a model's map: of what did not pass, truly, and within bounds."""

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from edge_kit import MODEL, NOW, part

from cloud_sync.wire.heat import SIDE_MOST, HeatRecord
from cloud_sync.wire.records import RECORD_LIMIT_BYTES
from edge.domain.inspection import FrameInfo, Inspection, View
from edge.domain.part import Verdict
from edge.infer.regions import regions
from edge.record.database import open_database
from edge.record.heat import heat_record, side_most
from edge.record.inspections import insert_inspection
from models.detections import Detections, FloatArray
from models.letterbox import placement
from models.spec import InputSpec

INPUT = InputSpec("image", 64, 64)


def seen(values: FloatArray, verdict: Verdict = Verdict.REJECT, size: tuple[int, int] = (80, 60)) -> View:
    """A camera's view whose model answered with this map."""
    found = regions(values, placement(*size, INPUT), INPUT)
    reasons = () if verdict is Verdict.PASS else ("anomaly:1",)
    return View("top", verdict, reasons, FrameInfo(1, NOW, ""), found, ("anomaly",), MODEL)


def hot(rows: int = 8, columns: int = 8, at: tuple[int, int] = (2, 5), value: float = 0.9) -> FloatArray:
    values = np.zeros((rows, columns), np.float32)
    values[at] = value
    return values


def cells(heat: HeatRecord | None) -> np.ndarray:  # type: ignore[type-arg]
    assert heat is not None
    return np.frombuffer(heat.levels, np.uint8).reshape(heat.rows, heat.columns)


def place(heat: HeatRecord, column: float, row: float) -> tuple[float, float]:
    a, b, c, d, e, f = heat.to_frame
    return a * column + c * row + e, b * column + d * row + f


def written(folder: Path, inspection: Inspection) -> bytes:
    """The record's bytes."""
    with closing(open_database(folder / "station.db")) as connection:
        insert_inspection(connection, "test-1", 1, inspection, keeps_image=False)
        return bytes(connection.execute("SELECT payload FROM records").fetchone()[0])


@pytest.mark.parametrize("size", [(128, 32), (30, 120)], ids=["wide", "tall"])
def test_a_hot_cell_lies_on_the_frame_where_its_box_does(size: tuple[int, int]) -> None:
    view = seen(hot(at=(4, 4)), size=size)
    heat = heat_record(view, SIDE_MOST)
    row, column = np.unravel_index(cells(heat).argmax(), (8, 8))
    assert heat is not None
    assert view.detections is not None
    corners = [*place(heat, float(column), float(row)), *place(heat, float(column) + 1, float(row) + 1)]
    limit = np.array([*size, *size])
    assert np.clip(corners, 0, limit).tolist() == pytest.approx(view.detections.boxes_xyxy[0].tolist(), abs=0.01)


def test_no_cell_crosses_the_threshold_by_becoming_a_byte() -> None:
    below, above = np.nextafter(np.float32(0.5), np.float32(0)), np.float32(0.5)
    values = hot()
    values[0, :4] = below, above, 0, 1
    found = cells(heat_record(seen(values), SIDE_MOST))[0, :4]
    assert found.tolist() == [127, 128, 0, 255]


@pytest.mark.parametrize("shape", [(65, 20), (200, 131), (64, 64), (1, 300)])
def test_a_large_grid_keeps_each_hot_cell_where_it_was(shape: tuple[int, int]) -> None:
    for at in ((0, 0), (shape[0] - 1, shape[1] - 1), (shape[0] // 2, shape[1] // 3)):
        view = seen(np.maximum(hot(*shape, at=at), np.float32(0.3)))
        heat = heat_record(view, SIDE_MOST)
        found = cells(heat)
        assert max(found.shape) <= SIDE_MOST
        assert found.max() == 230
        row, column = np.unravel_index(found.argmax(), found.shape)
        assert heat is not None
        assert view.detections is not None
        assert view.detections.map_to_frame is not None
        left, top = place(heat, float(column), float(row))
        right, bottom = place(heat, float(column) + 1, float(row) + 1)
        x, y = np.array(view.detections.map_to_frame) @ (at[1] + 0.5, at[0] + 0.5, 1)
        assert left < x < right
        assert top < y < bottom


@pytest.mark.parametrize(
    "view",
    [
        pytest.param(seen(hot(value=0.45), Verdict.PASS), id="it passed"),
        pytest.param(seen(hot(value=0.1), Verdict.UNDECIDED), id="the map shows nothing"),
        pytest.param(View("top", Verdict.UNDECIDED, ("no_frame",)), id="no model looked"),
        pytest.param(
            replace(
                seen(hot()),
                detections=Detections(np.ones((1, 4), np.float32), np.ones(1, np.float32), np.zeros(1, np.int32)),
            ),
            id="a detector has no map",
        ),
        pytest.param(
            replace(seen(hot()), detections=regions(hot(), placement(1, 10_000_000, INPUT), INPUT)),
            id="it lies too far away to be said",
        ),
    ],
)
def test_a_view_keeps_no_map_where(view: View, tmp_path: Path) -> None:
    assert heat_record(view, SIDE_MOST) is None
    assert b"heat" not in written(tmp_path, Inspection(part(), (view,)))


@pytest.mark.parametrize(
    "to_frame", [((1.0, 0.0), (0.0, 1.0)), (("wide", 0.0, 0.0), (0.0, 1.0, 0.0)), 4.0], ids=["short", "word", "number"]
)
def test_a_map_that_cannot_be_made_costs_a_part_neither_its_record_nor_its_verdict(
    to_frame: object, tmp_path: Path
) -> None:
    broken = seen(hot())
    assert broken.detections is not None
    broken = replace(broken, detections=replace(broken.detections, map_to_frame=to_frame))  # type: ignore[arg-type]
    record = json.loads(written(tmp_path, Inspection(part(), (broken,))))
    assert record["verdict"] == "REJECT"
    assert "heat" not in record["views"][0]


def test_a_record_holds_the_map_of_the_views_that_did_not_pass(tmp_path: Path) -> None:
    good = replace(seen(hot(value=0.45), Verdict.PASS), camera_id="side")
    record = json.loads(written(tmp_path, Inspection(part(), (good, seen(hot())))))
    assert ["heat" in view for view in record["views"]] == [False, True]
    heat = HeatRecord.model_validate(record["views"][1]["heat"])
    assert cells(heat)[2, 5] == 230
    assert np.count_nonzero(cells(heat)) == 1


@pytest.mark.parametrize("cameras", [1, 3, 8, 16])
def test_maps_that_cannot_be_packed_leave_the_record_below_its_limit(cameras: int, tmp_path: Path) -> None:
    noise = np.random.default_rng(5).random((300, 300)).astype(np.float32)
    views = tuple(replace(seen(noise), camera_id=f"camera-{number}") for number in range(cameras))
    payload = written(tmp_path, Inspection(part(), views))
    assert len(payload) < RECORD_LIMIT_BYTES
    sides = {view["heat"]["columns"] for view in json.loads(payload)["views"]}
    assert max(sides) <= side_most(cameras)
