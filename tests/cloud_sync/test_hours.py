"""How parts were judged, counted hour by hour as the records come in."""

from dataclasses import replace

from fleet_kit import as_new
from labels_kit import PRODUCT
from labels_kit import inspection as inspected
from outboxes import STATION
from stores import ask

from cloud_sync.hub.store.writing import StoreWriter

NOW_MS = 1_900_000_000_000
HOUR_MS = 3_600_000


def counted(place: str) -> list[tuple[object, ...]]:
    return ask(place, "SELECT * FROM inspection_hours")


def test_each_inspection_is_counted_once_in_the_hour_it_was_made_however_often_it_comes(place: str) -> None:
    records = [
        as_new(inspected(seq, verdict)) for seq, verdict in enumerate(["PASS", "PASS", "REJECT", "UNDECIDED"], 1)
    ]
    with StoreWriter(place) as writer:
        writer.insert(records[:3], [], NOW_MS)
        writer.insert(records, [], NOW_MS)
        writer.insert(records, [], NOW_MS)

    made_ms = records[0].made_at_ms
    assert made_ms is not None
    assert counted(place) == [(made_ms // HOUR_MS, STATION, PRODUCT, "cells-v3", 2, 1, 1, made_ms)]


def test_a_clock_that_runs_ahead_counts_in_the_hour_of_arrival(place: str) -> None:
    record = replace(as_new(inspected(1, "PASS")), made_at_ms=NOW_MS + 400 * HOUR_MS)
    with StoreWriter(place) as writer:
        writer.insert([record], [], NOW_MS)

    assert [row[0] for row in counted(place)] == [NOW_MS // HOUR_MS]


def test_a_master_part_is_no_production(place: str) -> None:
    shown = inspected(1, "REJECT").model_copy(update={"master": "scratch"})
    with StoreWriter(place) as writer:
        writer.insert([as_new(shown)], [], NOW_MS)

    assert counted(place) == []


def test_names_longer_than_any_of_ours_are_cut_and_stop_no_collector(place: str) -> None:
    long = as_new(inspected(1, "PASS").model_copy(update={"product": "p" * 5000}))
    with StoreWriter(place) as writer:
        assert writer.insert([long], [], NOW_MS).stored == 1

    assert [row[2] for row in counted(place)] == ["p" * 128]
