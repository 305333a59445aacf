"""A station is asked whether it still tells known good from known bad parts, and is not ready while it does not."""

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from brokers import eventually
from daemon_kit import daemon, line_to, status
from edge_kit import LineClient
from edge_rows import rows
from masters_kit import masters_station, new, pictures
from station_kit import Station, end, good_frame, make_bundle, process, run_json, write_frames

from edge.capture.pictures.limits import Learner, limits_path, save_limits
from edge.masters.store import MasterStore
from edge.record.lock import sole_owner
from models.bundle_store import rollback

STRICT = "[product.recipe.classes.anomaly]\nmin_score = 0.9\n"


def command(made: Station, *words: str) -> tuple[int, dict[str, Any]]:
    return run_json(["edge", *words, "-c", str(made.config), "--json"])


def verify(made: Station) -> tuple[int, dict[str, Any]]:
    return command(made, "verify-masters")


def ask(line: LineClient, product: str = "blob") -> dict[str, Any]:
    """The same, as a line would."""
    line.send({"type": "verify_masters", "product": product, "asked_by": "plc"})
    return line.hear("masters")


def checks(made: Station) -> list[dict[str, Any]]:
    found = rows(made.database, "SELECT payload FROM master_checks ORDER BY seq")
    return [json.loads(payload) for (payload,) in found]  # type: ignore[arg-type]


def take(made: Station, running: Any, version: int, **how: float) -> None:  # noqa: ANN401 - the daemon's inside
    if how:
        make_bundle(made.bundles, "blob", version, **how)  # type: ignore[arg-type]
    eventually(lambda: running._station.products["blob"].engine.model_id.version == version)  # noqa: SLF001


def test_a_running_station_passes_stays_ready_and_keeps_the_record(tmp_path: Path) -> None:
    made = masters_station(tmp_path)
    with process(["edge", "run", "-c", str(made.config)], made.folder / "daemon.log") as child:
        with line_to(made) as line:
            line.hear_ready(ready=True)
            code, said = verify(made)
            assert (code, said["ok"]) == (0, True)
            (check,) = said["checks"]
            assert [(one["name"], one["expected"], one["got"], one["ok"]) for one in check["masters"]] == [
                ("fine", "PASS", "PASS", True),
                ("blot", "REJECT", "REJECT", True),
            ]
            assert check["masters"][0]["score"] < 0.5 < check["masters"][1]["score"]
            line.trigger("p-1")
            assert line.hear()["verdict"] == "PASS"
            assert not [message for message in line.heard if message["type"] == "ready"], "ready never changed"
        eventually(lambda: status(made)["masters"]["blob"]["word"] == "passed")  # it is written each second
        code, said = command(made, "status")
        assert (code, said["master_checks"]["blob"]["outcome"]) == (0, "passed")
        assert end(child) == 0
    (kept,) = checks(made)
    assert (kept["product"], kept["outcome"], kept["model"]["version"], kept["recipe_version"]) == (
        "blob",
        "passed",
        1,
        "1",
    )
    code, said = command(made, "masters", "history")
    assert [(one["check"], one["outcome"]) for one in said["checks"]] == [(1, "passed")]
    assert rows(made.database, "SELECT count(*) FROM inspections") == [(1,)], "a stored master is no inspection"


@pytest.mark.parametrize(
    ("harm", "got"),
    [pytest.param({"blindness": 1e6}, "PASS", id="blind"), pytest.param({"nan_above": 130}, "UNDECIDED", id="damaged")],
)
def test_a_model_that_tells_them_wrong_drops_ready_until_a_check_passes(
    tmp_path: Path, harm: dict[str, float], got: str
) -> None:
    made = masters_station(tmp_path)
    with sole_owner(made.folder / "data"), daemon(made) as running, line_to(made) as line:
        line.hear_ready(ready=True)
        assert ask(line)["outcome"] == "passed"
        take(made, running, 2, **harm)
        code, said = verify(made)
        assert (code, said["checks"][0]["outcome"], said["checks"][0]["masters"][1]["got"]) == (1, "failed", got)
        assert f"'blot' is {got}" in line.hear_ready(ready=False)["why"]
        rollback(made.bundles, "blob")
        take(made, running, 1)
        line.send({"type": "ping"})
        line.hear("pong")
        assert "masters:blob" in running._station.health.faults(), "a rollback alone proves nothing"  # noqa: SLF001
        answer = ask(line)
        assert (answer["outcome"], answer["check_id"]) == ("passed", 3)
        line.hear_ready(ready=True)
    found = [(check["outcome"], check["model"]["version"], check["asked_by"] == "plc") for check in checks(made)]
    assert found == [("passed", 1, True), ("failed", 2, False), ("passed", 1, True)]


def test_a_failed_check_outlives_the_daemon_that_made_it(tmp_path: Path) -> None:
    made = masters_station(tmp_path, recipe=STRICT)
    with daemon(made), line_to(made) as line:
        line.hear_ready(ready=True)
        assert ask(line)["outcome"] == "failed"
        line.hear_ready(ready=False)
    made.config.write_text(made.config.read_text().replace(STRICT, ""))
    with daemon(made), line_to(made) as line:
        assert "'blot' is PASS" in line.hear_ready(ready=False)["why"] or line.hear_ready(ready=False)
        assert ask(line)["outcome"] == "passed"
        line.hear_ready(ready=True)


@pytest.mark.parametrize("harm", ["tampered", "gone", "no bad one", "no list"])
def test_a_master_that_is_not_what_it_was_fails_the_check(tmp_path: Path, harm: str) -> None:
    made = masters_station(tmp_path)
    store = MasterStore(made.folder / "data", "blob")
    blot = store.masters()[1]
    match harm:
        case "tampered":
            store.path(blot).write_bytes(store.path(store.masters()[0]).read_bytes())
        case "gone":
            store.path(blot).unlink()
        case "no bad one":
            store.remove("blot", "anna", datetime.now(UTC))
        case "no list":
            (store.folder / "masters.json").write_text("{}")
    with daemon(made), line_to(made) as line:
        line.hear_ready(ready=True)
        answer = ask(line)
        assert answer["outcome"] == "failed"
        assert answer["why"] in line.hear_ready(ready=False)["why"]
    assert checks(made)[0]["why"] == answer["why"]


def test_required_masters_hold_the_station_until_they_were_told_right_and_again_after_a_new_bundle(
    tmp_path: Path,
) -> None:
    made = masters_station(tmp_path, "required = true")
    with daemon(made) as running, line_to(made) as line:
        assert "no good check of its master parts yet" in _why(line)
        assert ask(line)["outcome"] == "passed"
        line.hear_ready(ready=True)
        take(made, running, 2, blindness=1.01)
        assert "with what looks at its parts now" in line.hear_ready(ready=False)["why"]
        assert ask(line)["outcome"] == "passed"
        line.hear_ready(ready=True)
    with daemon(made), line_to(made) as line:
        assert "since the start" in _why(line)


def _why(line: LineClient) -> str:
    """Why the station is not ready, once it is past its start."""
    while True:
        why = str(line.hear_ready(ready=False)["why"])
        if "master" in why:
            return why


def test_a_check_too_old_drops_ready_and_the_time_before_it_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = masters_station(tmp_path, "every_h = 8")
    with daemon(made) as running, line_to(made) as line:
        assert ask(line)["outcome"] == "passed"
        line.hear_ready(ready=True)
        keeper, ahead = running._masters, timedelta(hours=7.9)  # noqa: SLF001
        watch = keeper.watch  # the daemon goes on asking, by a clock that is ahead
        monkeypatch.setattr(keeper, "watch", lambda now, now_s: watch(now + ahead, now_s))
        eventually(lambda: keeper.standings()["blob"]["word"] == "due")  # type: ignore[index]
        ahead = timedelta(hours=8.1)
        assert "within 8 h" in line.hear_ready(ready=False)["why"]
    with daemon(made), line_to(made) as line:
        line.hear_ready(ready=True)
        eventually(lambda: status(made)["masters"]["blob"]["word"] == "passed")


@pytest.mark.parametrize("changed", ["rule", "limits", "region"])
def test_a_good_check_of_an_earlier_run_does_not_count_for_other_eyes(tmp_path: Path, changed: str) -> None:
    """The recipe's version is a person's word: a rule that lets the bad part pass kept yesterday's good check."""
    made = masters_station(tmp_path, "every_h = 8")
    with daemon(made), line_to(made) as line:
        assert ask(line)["outcome"] == "passed"
    with daemon(made), line_to(made) as line:
        line.hear_ready(ready=True)
    match changed:
        case "rule":
            made.config.write_text(made.config.read_text() + STRICT)
        case "region":
            made.config.write_text(made.config.read_text().replace("[[camera]]", "[[camera]]\nroi = [0, 0, 60, 60]"))
        case "limits":
            learner = Learner()
            for seed in range(20):
                learner.see(good_frame(seed=seed))
            limits = learner.limits()
            assert limits is not None
            save_limits(limits_path(made.folder / "data", "blob", "top"), "blob", "top", limits, 20)
    with daemon(made), line_to(made) as line:
        assert "with what looks at its parts now" in _why(line)


def test_a_check_that_cannot_be_written_counts_for_nothing(tmp_path: Path) -> None:
    made = masters_station(tmp_path, "required = true")
    with daemon(made), line_to(made) as line:
        _why(line)
        with closing(sqlite3.connect(made.database, timeout=10)) as other:
            other.execute("DROP TABLE master_checks")
        answer = ask(line)
        assert (answer["outcome"], answer["check_id"]) == ("incomplete", None)
        assert "refuses writes" in answer["why"]
        eventually(lambda: ask(line)["outcome"] == "passed")
        line.hear_ready(ready=True)


def test_parts_are_told_in_time_while_masters_are_checked_without_end(tmp_path: Path) -> None:
    made = masters_station(tmp_path)
    with daemon(made), line_to(made) as line, line_to(made) as asking:
        line.hear_ready(ready=True)
        outcomes, parts = set(), 0
        for _ in range(6):
            asking.send({"type": "verify_masters", "product": "blob"})
            for _ in range(20):
                parts += 1
                line.trigger(f"p-{parts}")
                told = line.hear()
                assert told["verdict"] == "PASS", told
                line.ack(told["part_id"])
            outcomes.add(asking.hear("masters")["outcome"])
    assert outcomes == {"passed"}
    assert rows(made.database, "SELECT count(*) FROM inspections WHERE verdict = 'PASS'") == [(parts,)]


def test_without_a_daemon_the_command_checks_by_itself_and_the_next_daemon_knows(tmp_path: Path) -> None:
    made = masters_station(tmp_path, recipe=STRICT)
    code, said = verify(made)
    assert (code, said["checks"][0]["outcome"]) == (1, "failed")
    with daemon(made), line_to(made) as line:
        assert "'blot' is PASS" in _why(line)
    made.config.write_text(made.config.read_text().replace(STRICT, ""))
    code, said = verify(made)
    assert (code, said["checks"][0]["check"], said["checks"][0]["outcome"]) == (0, 2, "passed")
    with daemon(made), line_to(made) as line:
        line.hear_ready(ready=True)


def test_a_picture_that_the_cameras_checks_doubt_is_undecided_here_too(tmp_path: Path) -> None:
    import cv2
    import numpy as np

    made = masters_station(tmp_path)
    dark = tmp_path / "dark.png"
    cv2.imwrite(str(dark), np.zeros((60, 80, 3), np.uint8))
    MasterStore(made.folder / "data", "blob").add([new(dark)])
    code, said = verify(made)
    assert code == 1
    assert said["checks"][0]["masters"][2]["reasons"] == ["camera_black"]


def test_a_picture_of_before_the_cameras_roi_proves_nothing_and_is_not_added(tmp_path: Path) -> None:
    """It shows more than a part shows now: a defect out there would be told, and on a part not even seen."""
    made = masters_station(tmp_path)
    assert verify(made)[0] == 0
    made.config.write_text(made.config.read_text().replace("[[camera]]", "[[camera]]\nroi = [0, 0, 60, 60]"))
    code, said = verify(made)
    assert code == 1
    assert [one["reasons"] for one in said["checks"][0]["masters"]] == [["camera_size"], ["camera_size"]]
    code, said = command(made, "masters", "add", str(made.folder / "pictures" / "fine.png"), "--good", "--name", "new")
    assert (code, said["kind"]) == (2, "ConfigError")
    assert "the roi of camera 'top' leaves 60x60" in said["error"]


def test_master_parts_are_added_listed_and_removed_by_command(tmp_path: Path) -> None:
    made = Station(tmp_path / "station")
    made.write_config()
    good, bad = pictures(tmp_path)
    code, said = command(made, "masters", "add", str(good), "--good", "--note", "golden")
    assert (code, said["added"][0]["expected"], said["wanting"]) == (0, "PASS", "a check needs a known bad part too")
    code, said = command(made, "masters", "add", str(bad), "--bad", "--class", "anomaly", "--name", "scratch")
    assert (code, said["added"][0]["class"], said["wanting"]) == (0, "anomaly", "")
    code, said = command(made, "masters", "list")
    assert (code, [one["name"] for one in said["masters"]]) == (0, ["fine", "scratch"])
    store = MasterStore(made.folder / "data", "blob")
    store.path(store.masters()[0]).write_bytes(b"")
    code, said = command(made, "masters", "list")
    assert (code, bool(said["masters"][0]["damage"]), said["masters"][1]["damage"]) == (1, True, "")
    code, said = command(made, "masters", "remove", "scratch")
    assert (code, said["removed"]["name"]) == (0, "scratch")


def test_the_line_port_refuses_what_is_no_check(tmp_path: Path) -> None:
    made = Station(tmp_path / "station")
    made.write_config()
    make_bundle(made.bundles)
    write_frames(made.folder / "frames", 2)
    with daemon(made), line_to(made) as line:
        line.hear_ready(ready=True)
        for product, why in (("cork", "must be one of blob"), ("blob", "'blob' has no master parts")):
            line.send({"type": "verify_masters", "product": product})
            assert why in line.hear("error")["why"]
        line.send({"type": "verify_masters"})
        assert "product must be a string" in line.hear("error")["why"]
        eventually((made.folder / "data" / "status.json").is_file)
        eventually(lambda: status(made)["ready"])
