"""Bundles go live under a steady line of a real station: no part lost, none late, each judged by one of them alone."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from brokers import eventually
from daemon_kit import status
from line_kit import Line, make_line
from station_kit import make_bundle

from models.bundle import Bundle
from models.bundle_store import activate, rollback

pytestmark = pytest.mark.long
RATE_HZ = "20"
BAD_EVERY = 4


@pytest.mark.parametrize("swaps", [pytest.param(1, id="once"), pytest.param(5, id="forth and back")])
def test_a_hot_swap_loses_no_part_delays_none_beyond_its_deadline_and_splits_none(tmp_path: Path, swaps: int) -> None:
    parts = 80 * (swaps + 2)
    line = make_line(tmp_path, frames=40, bad_every=BAD_EVERY, settings={"line": {"deadline_ms": 1000}})
    old, new = both(line)
    with line.daemon(), line.simulator(parts, "--rate", RATE_HZ, "--in-flight", "20") as child:
        for swap in range(swaps):
            told = line.told()
            eventually(lambda told=told: line.told() >= told + 40, 60)  # type: ignore[misc]
            if swap:
                rollback(line.station.bundles, "blob")
            else:
                activate(line.station.bundles, "blob", new.model_id.version)
            wanted = (new, old)[swap % 2].model_id.version
            eventually(lambda wanted=wanted: version(line) == wanted, 60)  # type: ignore[misc]
        assert status(line.station)["models"]["blob"]["graph"] == "cached", (
            "no graph was compiled in the line's process"
        )
        out, _ = child.communicate(timeout=120)
    summary: dict[str, Any] = json.loads(out)
    assert (summary["parts"], summary["untold"], summary["repeated"]) == (parts, 0, 0)
    assert line.outcomes() == {"told": parts}
    assert_each_by_one_of(line, old, new)
    assert changes(line) == swaps


def both(line: Line) -> tuple[Bundle, Bundle]:
    """The bundle that is live, and one that passes everything, never compiled here."""
    new = make_bundle(line.station.bundles, version=2, blindness=1e6)
    activate(line.station.bundles, "blob", 1)
    return make_bundle(line.station.folder / "same", version=1), new


def version(line: Line) -> int:
    models = status(line.station)["models"]
    return int(models["blob"]["version"])


def judged(line: Line) -> list[dict[str, Any]]:
    """Each part's view, in the order of the records."""
    records: list[dict[str, Any]] = sorted(line.records().values(), key=lambda record: record["seq"])  # type: ignore[arg-type, return-value]
    return [view for record in records for view in record["views"]]


def assert_each_by_one_of(line: Line, old: Bundle, new: Bundle) -> None:
    """The verdict is that of the model that the record names, and what the line was told is the record's."""
    told = {event["inspection_id"]: event["verdict"] for event in line.events("told")}
    assert told == {identity: record["verdict"] for identity, record in line.records().items()}
    bad = {f"{number:06}.png" for number in range(BAD_EVERY, 41, BAD_EVERY)}
    for view in judged(line):
        by_new = view["model"]["version"] == new.model_id.version
        expected = "REJECT" if view["source"] in bad and not by_new else "PASS"
        assert (view["verdict"], by_new or view["model"]["version"] == old.model_id.version) == (expected, True), view


def changes(line: Line) -> int:
    """How often the model changed from one record to the next."""
    versions = [view["model"]["version"] for view in judged(line)]
    return sum(before != after for before, after in pairwise(versions))
