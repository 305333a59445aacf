"""What lies on a station's disk stays within its budgets, and what that costs is counted."""

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from brokers import eventually
from daemon_kit import daemon, line_to, status
from edge_rows import rows
from spool_kit import MANY, execute, fill, spool, used_bytes
from station_kit import Station, make_bundle, run_json, write_frames

from cloud_sync.wire.outbox import SeqRange, Stream
from edge.record.backup_hold import LOCK, WHOSE, WORK
from edge.record.counts import read_counts
from edge.record.database import current_epoch, open_database, open_reader
from edge.record.eviction import Limits, Usage, is_held_up
from edge.record.letting_go import NEWEST_KEPT, ranges_of
from edge.record.lock import sole_owner
from edge.record.outbox import SqliteOutbox
from edge.record.spool import free_bytes

KIT = str(Path(__file__).parents[1] / "kit")
NO_LIMIT = 1 << 50


def budget(path: Path, share: float, free_bytes: int = 0) -> Limits:
    """Room for a share of what the database holds now."""
    return Limits(NO_LIMIT, int(used_bytes(path) * share), free_bytes)


def tombstones(path: Path) -> list[dict[str, Any]]:
    found = rows(path, "SELECT payload FROM records WHERE stream = 'losses' ORDER BY seq")
    return [json.loads(str(payload, "utf-8")) for (payload,) in found]  # type: ignore[call-overload]


def buried(path: Path, stream: str) -> list[int]:
    """The numbers that the tombstones of a stream name, each once for every time."""
    named = [span for record in tombstones(path) if record["stream"] == stream for span in record["ranges"]]
    return sorted(seq for first, last in named for seq in range(first, last + 1))


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with unacknowledged inspections, for tests that only copy it."""
    made = tmp_path_factory.mktemp("filled") / "station.db"
    fill(made)
    return made


@pytest.fixture
def path(tmp_path: Path, filled: Path) -> Path:
    made = tmp_path / "station.db"
    shutil.copy(filled, made)
    return made


def test_what_the_cloud_has_goes_first_the_oldest_first_and_without_a_word(tmp_path: Path, path: Path) -> None:
    execute(path, "DELETE FROM outbox WHERE seq <= 2000")
    limits = budget(path, 0.75)
    with spool(tmp_path, limits) as made:
        made.tidy()
        kept = made.seqs(table="records")
        assert made.seqs() == list(range(2001, MANY + 1))
        assert kept == list(range(kept[0], MANY + 1))
        assert 300 < kept[0] < MANY - NEWEST_KEPT
        assert tombstones(path) == []
        assert made.alarms == dict.fromkeys(made.alarms, "")
    assert used_bytes(path) <= limits.records_bytes
    assert rows(path, "SELECT min(seq), count(*) FROM inspections") == [(kept[0], MANY + 1 - kept[0])]


def test_a_record_that_is_never_acknowledged_holds_no_other_that_is(tmp_path: Path, path: Path) -> None:
    execute(path, "DELETE FROM outbox WHERE seq NOT IN (1, 700)")
    with spool(tmp_path, budget(path, 0.6)) as made:
        made.tidy()
        assert made.seqs() == [1, 700]
        assert made.seqs(table="records")[:2] == [1, 700]
        assert made.seqs(table="records")[2] > 702


def test_dead_letters_stay_and_what_is_open_stays(tmp_path: Path, path: Path) -> None:
    execute(path, "DELETE FROM outbox WHERE seq <= 2000")
    execute(path, "INSERT INTO dead_letters VALUES ('outcomes', 3, 1, 'poison', '2026-01-01')")
    execute(path, "UPDATE inspections SET outcome = NULL WHERE seq = 5")
    execute(path, "DELETE FROM records WHERE seq = 5 AND stream = 'outcomes'")
    limits = budget(path, 0.7)
    with spool(tmp_path, limits) as made:  # a start closes what an earlier run left open: 5 waits again
        made.tidy()
        assert made.seqs(table="records")[:2] == [3, 5]
        assert made.seqs("outcomes")[0] == 5
        assert tombstones(path) == []


def test_a_dead_letter_of_an_inspection_that_is_given_up_is_counted_and_leaves_no_mark_behind(tmp_path: Path) -> None:
    path = tmp_path / "station.db"
    fill(path, NEWEST_KEPT + 40)
    with spool(tmp_path, Limits(NO_LIMIT, 1000)) as made:
        outbox = SqliteOutbox(made.recorder)
        outbox.bury(outbox.after(Stream.OUTCOMES, 3, 2), "poison")
        outbox.close()
        made.tidy()
        assert buried(path, "outcomes") == list(range(1, 41))
        assert made.recorder.retry_dead() == 0
        assert made.seqs("outcomes") == made.seqs("outcomes", "records")


def test_dead_letters_alarm_also_after_a_restart_and_until_they_are_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "station.db"
    fill(path, 3)
    with spool(tmp_path, Limits(NO_LIMIT)) as made:
        outbox = SqliteOutbox(made.recorder)
        outbox.bury(outbox.after(Stream.OUTCOMES, 0, 2), "poison")
        outbox.close()
    with spool(tmp_path, Limits(NO_LIMIT)) as made:
        made.tidy()
        assert "2 records" in made.alarms["dead_letters"]
        made.recorder.retry_dead()
        made.tidy()
        assert made.alarms["dead_letters"] == ""


def test_what_the_cloud_never_saw_goes_last_good_parts_first_and_every_one_is_counted(
    tmp_path: Path, path: Path
) -> None:
    limits = budget(path, 0.8)
    with spool(tmp_path, limits) as made:
        made.tidy()
        gone = sorted(set(range(1, MANY + 1)) - set(made.seqs()))
        assert len(gone) > 200
        assert all(seq % 3 for seq in gone)
        assert gone == [seq for seq in range(1, gone[-1] + 1) if seq % 3]
        for stream in ("inspections", "outcomes", "images"):
            assert buried(path, stream) == gone
            assert made.seqs(stream, "records") == made.seqs(stream) == made.seqs()
        told = [record for record in tombstones(path) if record["stream"] == "inspections"]
        assert sum((Counter(record["verdicts"]) for record in told), Counter()) == {"PASS": len(gone)}
        assert made.seqs("losses") == list(range(1, len(tombstones(path)) + 1))
        assert str(len(gone)) in made.alarms["verdicts_lost"]
        with closing(open_reader(path)) as reader:
            counts = read_counts(reader)
        assert (counts["lost:inspections"], counts["lost:images"]) == (len(gone), len(gone))
        assert counts["outbox:inspections"] == MANY - len(gone)
    assert used_bytes(path) <= limits.records_bytes


def test_rejects_go_once_no_good_part_is_left(tmp_path: Path) -> None:
    path, may_go = tmp_path / "station.db", 300
    fill(path, NEWEST_KEPT + may_go)
    with spool(tmp_path, budget(path, 0.8)) as made:
        made.tidy()
        gone = set(range(1, NEWEST_KEPT + may_go + 1)) - set(made.seqs())
        assert {seq for seq in range(1, may_go + 1) if seq % 3} <= gone
        rejects = sorted(seq for seq in gone if seq % 3 == 0)
        assert rejects
        assert rejects == list(range(3, rejects[-1] + 1, 3))
        told = [record for record in tombstones(path) if record["stream"] == "inspections"]
        assert sum((Counter(record["verdicts"]) for record in told), Counter())["REJECT"] == len(rejects)


def test_the_newest_stay_however_small_the_budget(tmp_path: Path) -> None:
    fill(tmp_path / "station.db", NEWEST_KEPT + 50)
    with spool(tmp_path, Limits(NO_LIMIT, 1000)) as made:
        made.tidy()
        assert made.seqs() == list(range(51, NEWEST_KEPT + 51))


def test_losses_of_two_epochs_have_a_tombstone_each(tmp_path: Path) -> None:
    path = tmp_path / "station.db"
    fill(path, 30)
    with closing(open_database(path)) as connection:
        old = current_epoch(connection)[1]
    with spool(tmp_path, Limits(NO_LIMIT)) as made:
        made.recorder.renew_epoch(old)
    fill(path, NEWEST_KEPT + 30)
    with spool(tmp_path, Limits(NO_LIMIT, 1000)) as made:
        made.tidy()
    by_epoch = {record["of_epoch"]: record["ranges"][0][0] for record in reversed(tombstones(path))}
    assert by_epoch[old] == 1
    assert len(by_epoch) == 2
    assert {record["epoch"] for record in tombstones(path)} == set(by_epoch) - {old}


_KILLED_WHILE_GIVING_UP = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from spool_kit import spool
from station_kit import Station, make_bundle, run_json, write_frames
from edge.record.eviction import Limits, Usage, is_held_up
from edge.record import letting_go

left = int(sys.argv[3])
made = letting_go.insert_record
def insert_record(*given):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return made(*given)
letting_go.insert_record = insert_record
with spool(Path(sys.argv[1]), Limits(1 << 50, 1000)) as one:
    one.tidy()
"""


@pytest.mark.parametrize("after", [pytest.param(1, marks=pytest.mark.soak), 4])
def test_a_kill_while_records_are_given_up_counts_each_once(tmp_path: Path, path: Path, after: int) -> None:
    command = [sys.executable, "-c", _KILLED_WHILE_GIVING_UP, str(tmp_path), KIT, str(after)]
    assert subprocess.run(command, check=False, timeout=60).returncode == -signal.SIGKILL
    with spool(tmp_path, Limits(NO_LIMIT)) as made:
        for stream in ("inspections", "outcomes", "images"):
            assert sorted(buried(path, stream) + made.seqs(stream)) == list(range(1, MANY + 1))
        made.retention.tidy()
        assert bool(made.alarms["verdicts_lost"]) is (after >= 3)


def test_the_alarm_is_over_once_the_cloud_took_the_tombstones_and_numbers_go_on(tmp_path: Path, path: Path) -> None:
    with spool(tmp_path, budget(path, 0.9)) as made:
        made.tidy()
        assert made.alarms["verdicts_lost"]
        outbox = SqliteOutbox(made.recorder)
        told = outbox.after(Stream.LOSSES, 0, 1000)
        outbox.acknowledge(Stream.LOSSES, told[0].epoch, [SeqRange(1, told[-1].seq)])
        outbox.close()
        made.tidy()
        assert made.alarms["verdicts_lost"] == ""
    with spool(tmp_path, budget(path, 0.9)) as made:
        made.tidy()
        assert made.seqs("losses")[0] == told[-1].seq + 1


def test_tombstones_that_the_cloud_has_do_not_stay_for_ever_and_those_that_wait_do(tmp_path: Path) -> None:
    path = tmp_path / "station.db"
    fill(path, NEWEST_KEPT + 100)
    with spool(tmp_path, Limits(NO_LIMIT, 1000)) as made:
        made.tidy()
        numbers = made.seqs("losses")
        outbox = SqliteOutbox(made.recorder)
        outbox.acknowledge(Stream.LOSSES, outbox.after(Stream.LOSSES, 0, 1)[0].epoch, [SeqRange(1, numbers[-2])])
        outbox.close()
        made.tidy()
        assert made.seqs("losses", "records") == made.seqs("losses") == numbers[-1:]
        assert len(made.seqs()) == NEWEST_KEPT


def test_a_budget_that_fills_is_said_before_anything_is_lost(tmp_path: Path, path: Path) -> None:
    with spool(tmp_path, budget(path, 1.1)) as made:
        made.tidy()
        assert str(MANY) in made.alarms["records_filling"]
        assert made.alarms["verdicts_lost"] == ""
    with spool(tmp_path, budget(path, 1.1), sends=False) as made:
        made.tidy()
        assert made.alarms.keys() == {"disk_low"}


def test_too_little_free_disk_takes_history_never_what_waits_for_the_cloud(tmp_path: Path, path: Path) -> None:
    execute(path, "DELETE FROM outbox WHERE seq <= 1200")
    with spool(tmp_path, Limits(NO_LIMIT, NO_LIMIT, 1 << 60)) as made:
        made.tidy()
        assert made.seqs() == made.seqs(table="records") == list(range(1201, MANY + 1))
        assert made.alarms["disk_low"]
        assert not made.retention.has_room
        assert made.alarms["verdicts_lost"] == ""


def test_what_a_backup_holds_is_not_made_room_for_and_what_a_killed_one_left_goes(tmp_path: Path, path: Path) -> None:
    execute(path, "DELETE FROM outbox WHERE seq <= 1200")
    held = tmp_path / f"{WORK}x"
    held.mkdir()
    with (held / "evicted-meanwhile.png").open("wb") as file:
        file.truncate(8 << 30)
    limits = Limits(NO_LIMIT, NO_LIMIT, free_bytes(tmp_path) + (1 << 30))
    with spool(tmp_path, limits) as made:
        with sole_owner(tmp_path, LOCK, WHOSE):
            made.tidy()
            assert made.seqs(table="records") == list(range(1, MANY + 1))
            assert made.retention.has_room
        made.tidy()
        assert not held.exists()
        assert made.seqs(table="records") == list(range(1201, MANY + 1))


def test_where_a_backup_holds_all_that_could_go_no_image_is_added_before_the_verdicts_reserve_is_gone() -> None:
    limits = Limits(NO_LIMIT, NO_LIMIT, 1000)
    assert is_held_up(Usage(free_bytes=499, held_bytes=1), limits)
    assert not is_held_up(Usage(free_bytes=500, held_bytes=1), limits)
    assert not is_held_up(Usage(free_bytes=1), limits)


def test_a_database_larger_than_its_budget_gives_pages_back(tmp_path: Path, path: Path) -> None:
    execute(path, "DELETE FROM outbox")
    limits = budget(path, 0.6)
    with spool(tmp_path, limits) as made:
        made.tidy()
    assert path.stat().st_size <= 1.03 * limits.records_bytes


def test_a_database_that_cannot_give_pages_back_fills_them_anew(tmp_path: Path, path: Path) -> None:
    """Databases of the first version have no incremental vacuum."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("PRAGMA journal_mode = DELETE; PRAGMA auto_vacuum = NONE; VACUUM;")
    execute(path, "DELETE FROM outbox")
    before = path.stat().st_size
    limits = budget(path, 0.6)
    with spool(tmp_path, limits) as made:
        made.tidy()
        assert made.retention.usage.reusable_bytes > 0.3 * before
    fill(path, 400)
    assert path.stat().st_size <= before
    assert used_bytes(path) > limits.records_bytes


def test_ranges_are_runs() -> None:
    assert ranges_of([1, 2, 3, 7, 9, 10]) == [(1, 3), (7, 7), (9, 10)]
    assert ranges_of([]) == []


def test_a_turn_is_bounded_so_that_verdicts_are_written_between(tmp_path: Path) -> None:
    path = tmp_path / "station.db"
    fill(path, NEWEST_KEPT + 200)
    execute(path, "DELETE FROM outbox WHERE seq <= 100")
    with spool(tmp_path, Limits(NO_LIMIT, 1000)) as made:
        left = [NEWEST_KEPT + 200]
        while made.retention.tidy():
            left.append(int(str(rows(path, "SELECT count(*) FROM inspections")[0][0])))
        assert max(before - after for before, after in pairwise(left)) <= 32
        assert left[-1] == NEWEST_KEPT


def test_what_was_acknowledged_behind_a_search_that_found_nothing_still_goes_before_what_was_not(
    tmp_path: Path, path: Path
) -> None:
    limits = budget(path, 0.9)
    with spool(tmp_path, limits) as made:
        made.tidy()
        lost = buried(path, "inspections")
        assert lost
        execute(path, "DELETE FROM outbox WHERE seq BETWEEN 600 AND 1000")
        fill(path, 200)
        made.tidy()
        assert buried(path, "inspections") == lost
        assert len(made.seqs(table="records")) < len(made.seqs()) + 401
    assert used_bytes(path) <= limits.records_bytes


def test_edge_status_shows_what_is_lost_and_what_alarms_and_the_station_stays_ready(tmp_path: Path) -> None:
    made = Station(tmp_path / "station", settings={"retention": {"free_bytes": 1 << 60}})
    made.write_config()
    make_bundle(made.bundles)
    write_frames(made.folder / "frames", 2)
    fill(made.database, NEWEST_KEPT + 40)
    with spool(made.database.parent, Limits(NO_LIMIT, 1000)) as one:
        one.tidy()
    with daemon(made), line_to(made):
        eventually((made.folder / "data" / "status.json").exists)
        eventually(lambda: "disk_low" in status(made)["alarms"] and status(made)["ready"])
        code, said = run_json(["edge", "status", "-c", str(made.config), "--json"])
    assert code == 0
    assert said["database"]["lost"]["inspections"] == 40
    assert said["disk"]["records_bytes"] > 1_000_000
