import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from clouds import CLOUD, CloudProcess
from outboxes import EPOCH, STATION, inspection, outcome

from cloud_sync.hub.station_desks import HealthDesk, StateDesk
from cloud_sync.hub.store.writing import DeadLetter, Key, NewRecord, StoreWriter
from cloud_sync.wire.broker import LocalBroker
from cloud_sync.wire.messages import HealthMessage, StateMessage
from cloud_sync.wire.outbox import OutboxRow
from cloud_sync.wire.records import content_hash


def cloud(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*CLOUD, *arguments], capture_output=True, text=True, check=False, timeout=30)


def as_record(row: OutboxRow, verdict: str, outcome: str | None = None) -> NewRecord:
    return NewRecord(Key(STATION, EPOCH, row.stream, row.seq), row.payload, f"part-{row.seq}", verdict, outcome)


@pytest.fixture
def store(tmp_path: Path) -> str:
    """Two inspections, one outcome, one repeat, one intruder, one dead letter."""
    place = str(tmp_path / "store.db")
    rows = [as_record(inspection(1), "REJECT"), as_record(inspection(2), "PASS"), as_record(outcome(1), "PASS", "told")]
    with StoreWriter(place) as writer:
        writer.insert(rows, [], 1)
        writer.insert([rows[0], as_record(inspection(2, part_id="x"), "PASS")], [DeadLetter("t", b"", "why", None)], 2)
    return place


def test_status_counts_what_the_store_holds(store: str) -> None:
    said = cloud("status", "--store", store, "--json")

    assert (said.returncode, said.stderr) == (0, "")
    assert json.loads(said.stdout) == {
        "stations": [
            {
                "station": STATION,
                "last_seen_at_ms": 2,
                "duplicates": 1,
                "streams": {"inspections": 2, "outcomes": 1},
                "verdicts": {"PASS": 1, "REJECT": 1},
                "outcomes": {"told": 1},
                "quarantined": 1,
                "dead_letters": 0,
            }
        ],
        "quarantined": 1,
        "dead_letters": 1,
    }


def test_status_lists_every_record_with_its_hash(store: str) -> None:
    said = cloud("status", "--store", store, "--station", STATION, "--records", "--json")

    lines = [json.loads(line) for line in said.stdout.splitlines()]
    assert lines[1] == {
        "station": STATION,
        "epoch": EPOCH,
        "stream": "inspections",
        "seq": 2,
        "part_id": "part-2",
        "verdict": "PASS",
        "outcome": None,
        "sha256": content_hash(inspection(2).payload),
    }
    assert [(line["stream"], line["seq"]) for line in lines] == [
        ("inspections", 1),
        ("inspections", 2),
        ("outcomes", 1),
    ]


def test_people_read_the_same(store: str) -> None:
    said = cloud("status", "--store", store)
    assert "press-3: inspections 2, outcomes 1, PASS 1, REJECT 1, told 1, repeats 1, quarantined 1" in said.stdout
    assert cloud("status", "--store", store, "--records").stdout.count("\n") == 3


def test_stations_are_shown_with_what_an_operator_asks(store: str) -> None:
    at = datetime.now(UTC)
    health = HealthMessage(
        at=at,
        epoch=EPOCH,
        ready=False,
        faults={"camera top": "no frame"},
        alarms={"disk": "nearly full"},
        outbox={"inspections": 40, "outcomes": 2},
        dead_letters=0,
        losses=0,
        uploads=0,
        spool_bytes=1,
        disk_free_bytes=1,
    )
    state = StateMessage(state="online", epoch=EPOCH, next_seq=9, version="0.2.0", at=at)
    with StoreWriter(store) as writer:
        now_ms = round(at.timestamp() * 1000)
        writer.commit(lambda connection: StateDesk().take(connection, STATION, "state", state.pack(), now_ms))
        writer.commit(lambda connection: HealthDesk().take(connection, STATION, "health", health.pack(), now_ms))

    heading, line = cloud("stations", "--store", store).stdout.splitlines()
    said = json.loads(cloud("stations", "--store", store, "--json").stdout)

    assert heading.split()[:3] == ["station", "state", "since"]
    assert line.split()[:2] == [STATION, "online"]
    assert line.endswith("disk, fault camera top, not ready")
    assert f"{EPOCH[:8]} (1)" in line
    assert {name: said[name] for name in ("records", "waiting", "quarantined", "lost", "epoch", "version")} == {
        "records": 3,
        "waiting": 42,
        "quarantined": 1,
        "lost": 0,
        "epoch": EPOCH,
        "version": "0.2.0",
    }
    assert said["health"]["faults"] == {"camera top": "no frame"}


def test_a_station_that_never_spoke_of_itself_is_shown_all_the_same(store: str) -> None:
    line = cloud("stations", "--store", store).stdout.splitlines()[1]

    assert line.split()[:3] == [STATION, "-", "-"]


def test_quarantine_shows_what_is_held_and_what_came(store: str) -> None:
    said = cloud("quarantine", "--store", store)
    listed = json.loads(cloud("quarantine", "--store", store, "--station", STATION, "--json").stdout)

    assert f"{STATION} {EPOCH} inspections 2: held part-2 Gr\\xf6\\xdfe UNDECIDED" in said.stdout
    assert ", came x UNDECIDED" in said.stdout
    assert (listed["held"]["part_id"], listed["came"]["part_id"]) == ("part-2 Größe", "x")
    assert listed["held_sha256"] == content_hash(inspection(2).payload)
    assert cloud("quarantine", "--store", store, "--station", "press-9").stdout == ""


FAULTS = [
    pytest.param(("status", "--store", "{dir}/absent.db"), 3, "there is no store", id="absent store"),
    pytest.param(("collect", "--store", "{dir}/no/such/folder.db"), 3, "cannot open the store", id="no folder"),
    pytest.param(("collect", "--store", "{dir}/s.db", "--broker", "nowhere"), 2, "HOST:PORT", id="bad broker"),
    pytest.param(("status",), 2, "--store", id="store missing"),
    pytest.param(("collect", "--stroe", "x"), 2, "No such option", id="unknown option"),
    pytest.param(("colect",), 2, "No such command", id="unknown command"),
]


@pytest.mark.parametrize(("arguments", "code", "words"), FAULTS)
def test_an_expected_fault_is_said_plainly(tmp_path: Path, arguments: tuple[str, ...], code: int, words: str) -> None:
    said = cloud(*(argument.format(dir=tmp_path) for argument in arguments))

    assert said.returncode == code
    assert words in said.stderr
    assert "Traceback" not in said.stderr
    assert said.stdout == ""


def test_an_unknown_station_is_a_no(store: str) -> None:
    said = cloud("status", "--store", store, "--station", "press-9")
    assert (said.returncode, said.stdout) == (1, "")
    assert "'press-9' was never heard of" in said.stderr


def test_collect_says_when_it_is_ready_and_what_it_did(broker: LocalBroker, tmp_path: Path) -> None:
    broker.start()
    process = CloudProcess(broker.address, tmp_path / "store.db")
    process.start(awaited=False)

    ready = process.next_event()

    assert ready == {"event": "ready", "broker": f"mqtt://{broker.address}", "store": str(tmp_path / "store.db")}
    assert process.stop() == 0
    assert "Traceback" not in process.log()


def test_help_loads_nothing_heavy() -> None:
    program = """
import sys
from cloud_sync.hub.cli import main
sys.argv = ["cloud", "--help"]
try:
    main()
except SystemExit as end:
    heavy = {"numpy", "cv2", "openvino", "pydantic", "sqlalchemy", "paho"} & set(sys.modules)
    sys.exit(f"loaded {heavy}" if heavy or end.code else 0)
"""
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=30)

    assert (said.returncode, said.stderr) == (0, "")
    assert "collect" in said.stdout
