"""What is wrong with a configuration is said in full before anything starts, with the right exit code."""

from pathlib import Path

from line_kit import make_line
from station_kit import run_json


def test_an_unknown_key_is_refused_with_its_name_and_the_nearest_known_one(tmp_path: Path) -> None:
    line = make_line(tmp_path, settings={"line": {"deadline_m": 300}})
    for arguments in (["config", "check"], ["run"]):
        code, answer = run_json(["edge", *arguments, "-c", str(line.station.config), "--json"])
        assert code == 2
        assert "'line.deadline_m'" in answer["error"]
        assert "did you mean 'deadline_ms'" in answer["error"]


def test_a_station_without_bundle_says_what_to_do(tmp_path: Path) -> None:
    line = make_line(tmp_path)
    (line.station.bundles / "blob" / "active").unlink()
    code, answer = run_json(["edge", "run", "-c", str(line.station.config), "--json"])
    assert code == 3
    assert "calibrate" in answer["error"]


def test_a_second_daemon_on_the_same_data_is_refused_and_harms_nothing(tmp_path: Path) -> None:
    line = make_line(tmp_path)
    with line.daemon():
        line.run_parts(3)
        code, answer = run_json(["edge", "run", "-c", str(line.station.config), "--json"])
        assert (code, answer["kind"]) == (3, "OwnedError")
        assert line.run_parts(3, "--prefix", "again")["untold"] == 0
