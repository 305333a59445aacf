"""The loop's second story: boxes from a COCO file make a detector, which takes an anomaly model's place on a line.

`make story-deeppcb` shows it. Everything runs as processes, over a real broker; torch trains for a few minutes.
"""

import json
from pathlib import Path

import pytest
from pcb_story import BOARDS, DATA, Pcb, PcbSettings, lay_out
from rich.console import Console

from cloud_sync.wire.broker import available_kinds, free_port
from edge.demo.going_round import Round, go_round
from edge.demo.plant import Plant, ended_well
from edge.demo.records import compare_all, read_records
from edge.processes import ask, ask_json, follow

pytestmark = [
    pytest.mark.soak,
    pytest.mark.timeout(2400),
    pytest.mark.skipif(not DATA.exists(), reason=f"{DATA} is absent: the boards are no part of the product"),
    pytest.mark.skipif("mosquitto" not in available_kinds(), reason="mosquitto is not on this machine"),
]
LINE_BOARDS = 40


def test_a_detector_learned_from_imported_boxes_goes_live_in_place_of_an_anomaly_model(tmp_path: Path) -> None:
    pcb = lay_out(tmp_path, boards=200, good=100, line=LINE_BOARDS)
    settings = PcbSettings(pcb.classes, labels=pcb.labels, minutes=2.5, size_px=320)
    plant = Plant(tmp_path, "mosquitto", free_port(), free_port(), settings)
    plant.found_cloud()
    plant.configure(BOARDS)
    learn = ["edge", "calibrate", "--config", str(plant.config), "--from", str(pcb.good), "--overkill", "0.1"]
    ask([*learn, "--fast", "--no-study", "--tune-s", "1", "--json"])
    with plant.collecting():
        before = inspected(plant, pcb, "before")
        ask_json(["cloud", "import", str(pcb.labelled), "--product", "board", "--store", str(plant.store), "--json"])
        round_ = gone_round(plant)
        assert round_.course.live, round_.course.why
        after = inspected(plant, pcb, "after")
        differences = compare_all(plant).differences()
    assert (differences, round_.untold) == ({}, 0)
    assert {model for _, model in before.values()} == {"board v1"}
    assert {model for _, model in after.values()} == {"board v2"}
    assert escapes(after, pcb) < escapes(before, pcb)


def gone_round(plant: Plant) -> Round:
    """Boards pass until the run that the labels trigger has come to its end."""
    with plant.inspecting(BOARDS), plant.training() as work:
        round_ = go_round(plant, work, Console(stderr=True))
        plant.await_drained()
    return round_


def inspected(plant: Plant, pcb: Pcb, prefix: str) -> dict[str, tuple[str, str]]:
    """Every board once: its verdict, and which model said so, by its picture's name."""
    with plant.inspecting(BOARDS):
        with plant.line(2 * LINE_BOARDS, prefix) as line:
            ended_well(line, follow(line, lambda: None), plant.folder / "logs")
        plant.await_drained()
    records = map(json.loads, read_records(plant, prefix).values())
    found = {
        view["source"]: (record["verdict"], f"{view['model']['id']} v{view['model']['version']}")
        for record in records
        for view in record["views"]
    }
    assert len(found) == len(list(pcb.boards.iterdir()))
    return found


def escapes(found: dict[str, tuple[str, str]], pcb: Pcb) -> int:
    return sum(found[name][0] == "PASS" for name in pcb.defective)
