"""`cloud init | retrain | status --config | work | serve` from the command line."""

import json
import signal
import subprocess
from pathlib import Path

import pytest
from brokers import eventually
from clouds import CLOUD
from retraining_kit import WEDNESDAY_MS, WorkerProcess, write_cloud

from cloud_sync.hub.retraining.runs import Result, Runs
from cloud_sync.hub.retraining.triggers import Trigger
from cloud_sync.hub.retraining.worker_id import worker_of
from cloud_sync.wire.broker import LocalBroker, free_port


def cloud(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    words = [*CLOUD, *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)


def test_init_writes_a_file_once(tmp_path: Path) -> None:
    file = tmp_path / "cloud.toml"
    assert json.loads(cloud("init", file, "--json").stdout) == {"config": str(file)}
    again = cloud("init", file)
    assert (again.returncode, again.stdout) == (2, "")
    assert "is there already" in again.stderr


def test_status_says_what_each_trigger_waits_for_what_is_under_way_and_what_came_of_the_last(tmp_path: Path) -> None:
    store = str(tmp_path / "cloud.db")
    config = write_cloud(tmp_path, store)
    with Runs(store) as runs:
        first = runs.open("cells", Trigger.NEW_LABELS, "50 of 50 new labels", WEDNESDAY_MS)
        runs.end(first.run, Result.REFUSED, "bar: 3 more escapes than the champion", WEDNESDAY_MS + 60_000)
        second = runs.open("cells", Trigger.DRIFT, "drift: north-1 top focus", WEDNESDAY_MS + 120_000)
        runs.enter(second.run, "train", "worker", WEDNESDAY_MS + 180_000)
    told = json.loads(cloud("status", "--config", config, "--json").stdout)
    assert (told["stations"], told["dead_letters"]) == ([], 0)
    [product] = told["products"]
    words = {word["trigger"]: word["why"] for word in product["triggers"]}
    assert (words["new labels"], words["drift"]) == ("0 of 50 new labels", "drift quiet")
    assert product["held"] == f"run {second.run} is under way"
    assert (product["under_way"]["step"], product["under_way"]["trigger"]) == ("train", "drift")
    assert (product["last"]["result"], product["last"]["reason"]) == (
        "refused",
        "bar: 3 more escapes than the champion",
    )
    lines = cloud("status", "--config", config).stdout
    assert "cells: no new class; 0 of 20 judged parts; drift quiet; 0 of 50 new labels (run cells-" in lines
    assert "refused 2026-09-21 14:14 UTC, -: bar: 3 more escapes than the champion" in lines


def test_status_without_a_store_says_what_to_give() -> None:
    said = cloud("status")
    assert said.returncode == 2
    assert "--config" in said.stderr


def test_runs_are_listed_shown_and_ended_by_hand(tmp_path: Path) -> None:
    store = str(tmp_path / "cloud.db")
    config = write_cloud(tmp_path, store)
    with Runs(store) as runs:
        run = runs.open("cells", Trigger.NEW_LABELS, "50 of 50 new labels", WEDNESDAY_MS).run
        runs.enter(run, "train", "worker", WEDNESDAY_MS + 1000)
    [listed] = cloud("runs", "list", "--config", config, "--json").stdout.splitlines()
    assert (json.loads(listed)["run"], json.loads(listed)["step"]) == (run, "train")
    assert "under way" in cloud("runs", "list", "--config", config).stdout
    said = cloud("runs", "end", run, "--config", config, "--by", "anna", "--why", "it stands still", "--json")
    assert (said.returncode, json.loads(said.stdout)["result"]) == (0, "ended")
    shown = cloud("runs", "show", run, "--config", config)
    assert "ended by anna: it stands still" in shown.stdout
    again = cloud("runs", "end", run, "--config", config)
    assert (again.returncode, again.stdout) == (1, "")
    assert "has ended already" in again.stderr
    assert "there is no run 'cells-0'" in cloud("runs", "show", "cells-0", "--config", config).stderr
    with Runs(store) as runs:
        assert runs.open("cells", Trigger.BY_HAND, "asked for by hand", WEDNESDAY_MS + 5000).result is None


@pytest.mark.parametrize(
    ("product", "code", "words"),
    [
        pytest.param("lids", 2, "cloud.toml has no product 'lids': it has cells", id="no such product"),
        pytest.param("cells", 1, "no image of it has a label: nothing to learn from", id="no label"),
    ],
)
def test_a_training_by_hand_that_cannot_be_is_refused_with_the_reason(
    tmp_path: Path, product: str, code: int, words: str
) -> None:
    config = write_cloud(tmp_path, str(tmp_path / "cloud.db"))
    said = cloud("retrain", product, "--config", config)
    assert said.returncode == code
    assert words in said.stderr


def test_a_second_worker_in_one_folder_is_refused_and_a_restarted_one_is_the_same(tmp_path: Path) -> None:
    config = write_cloud(tmp_path, str(tmp_path / "cloud.db"))
    with worker_of(tmp_path / "work") as worker:
        said = cloud("work", "--config", config)
    assert said.returncode == 1
    assert "another worker works in" in said.stderr
    with worker_of(tmp_path / "work") as again:
        assert again == worker


def sockets_of(pid: int) -> set[str]:
    found = set()
    for handle in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.add(str(handle.readlink()).removeprefix("socket:[").removesuffix("]"))
        except FileNotFoundError:
            continue
    return found


def connections(pid: int) -> list[tuple[str, str]]:
    """Remote address and state of each of a process's TCP sockets, as hexadecimal digits."""
    mine = sockets_of(pid)
    rows = [
        line.split() for table in ("tcp", "tcp6") for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
    ]
    return [(row[2], row[3]) for row in rows if row[9] in mine]


@pytest.mark.long
def test_a_worker_listens_nowhere_and_leaves_loopback_for_nothing_but_its_broker(tmp_path: Path) -> None:
    """Whatever the environment asks of DBOS: no conductor, no telemetry, no port of its own."""
    wanted = {
        "DBOS__CLOUD": "true",
        "DBOS__CONDUCTOR_APP_NAME": "a",
        "DBOS__CONDUCTOR_KEY": "k",
        "DBOS__CONDUCTOR_URL": "ws://127.0.0.1:9",
        "DBOS_SYSTEM_DATABASE_URL": "sqlite:////nowhere/else.db",
        "DBOS__VMID": "somebody",
    }
    broker = LocalBroker("iotcore", tmp_path / "broker", free_port())
    broker.start()
    worker = WorkerProcess(write_cloud(tmp_path, str(tmp_path / "cloud.db"), broker.address.port), wanted)
    worker.start()
    try:
        worker.until("ready")
        to_broker = f"0100007F:{broker.address.port:04X}"
        eventually(lambda: (to_broker, "01") in connections(worker.pid))
        found = connections(worker.pid)
    finally:
        assert worker.end(signal.SIGTERM) == 0
        broker.stop()
    assert "0A" not in {state for _, state in found}
    assert {address.partition(":")[0] for address, _ in found} == {"0100007F"}  # paho wakes itself by such a pair
    assert (tmp_path / "cloud-work.db").exists()
