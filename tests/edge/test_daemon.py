import os
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from brokers import eventually
from daemon_kit import daemon, line_to, status
from edge_rows import rows
from station_kit import Station, end, make_bundle, process, run_json, ungated_int8, write_frames

from edge.config import load_config
from edge.daemon import Daemon
from edge.domain.errors import ConfigError, OutputError, StorageError
from edge.record.lock import sole_owner
from models.errors import GateError


@contextmanager
def station(folder: Path, *, nan_above: float | None = None, frames: int = 6, **settings: Any) -> Iterator[Station]:  # noqa: ANN401 - sections
    made = Station(folder, settings=settings)
    made.write_config()
    make_bundle(made.bundles, nan_above=nan_above)
    write_frames(folder / "frames", frames, bad_every=2)
    yield made


def test_parts_are_inspected_told_and_acknowledged_and_a_stop_leaves_nothing_open(tmp_path: Path) -> None:
    with station(tmp_path) as made:
        with daemon(made), line_to(made) as line:
            line.hear_ready(ready=True)
            told = []
            for number in range(6):
                line.trigger(f"p-{number}")
                told.append(line.hear())
                line.ack(f"p-{number}")
        assert [one["verdict"] for one in told] == ["PASS", "REJECT"] * 3
        assert rows(made.database, "SELECT outcome, count(*) FROM inspections GROUP BY 1") == [("told", 6)]
        assert rows(made.database, "SELECT count(*) FROM images WHERE stored") == [(6,)]
        said = status(made)
        assert (said["running"], said["ready"], said["why"]) == (False, False, "stopped")


def test_a_broken_model_drops_ready_never_passes_and_is_ready_again_after_its_self_test(tmp_path: Path) -> None:
    with station(tmp_path, nan_above=130, frames=2) as made, daemon(made), line_to(made) as line:
        line.hear_ready(ready=True)
        line.trigger("good")
        assert line.hear()["verdict"] == "PASS"
        line.trigger("bright")
        told = line.hear()
        assert (told["verdict"], told["reasons"]) == ("UNDECIDED", ["model_fault"])
        assert "not finite" in line.hear_ready(ready=False)["why"]
        line.hear_ready(ready=True)


def test_a_camera_that_is_lost_drops_ready_and_its_parts_are_undecided(tmp_path: Path) -> None:
    with station(tmp_path, frames=1, camera={"loop": False}) as made, daemon(made), line_to(made) as line:
        line.hear_ready(ready=True)
        line.trigger("p-1")
        assert line.hear()["verdict"] == "PASS"
        assert "at its end" in line.hear_ready(ready=False)["why"]
        line.trigger("p-2")
        told = line.hear()
        assert (told["verdict"], told["reasons"]) == ("UNDECIDED", ["camera_lost"])


def test_a_disk_that_does_not_answer_is_undecided_by_the_deadline_and_said(tmp_path: Path) -> None:
    with station(tmp_path, line={"deadline_ms": 300}) as made, daemon(made), line_to(made) as line:
        line.hear_ready(ready=True)
        with closing(sqlite3.connect(made.database, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            line.trigger("p-1")
            told = line.hear()
            assert (told["verdict"], told["reasons"]) == ("UNDECIDED", ["deadline_passed"])
            line.ack("p-1")
            assert "disk has been writing" in line.hear_ready(ready=False)["why"]
            other.execute("ROLLBACK")
        line.hear_ready(ready=True)
        eventually(
            lambda: rows(made.database, "SELECT outcome, told_verdict FROM inspections") == [("late", "UNDECIDED")]
        )


def test_a_second_daemon_is_refused_and_harms_nothing_of_the_first(tmp_path: Path) -> None:
    with station(tmp_path) as made, process(["edge", "run", "-c", str(made.config)], tmp_path / "daemon.log") as first:
        with line_to(made) as line:
            line.hear_ready(ready=True)
            code, said = run_json(["edge", "run", "-c", str(made.config), "--json"])
            assert code == 3
            assert f"pid {first.pid}" in said["error"]
            line.trigger("p-1")
            line.hear()
            line.ack("p-1")
            eventually(lambda: rows(made.database, "SELECT outcome FROM inspections") == [("told",)])
        eventually(lambda: status(made)["running"] is True)
        assert end(first) == 0


def test_a_killed_daemon_leaves_its_folder_to_the_next(tmp_path: Path) -> None:
    with station(tmp_path) as made:
        with process(["edge", "run", "-c", str(made.config)], tmp_path / "daemon.log") as first:
            with line_to(made) as line:
                line.hear_ready(ready=True)
                line.trigger("p-1")
                line.hear()
            eventually((tmp_path / "data" / "status.json").is_file)
            end(first, signal.SIGKILL)
        code, said = run_json(["edge", "status", "-c", str(made.config), "--json"])
        assert (code, said["running"], said["ready"]) == (1, False, False)
        assert "dead" in said["why"]
        with daemon(made), line_to(made) as line:
            line.hear_ready(ready=True)
        assert rows(made.database, "SELECT outcome FROM inspections") == [("unconfirmed",)]


def test_a_start_that_fails_stops_what_it_started_and_can_be_tried_again(tmp_path: Path) -> None:
    with station(tmp_path) as made, daemon(made), line_to(made):
        eventually((made.folder / "data" / "status.json").exists)  # every thread of the first one has started
        before = threading.active_count()
        second = Station(tmp_path / "second", port=made.port)
        second.write_config()
        make_bundle(second.bundles)
        write_frames(second.folder / "frames", 2)
        with pytest.raises(OutputError, match="is another daemon running"):
            Daemon(load_config(second.config)).run()
        eventually(lambda: threading.active_count() <= before + 1)


def test_int8_that_its_gate_refused_starts_no_station_though_a_link_names_it(tmp_path: Path) -> None:
    with station(tmp_path) as made:
        refused = ungated_int8(made.bundles, "blob", 2, "failed")
        link = made.bundles / "blob" / "active"
        link.unlink()
        link.symlink_to(refused.name)
        with pytest.raises(GateError, match="says of the gate: failed"):
            Daemon(load_config(made.config))


def test_a_rule_below_what_is_reported_is_refused_at_the_start(tmp_path: Path) -> None:
    with station(tmp_path) as made:
        text = made.config.read_text() + "[product.recipe.classes.anomaly]\nmin_score = 0.2\n"
        made.config.write_text(text)
        with pytest.raises(ConfigError, match="lowest score that is reported"):
            Daemon(load_config(made.config))


def test_a_folder_has_one_owner_and_is_free_again(tmp_path: Path) -> None:
    with sole_owner(tmp_path), pytest.raises(StorageError, match=f"pid {os.getpid()}"), sole_owner(tmp_path):
        pass
    started_s = time.monotonic()
    with sole_owner(tmp_path):
        assert time.monotonic() - started_s < 1
