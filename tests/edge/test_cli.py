import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from station_kit import Station, run_json

from edge.config import StationConfig, load_config
from edge.config_schema import explanations, station_schema
from edge.domain.errors import ConfigError, OutputError, StorageError, exit_code
from edge.status import read_status
from models.errors import GateError, ModelError, RequestError

HEAVY = ("numpy", "cv2", "openvino", "pydantic", "structlog", "paho", "cloud_sync.wire.records", "edge.config")
_HELP = """
import sys
from edge.cli import main
sys.argv = ["edge", *{arguments!r}]
try:
    main()
except SystemExit as end:
    assert end.code in (0, 2), end.code
loaded = [name for name in {heavy!r} if name in sys.modules]
sys.exit(f"loaded {{loaded}}" if loaded else 0)
"""


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(command.split(), id=command or "edge")
        for command in (
            "",
            "init",
            "doctor",
            "config",
            "config check",
            "config show",
            "config schema",
            "calibrate",
            "tune",
            "run",
            "simulate",
            "status",
            "bundle",
            "bundle list",
            "bundle verify",
            "bundle import",
            "bundle activate",
            "bundle rollback",
            "camera",
            "camera list",
            "camera grab",
            "camera collect",
            "camera scale",
            "backup",
            "restore",
            "factory-reset",
            "demo",
            "bench",
            "masters",
            "masters add",
            "masters list",
            "masters remove",
            "masters history",
            "verify-masters",
            "user",
            "user add",
            "user list",
            "user remove",
            "user role",
            "user password",
            "web",
            "feedback",
            "enrol",
            "renew",
            "spool",
            "spool status",
            "spool drain",
            "spool retry-dead",
        )
    ],
)
def test_help_is_quick_because_it_loads_nothing_heavy(command: list[str]) -> None:
    text = _HELP.format(arguments=[*command, "--help"], heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", text], check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage:" in done.stdout


def test_every_command_stands_in_the_readme() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    words = ("init", "doctor", "config check", "calibrate", "run", "simulate", "status", "demo", "tune", "bench")
    for word in (*words, "masters add", "verify-masters", "changeover", "feedback", "user add", "web"):
        assert f"edge {word}" in readme or f"make {word}" in readme, word
    for word in ("list", "import", "verify", "activate", "rollback"):
        assert re.search(rf"edge bundle ([a-z]+\|)*{word}", readme), word
    for word in ("list", "grab", "collect", "scale"):
        assert f"edge camera {word}" in readme, word
    for word in ("status", "drain", "retry-dead"):
        assert f"edge spool {word}" in readme, word
    for word in (
        "collect",
        "status",
        "stations",
        "quarantine",
        "release offer",
        "release status",
        "user add",
        "web",
        "runs list",
    ):
        assert f"cloud {word}" in readme, word


def test_a_defect_of_ours_is_no_gate_that_said_no(tmp_path: Path) -> None:
    text = "import sys; sys.argv = ['edge', 'doctor']; import edge.doctor; edge.doctor.examine = None; "
    text += "from edge.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", text], check=False, capture_output=True, cwd=tmp_path, timeout=60)
    assert done.returncode == 3
    assert b"Traceback" in done.stderr


def test_init_writes_once_and_overwrites_nothing(tmp_path: Path) -> None:
    code, said = run_json(["edge", "init", str(tmp_path), "--station", "s-9", "--json"])
    assert (code, said["ok"]) == (0, True)
    config = tmp_path / "station.toml"
    assert load_config(config).station.id == "s-9"
    config.write_text("mine")
    code, said = run_json(["edge", "init", str(tmp_path), "--json"])
    assert (code, said["ok"], said["exit_code"]) == (2, False, 2)
    assert config.read_text() == "mine"


def test_init_writes_what_it_is_told(tmp_path: Path) -> None:
    words = ["--data-dir", "/var/lib/inspectd", "--camera", "gige://GV77", "--broker", "hub.example:18883"]
    code, _ = run_json(["edge", "init", str(tmp_path), "--station", "s-9", *words, "--json"])
    found = load_config(tmp_path / "station.toml")
    assert (code, found.station.data_dir, found.camera[0].source) == (0, Path("/var/lib/inspectd"), "gige://GV77")
    assert found.sync.broker == "hub.example:18883"


def test_a_check_names_the_unknown_key_and_the_nearest(tmp_path: Path) -> None:
    made = Station(tmp_path, settings={"line": {"deadline_m": 5}})
    code, said = run_json(["edge", "config", "check", "-c", str(made.write_config()), "--json"])
    assert (code, said["kind"]) == (2, "ConfigError")
    assert "'line.deadline_m': did you mean 'deadline_ms'" in said["error"]


def test_what_is_shown_is_all_that_the_station_goes_by(tmp_path: Path) -> None:
    config = Station(tmp_path).write_config()
    code, said = run_json(["edge", "config", "show", "-c", str(config), "--json"])
    assert code == 0
    assert StationConfig.model_validate(said).model_dump() == load_config(config).model_dump()


def test_no_password_is_shown(tmp_path: Path) -> None:
    camera = {"source": "rtsp://me:hush@127.0.0.1/live", "trigger": "free", "latency_ms": 100}
    config = Station(tmp_path, settings={"camera": camera}).write_config()
    code, said = run_json(["edge", "config", "show", "-c", str(config), "--json"])
    assert (code, said["camera"][0]["source"]) == (0, "rtsp://***@127.0.0.1/live")
    assert "hush" not in json.dumps(said)


def test_the_schema_knows_every_section_and_no_other_key() -> None:
    code, said = run_json(["edge", "config", "schema", "--json"])
    assert (code, set(said["properties"])) == (0, set(StationConfig.model_fields))
    sections = [said, *(one for one in said["$defs"].values() if one["type"] == "object")]
    assert all(one["additionalProperties"] is False for one in sections)


def test_the_schema_explains_every_key_and_no_other() -> None:
    schema = cast("dict[str, Any]", station_schema())
    sections = {"StationConfig": schema, **schema["$defs"]}
    keys = {(name, key) for name, section in sections.items() for key in section.get("properties", {})}
    assert {(name, key) for name, told in explanations().items() for key in told} == keys
    unexplained = [(name, key) for name, key in keys if not sections[name]["properties"][key]["description"]]
    assert unexplained == []


def test_init_names_a_schema_that_lies_beside_and_is_the_one_of_this_version(tmp_path: Path) -> None:
    code, _ = run_json(["edge", "init", str(tmp_path), "--station", "s-1", "--json"])
    first, *_ = (tmp_path / "station.toml").read_text().splitlines()
    assert (code, first) == (0, "#:schema ./station.schema.json")
    beside = tmp_path / "station.schema.json"
    assert json.loads(beside.read_text()) == station_schema()
    beside.unlink()
    code, said = run_json(["edge", "config", "schema", "--out", str(beside), "--json"])
    assert (code, said) == (0, {"ok": True, "path": str(beside)})
    assert json.loads(beside.read_text()) == station_schema()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["station.schema.json", "station.toml"]
    code, said = run_json(["edge", "config", "schema", "--out", str(tmp_path / "no" / "where"), "--json"])
    assert (code, said["kind"]) == (3, "StorageError")


def test_a_good_file_is_good(tmp_path: Path) -> None:
    code, said = run_json(["edge", "config", "check", "-c", str(Station(tmp_path).write_config()), "--json"])
    assert (code, said["ok"], said["cameras"]) == (0, True, ["top"])


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        pytest.param(["status"], 3, id="status of a station that never ran"),
        pytest.param(["run"], 3, id="run without a bundle"),
        pytest.param(["status", "-c", "gone.toml"], 2, id="no configuration"),
        pytest.param(["bundle", "activate", "blob", "7"], 3, id="a bundle that is not there"),
    ],
)
def test_errors_are_one_json_object_with_their_exit_code(tmp_path: Path, arguments: list[str], code: int) -> None:
    config = Station(tmp_path).write_config()
    given = arguments if "-c" in arguments else [*arguments, "-c", str(config)]
    found, said = run_json(["edge", *given, "--json"])
    assert (found, said["ok"], said["exit_code"]) == (code, False, code)
    assert said["error"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        pytest.param(GateError("no"), 1, id="a gate"),
        pytest.param(ConfigError("wrong"), 2, id="configuration"),
        pytest.param(RequestError("cannot be"), 2, id="request"),
        pytest.param(ModelError("broken"), 3, id="model"),
        pytest.param(StorageError("full"), 3, id="disk"),
        pytest.param(OutputError("gone"), 3, id="line"),
    ],
)
def test_exit_codes_say_who_must_act(error: Exception, code: int) -> None:
    assert exit_code(error) == code


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("", id="empty"),
        pytest.param("[]", id="a list"),
        pytest.param("{}", id="nothing in it"),
        pytest.param('{"written_at": "yesterday", "pid": 1, "running": true}', id="no time"),
        pytest.param('{"written_at": null, "pid": null, "running": true}', id="nulls"),
    ],
)
def test_a_status_that_cannot_be_read_is_an_answer_and_no_crash(tmp_path: Path, content: str) -> None:
    config = load_config(Station(tmp_path).write_config())
    config.status_path.parent.mkdir(parents=True)
    config.status_path.write_text(content)
    with pytest.raises(StorageError, match="no status"):
        read_status(config)


def test_a_status_from_the_future_is_not_trusted(tmp_path: Path) -> None:
    from edge.record.database import open_database

    config = load_config(Station(tmp_path).write_config())
    open_database(config.database_path).close()
    later = datetime.now(UTC).replace(year=2099).isoformat()
    content = {"written_at": later, "pid": 1, "running": True, "ready": True, "why": ""}
    config.status_path.write_text(json.dumps(content))
    assert read_status(config)["ready"] is False
