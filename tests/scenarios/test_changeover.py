"""Products and bundles change under a running line, and no part is judged by another's recipe or model."""

import json
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from brokers import eventually
from daemon_kit import daemon, line_to, status
from edge_kit import LineClient
from edge_rows import rows
from station_kit import Station, make_bundle, run_json, ungated_int8, write_frames

from models.bundle_store import rollback

PARTS = 360
IN_FLIGHT = 4
SECOND = "[product.recipe]\nversion = '7'\n[[product]]\nid = 'cap'\nbundle = 'cap'\n[product.recipe]\nversion = '9'\n"
EXPECTED = {"blob": ("blob", "7"), "cap": ("cap", "9")}


@pytest.fixture
def made(tmp_path: Path) -> Station:
    """Two products, each with its own bundle and recipe version, seen by two cameras."""
    station = Station(tmp_path / "station", settings={"line": {"deadline_ms": 4000}, "camera": {"timeout_ms": 3000}})
    text = station.write_config().read_text() + SECOND
    side = "[[camera]]\nid = 'side'\nsource = 'frames'\ntrigger = 'software'\nloop = true\ntimeout_ms = 3000\n"
    station.config.write_text(text + side)
    for name in EXPECTED:
        make_bundle(station.bundles, name)
    write_frames(station.folder / "frames", 6)
    return station


def records(made: Station) -> dict[str, dict[str, Any]]:
    """Every inspection's record by part id, in the order of their numbers."""
    found = rows(made.database, "SELECT payload FROM records WHERE stream = 'inspections' ORDER BY seq")
    return {record["part_id"]: record for record in (json.loads(payload) for (payload,) in found)}  # type: ignore[arg-type]


def versions(record: dict[str, Any]) -> set[tuple[str, int]]:
    return {(view["model"]["id"], view["model"]["version"]) for view in record["views"]}


class Alternating:
    """Triggers parts of both products in turn, and every third of the one that was chosen, as fast as they are told."""

    def __init__(self, line: LineClient) -> None:
        self.line = line
        self.expected: dict[str, str] = {}
        self.chosen = "blob"
        self.told = 0

    def choose(self, product: str) -> None:
        self.line.send({"type": "product", "product": product})
        self.chosen = product

    def run(self, parts: int) -> None:
        for _ in range(parts):
            number = len(self.expected)
            part_id, product = f"p-{number:04}", ("blob", "cap", "")[number % 3]
            self.expected[part_id] = product or self.chosen
            self.line.send({"type": "trigger", "part_id": part_id} | ({"product": product} if product else {}))
            while len(self.expected) - self.told >= IN_FLIGHT:
                self.hear()
        while self.told < len(self.expected):
            self.hear()

    def hear(self) -> None:
        told = self.line.hear()
        self.line.ack(told["part_id"])
        assert told["verdict"] == "PASS", told
        self.told += 1


def test_no_part_is_judged_by_the_wrong_recipe_while_product_and_bundle_change_under_load(made: Station) -> None:
    with daemon(made) as running, line_to(made) as client:
        client.hear_ready(ready=True)
        line = Alternating(client)
        line.choose("blob")
        activating = threading.Thread(target=lambda: make_bundle(made.bundles, "cap", 2))
        activating.start()
        for product in ("cap", "blob", "cap"):
            line.run(PARTS // 6)
            line.choose(product)
        activating.join(10)
        while running._station.products["cap"].engine.model_id.version < 2:  # noqa: SLF001 - taken, and parts still run
            line.run(6)
        line.run(PARTS // 6)
        rollback(made.bundles, "cap")
        while running._station.products["cap"].engine.model_id.version > 1:  # noqa: SLF001
            line.run(6)
        line.run(PARTS // 6)
    kept = records(made)
    assert {part_id: record["product"] for part_id, record in kept.items()} == line.expected
    for record in kept.values():
        bundle, recipe = EXPECTED[record["product"]]
        assert record["recipe_version"] == recipe
        assert {name for name, _ in versions(record)} == {bundle}
        assert len(versions(record)) == 1, "one part, one model, whichever camera looked"
    ran = [versions(record).pop()[1] for record in kept.values() if record["product"] == "cap"]
    changes = [(before, after) for before, after in pairwise(ran) if before != after]
    assert changes == [(1, 2), (2, 1)]


def test_a_person_changes_the_station_over_by_command(made: Station) -> None:
    with daemon(made), line_to(made) as line:
        line.hear_ready(ready=True)
        line.send({"type": "trigger", "part_id": "p-0"})
        assert "none was chosen" in line.hear("error")["why"]
        code, said = run_json(["edge", "changeover", "cap", "-c", str(made.config), "--json"])
        assert (code, said["product"]) == (0, "cap")
        assert line.hear("product")["product"] == "cap"
        line.send({"type": "trigger", "part_id": "p-1"})
        assert line.hear()["verdict"] == "PASS"
        code, said = run_json(["edge", "changeover", "cork", "-c", str(made.config), "--json"])
        assert (code, said["kind"]) == (2, "ConfigError")
        assert "must be one of blob, cap" in said["error"]
        line.trigger("p-2")
        line.send({"type": "trigger", "part_id": "p-3"})
        assert [line.hear()["verdict"] for _ in range(2)] == ["PASS", "PASS"]
    assert {part_id: record["product"] for part_id, record in records(made).items()} == {
        "p-1": "cap",
        "p-2": "blob",
        "p-3": "cap",
    }
    code, said = run_json(["edge", "changeover", "cap", "-c", str(made.config), "--json"])
    assert (code, said["kind"]) == (3, "OutputError"), "nobody is there"


def test_a_bundle_that_cannot_run_changes_nothing(made: Station) -> None:
    with daemon(made), line_to(made) as line:
        line.hear_ready(ready=True)
        refused = ungated_int8(made.bundles, "cap", 2, "failed")
        link = made.bundles / "cap" / "active"
        link.unlink()
        link.symlink_to(refused.name)
        make_bundle(made.bundles, "blob", 2)
        eventually((made.folder / "data" / "status.json").is_file)
        eventually(lambda: status(made)["models"]["blob"]["version"] == 2)
        line.trigger("p-1", "cap")
        assert line.hear()["verdict"] == "PASS"
        eventually(lambda: status(made)["ready"])
    assert versions(records(made)["p-1"]) == {("cap", 1)}
