"""All stations at one look, from counts and last words; no record is read for it."""

import sqlalchemy as sa
from fleet_kit import EPOCH, RELEASE, add, as_new, drifts, rollout, run, station
from labels_kit import inspection as inspected
from outboxes import EPOCH as RECORDS_EPOCH
from outboxes import STATION
from stores import engine

from cloud_sync.hub.retraining.runs import Runs
from cloud_sync.hub.retraining.triggers import Trigger
from cloud_sync.hub.store.condition import condition, held_back, letters
from cloud_sync.hub.store.entries import DeadLetter
from cloud_sync.hub.store.hour_tables import HOUR_MS, inspection_hours
from cloud_sync.hub.store.hours import PAST_KEPT_S, PastHours, Tally
from cloud_sync.hub.store.overview import InUse, models_in_use, overview
from cloud_sync.hub.store.station_details import station_details
from cloud_sync.hub.store.tables import conditions
from cloud_sync.hub.store.writing import StoreWriter

NOW_MS = 1_900_000_000_000


def hours(place: str, name: str, back: int, model: str, judged: tuple[int, int, int]) -> None:
    counts = dict(zip(("passed", "rejected", "undecided"), judged, strict=True))
    at_ms = NOW_MS - back * HOUR_MS
    key = {"hour": at_ms // HOUR_MS, "station": name, "product": "cells", "model": model}
    add(place, inspection_hours, key | counts | {"last_at_ms": at_ms})


def test_a_stations_line_has_its_hours_in_order_and_the_model_that_judged_last(place: str) -> None:
    StoreWriter(place).close()
    station(place, "press-1", NOW_MS, judged=(8, 1, 1), model="cells-v2")
    station(place, "press-2", NOW_MS, state=None)
    hours(place, "press-1", 1, "cells-v1", (5, 5, 0))
    hours(place, "press-1", 23, "cells-v1", (1, 0, 0))
    hours(place, "press-1", 24, "cells-v1", (100, 0, 0))  # of yesterday
    drifts(place, "press-1")
    with engine(place).connect() as connection:
        first, second = overview(connection, NOW_MS)
        used = models_in_use(connection, NOW_MS)

    assert first.hours[-1] == Tally(8, 1, 1)
    assert (first.last(2), first.last(24)) == (Tally(13, 6, 1), Tally(14, 6, 1))
    assert first.in_use == (InUse("cells", "cells-v2"),)
    assert first.drift == ("cells top focus",)
    assert (second.state, second.waiting, second.last(24).pass_share) == (None, None, None)
    assert [(one.model, one.stations, one.parts) for one in used] == [("cells-v2", 1, 10), ("cells-v1", 1, 11)]


def test_what_comes_late_into_an_hour_that_is_over_is_shown_within_a_minute_and_this_hour_at_once(place: str) -> None:
    StoreWriter(place).close()
    station(place, "press-1", NOW_MS, judged=(8, 1, 1))
    clock_s = [100.0]
    past = PastHours(lambda: clock_s[0])

    def seen() -> tuple[Tally, Tally]:
        with engine(place).connect() as connection:
            [line] = overview(connection, NOW_MS, past=past)
        return line.hours[-1], line.hours[-6]

    assert seen() == (Tally(8, 1, 1), Tally())
    hours(place, "press-1", 5, "cells-v1", (5, 0, 0))
    hours(place, "press-1", 0, "cells-v9", (2, 0, 0))
    assert seen() == (Tally(10, 1, 1), Tally())
    clock_s[0] += PAST_KEPT_S
    assert seen() == (Tally(10, 1, 1), Tally(5, 0, 0))


def test_one_station_is_found_alone(place: str) -> None:
    StoreWriter(place).close()
    for name in ("press-1", "press-2"):
        station(place, name, NOW_MS, judged=(1, 0, 0))
    with engine(place).connect() as connection:
        assert [line.station for line in overview(connection, NOW_MS, station="press-2")] == ["press-2"]
        assert overview(connection, NOW_MS, station="press-3") == []


def test_no_record_and_no_sample_is_counted_for_the_fleet_or_one_station(tmp_path) -> None:  # noqa: ANN001
    place = str(tmp_path / "cloud.db")
    StoreWriter(place).close()
    station(place, STATION, NOW_MS)
    opened, asked = engine(place), list[tuple[str, object]]()
    sa.event.listen(opened, "before_cursor_execute", lambda *words: asked.append((words[2], words[3])))
    with opened.connect() as connection:
        overview(connection, NOW_MS)
        station_details(connection, STATION, 20)
        models_in_use(connection, NOW_MS)
        plans = [
            str(row[3])
            for statement, values in list(asked)
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
        ]
    assert any("inspection_hours" in plan for plan in plans)
    assert [plan for plan in plans if "SCAN" in plan and any(name in plan for name in ("records", "samples"))] == []
    assert [plan for plan in plans if "SCAN inspection_hours" in plan] == []


def test_a_stations_newest_inspections_come_first_with_their_models(place: str) -> None:
    with StoreWriter(place) as writer:
        writer.insert([as_new(inspected(seq, "PASS")) for seq in range(1, 31)], [], NOW_MS)
    add(place, conditions, {"station": STATION, "state": "online", "epoch": RECORDS_EPOCH, "resets": 0})
    with engine(place).connect() as connection:
        found = station_details(connection, STATION, 20)

    assert [one.seq for one in found.inspections] == list(range(30, 10, -1))
    assert found.inspections[0].models == ("cells-v3 INT8",)
    assert [(one.stream, one.records) for one in found.held] == [("inspections", 30)]


def test_what_was_held_back_is_shown_beside_what_was_there_first(place: str) -> None:
    first, other = as_new(inspected(1, "PASS")), as_new(inspected(1, "REJECT"))
    letter = DeadLetter("inspectd/v1/press-9/up/nonsense", b"\xff\x00no json", "expected a batch", "press-9")
    with StoreWriter(place) as writer:
        writer.insert([first], [letter], NOW_MS)
        writer.insert([other], [], NOW_MS + 1)
    with engine(place).connect() as connection:
        found, [held], [dead] = condition(connection, NOW_MS), held_back(connection, 10), letters(connection, 10)

    assert (found.records, found.quarantined, found.dead_letters) == (1, 1, 1)
    assert (held.seq, held.held, held.came) == (1, first.payload[:600], other.payload[:600])
    assert (dead.station, bytes(dead.payload)) == ("press-9", letter.payload)


def test_a_run_keeps_when_each_of_its_steps_began_first(place: str) -> None:
    with Runs(place) as runs:
        made = runs.open("cells", Trigger.BY_HAND, "asked for", 1)
        for at_ms, step in ((10, "snapshot"), (20, "train"), (25, "snapshot"), (30, "prove")):
            runs.enter(made.run, step, "w", at_ms)
        assert runs.steps(made.run) == [("snapshot", 10), ("train", 20), ("prove", 30)]


def test_what_the_kit_makes_is_what_the_hub_reads(place: str) -> None:
    StoreWriter(place).close()
    station(place, "press-1", NOW_MS)
    run(place, NOW_MS)
    rollout(place, NOW_MS, ("press-1", "press-2"))
    with Runs(place) as runs:
        assert runs.of("cells")[0].result == "refused"
    with engine(place).connect() as connection:
        [offered] = station_details(connection, "press-1", 5).offers
    assert (offered.name, offered.state, len(EPOCH)) == (RELEASE, "shadow", 32)
