"""A heat map comes back as it went, and one that is not what it says costs no memory: the record is malformed."""

import json
import tracemalloc
import zlib
from base64 import b64encode
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from outboxes import AT, EPOCH, STATION
from pydantic import ValidationError
from schemas_kit import validator

from cloud_sync.hub.intake import take_in
from cloud_sync.wire import topics
from cloud_sync.wire.envelopes import pack_batch
from cloud_sync.wire.heat import CELLS_MOST, SIDE_MOST, HeatRecord, packed
from cloud_sync.wire.link import Message
from cloud_sync.wire.outbox import OutboxRow, Stream
from cloud_sync.wire.records import InspectionRecord, canonical_json, read_record

FIRST = Path(__file__).parent / "previous" / "inspection-first.json"
HEAT = {"columns": 3, "rows": 2, "to_frame": [4.0, 0.0, 0.0, 4.5, 0.0, -2.25], "cells": packed(bytes(range(6)))}


def zipped(content: bytes) -> str:
    return b64encode(zlib.compress(content, 9)).decode()


def with_heat(heat: object) -> bytes:
    """A record of an earlier version, with a heat map in its first view."""
    content = json.loads(FIRST.read_bytes())
    content["views"][0]["heat"] = heat
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def test_a_heat_map_comes_back_as_it_went_by_record_and_by_schema() -> None:
    payload = with_heat(HEAT)
    heat = read_record(InspectionRecord, payload).views[0].heat
    assert heat is not None
    assert list(heat.levels) == [0, 1, 2, 3, 4, 5]
    assert (heat.columns, heat.rows, heat.to_frame) == (3, 2, HEAT["to_frame"])
    again = json.loads(canonical_json(read_record(InspectionRecord, payload)))
    assert again["views"][0]["heat"] == HEAT
    assert validator("inspection.v1.json").is_valid(again)


def test_who_reads_by_the_last_releases_schema_finds_nothing_wrong() -> None:
    released = json.loads((FIRST.parents[1] / "released" / "inspection.v1.json").read_text())
    assert list(Draft202012Validator(released).iter_errors(json.loads(with_heat(HEAT)))) == []


def test_the_largest_grid_of_cells_that_cannot_be_packed_fits() -> None:
    noise = bytes((n * n * 31 + n * 7 + (n >> 3)) % 251 for n in range(CELLS_MOST))
    stored = b64encode(zlib.compress(noise, 0)).decode()
    heat = HeatRecord(columns=SIDE_MOST, rows=SIDE_MOST, to_frame=[1, 0, 0, 1, 0, 0], cells=stored)
    assert heat.levels == noise


def test_a_record_without_one_says_nothing_of_it() -> None:
    """Millions of parts pass each day: not one byte more for each."""
    record = read_record(InspectionRecord, FIRST.read_bytes())
    assert [view.heat for view in record.views] == [None, None]
    assert b"heat" not in canonical_json(record)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"columns": 65}, id="too wide"),
        pytest.param({"rows": 0}, id="no rows"),
        pytest.param({"columns": 4}, id="fewer cells than it says"),
        pytest.param({"rows": 1}, id="more cells than it says"),
        pytest.param({"to_frame": [1.0] * 5}, id="five numbers"),
        pytest.param({"to_frame": [1e7, 0, 0, 1, 0, 0]}, id="far away"),
        pytest.param({"cells": "////"}, id="no zlib"),
        pytest.param({"cells": "ab*d"}, id="no base64"),
        pytest.param({"cells": "a"}, id="cut base64"),
        pytest.param({"cells": HEAT["cells"][:-8]}, id="cut zlib"),  # type: ignore[index]
        pytest.param({"cells": zipped(bytes(6) + b"more")}, id="cells behind"),
        pytest.param({"cells": b64encode(zlib.compress(bytes(6)) + b"!").decode()}, id="bytes behind"),
        pytest.param({"cells": "A" * 6000}, id="too long"),
    ],
)
def test_one_that_is_not_what_it_says_makes_the_record_malformed(change: dict[str, object]) -> None:
    payload = with_heat(HEAT | change)
    with pytest.raises(ValidationError):
        read_record(InspectionRecord, payload)
    row = OutboxRow(Stream.INSPECTIONS, 1, payload, EPOCH)
    intake = take_in(Message(topics.inspections(STATION), pack_batch(STATION, EPOCH, [row], AT)))
    assert (len(intake.records), len(intake.dead), len(intake.settled)) == (0, 1, 1)
    assert "heat" in intake.dead[0].reason


def test_a_bomb_is_refused_without_being_unpacked() -> None:
    """Four kilobytes that unpack to four megabytes: no more than one cell too many is ever made."""
    bomb = zipped(bytes(4 << 20))
    payload = with_heat(HEAT | {"cells": bomb})
    tracemalloc.start()
    try:
        with pytest.raises(ValidationError, match="another number"):
            read_record(InspectionRecord, payload)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(bomb) < 5504
    assert peak_bytes < 1 << 20
