"""Master parts under the camera: inspected as parts are, told to nobody as production, and checked from the record."""

import json
import subprocess
from pathlib import Path
from typing import Any

from brokers import eventually
from daemon_kit import daemon, line_to
from edge_kit import LineClient
from edge_rows import rows
from masters_kit import add_masters
from station_kit import Station, make_bundle, write_frames

from edge.masters.store import MasterStore
from edge.processes import command
from edge.record.lock import sole_owner


def live_station(folder: Path) -> Station:
    """Its camera sees a good and a bad part in turn; so are its masters."""
    made = Station(folder / "station", settings={"line": {"deadline_ms": 4000}, "camera": {"timeout_ms": 3000}})
    made.write_config()
    make_bundle(made.bundles)
    write_frames(made.folder / "frames", 6, bad_every=2)
    add_masters(made)
    return made


def verify_live(made: Station, typed: str) -> tuple[int, dict[str, Any], str]:
    arguments = [command("edge"), "verify-masters", "--live", "-c", str(made.config), "--json"]
    done = subprocess.run(arguments, input=typed, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, json.loads(done.stdout.splitlines()[-1]), done.stderr


def listening(line: LineClient) -> None:
    line.send({"type": "listen"}, {"type": "ping"})
    line.hear("pong")


def inspections(made: Station) -> list[dict[str, Any]]:
    found = rows(made.database, "SELECT payload FROM records WHERE stream = 'inspections' ORDER BY seq")
    return [json.loads(payload) for (payload,) in found]  # type: ignore[arg-type]


def test_parts_that_are_shown_are_inspected_recorded_and_told_to_no_output(tmp_path: Path) -> None:
    made = live_station(tmp_path)
    with sole_owner(made.folder / "data"), daemon(made), line_to(made) as line:
        line.hear_ready(ready=True)
        listening(line)
        code, said, asked = verify_live(made, "\n\n")
        assert (code, said["ok"], said["checks"][0]["how"]) == (0, True, "live")
        assert [(one["name"], one["got"]) for one in said["checks"][0]["masters"]] == [
            ("fine", "PASS"),
            ("blot", "REJECT"),
        ]
        assert "put the bad part 'blot' under camera 'top', then press Enter" in asked
        line.trigger("p-1")
        assert line.hear()["verdict"] == "PASS"
        assert line.hear("told")["part_id"] == "p-1"
        assert not [message for message in line.heard if message["type"] == "told"], "no master was told of"
    assert [(one["master"], one["verdict"]) for one in inspections(made)] == [
        ("fine", "PASS"),
        ("blot", "REJECT"),
        (None, "PASS"),
    ]


def test_a_part_that_is_told_wrong_under_the_camera_drops_ready(tmp_path: Path) -> None:
    made = live_station(tmp_path)
    with sole_owner(made.folder / "data"), daemon(made), line_to(made) as line:
        line.hear_ready(ready=True)
        line.trigger("p-1")
        line.hear()
        code, said, _ = verify_live(made, "\n\n")
        assert (code, said["checks"][0]["outcome"]) == (1, "failed")
        why = line.hear_ready(ready=False)["why"]
        assert "'fine' is REJECT" in why
        assert "'blot' is PASS" in why
        code, said, _ = verify_live(made, "\n")
        assert (code, said["kind"]) == (2, "ConfigError")
        assert "the input ended before master part 'blot' was shown" in said["error"]


def test_a_line_may_show_them_by_itself_and_what_it_did_not_show_is_missing(tmp_path: Path) -> None:
    made = live_station(tmp_path)
    with daemon(made), line_to(made) as line:
        line.hear_ready(ready=True)

        def check(shown: str) -> dict[str, Any]:
            line.send({"type": "verify_masters", "product": "blob", "shown": shown})
            return line.hear("masters")

        line.trigger("master:s1:fine", master="fine")
        told = line.hear()
        assert (told["verdict"], told["master"]) == ("PASS", "fine")
        assert "'blot' was not shown" in check("s1")["why"]
        line.trigger("master:s1:blot")
        assert line.hear()["verdict"] == "REJECT"
        assert "not_triggered_as_this_master" in check("s1")["why"], "a part of the production proves nothing"
        line.trigger("p-2")
        line.hear()
        line.trigger("master:s1:blot", master="blot")
        assert line.hear()["verdict"] == "REJECT"
        assert check("s1")["outcome"] == "passed"
        line.hear_ready(ready=True)
        make_bundle(made.bundles, "blob", 2, blindness=1.01)
        eventually(lambda: "by_another_bundle" in check("s1")["why"])
    found = rows(made.database, "SELECT outcome FROM master_checks ORDER BY seq")
    assert found[:3] == [("failed",), ("failed",), ("passed",)]


def test_the_commands_say_when_nobody_is_there_to_show_parts_to(tmp_path: Path) -> None:
    made = live_station(tmp_path)
    code, said, _ = verify_live(made, "\n\n")
    assert (code, said["kind"]) == (3, "OutputError")
    assert MasterStore(made.folder / "data", "blob").exists
