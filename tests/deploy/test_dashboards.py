"""The dashboards, checked as far as it goes without Grafana; and all that they and the alerts ask for really exists."""

import json
import re
import shutil
import subprocess
import sys
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from brokers import eventually
from clouds import CloudProcess
from daemon_kit import daemon, line_to
from prometheus_client.parser import text_string_to_metric_families
from station_kit import Station, make_bundle, write_frames

from cloud_sync.wire.broker import LocalBroker, free_port

DEPLOY = Path(__file__).parents[2] / "deploy"
GRAFANA = DEPLOY / "grafana"
PAGES = {path.stem: json.loads(path.read_text()) for path in sorted(GRAFANA.glob("*.json"))}
UNITS = {"short", "none", "s", "bytes", "percentunit", "cps", "cpm", "bool_yes_no"}  # all are Grafana's
KINDS = {"row", "stat", "timeseries", "table", "state-timeline"}
BY_THE_SCRAPE = {"instance", "job"}
pages = pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)


def panels(page: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in page["panels"] if panel["type"] != "row"]


def queries() -> Iterator[str]:
    """Every expression of dashboards and alerts."""
    for page in PAGES.values():
        yield from (target["expr"] for panel in panels(page) for target in panel["targets"])
    for group in yaml.safe_load((DEPLOY / "prometheus" / "inspectd.rules.yml").read_text())["groups"]:
        yield from (rule["expr"] for rule in group["rules"])


def test_the_pages_are_those_that_their_sources_make(tmp_path: Path) -> None:
    shutil.copytree(GRAFANA, tmp_path / "grafana", ignore=shutil.ignore_patterns("*.json"))
    shutil.copy(DEPLOY / "dashboards.py", tmp_path)
    subprocess.run([sys.executable, str(tmp_path / "dashboards.py")], check=True)
    assert {path.stem: json.loads(path.read_text()) for path in sorted((tmp_path / "grafana").glob("*.json"))} == PAGES
    assert len(PAGES) == 2


@pages
def test_a_page_has_what_grafana_wants_and_leaves_the_datasource_open(page: dict[str, Any]) -> None:
    assert re.fullmatch(r"[a-z-]{1,40}", page["uid"])
    assert page["title"]
    assert page["schemaVersion"] >= 36
    assert [(one["name"], one["type"]) for one in page["templating"]["list"]] == [
        ("datasource", "datasource"),
        ("instance", "query"),
    ]
    ids = [panel["id"] for panel in page["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in panels(page):
        sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        assert {json.dumps(one) for one in sources} == {'{"type": "prometheus", "uid": "${datasource}"}'}
        refs = [target["refId"] for target in panel["targets"]]
        assert refs
        assert len(set(refs)) == len(refs)


@pages
def test_panels_say_their_unit_and_their_limits_rise(page: dict[str, Any]) -> None:
    assert {panel["type"] for panel in page["panels"]} <= KINDS
    for panel in panels(page):
        defaults = panel["fieldConfig"]["defaults"]
        assert defaults["unit"] in UNITS
        first, *others = [step["value"] for step in defaults["thresholds"]["steps"]]
        assert first is None
        assert others == sorted(set(others))


@pages
def test_panels_lie_side_by_side_and_never_on_each_other(page: dict[str, Any]) -> None:
    places = [panel["gridPos"] for panel in page["panels"]]
    assert all(place["x"] >= 0 and place["x"] + place["w"] <= 24 and place["h"] > 0 for place in places)
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below


def test_prometheus_can_read_every_query_of_the_dashboards(tmp_path: Path) -> None:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is not on this machine (Debian package prometheus)")
    asked = [query.replace("$__rate_interval", "5m").replace("$instance", "line-1") for query in queries()]
    assert not any("$" in query for query in asked)
    rules = [{"record": f"query_{number}", "expr": query} for number, query in enumerate(asked)]
    path = tmp_path / "queries.yml"
    path.write_text(json.dumps({"groups": [{"name": "queries", "rules": rules}]}))
    done = subprocess.run([found, "check", "rules", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(asked)} rules found" in done.stdout


Figures = dict[str, dict[str, set[str]]]


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> Figures:
    """What a real station with a lost camera and an alarm, and a real collector, show: name, label, its values."""
    folder = tmp_path_factory.mktemp("figures")
    station, hub = free_port(), free_port()
    with LocalBroker("iotcore", folder / "broker", free_port()) as broker:
        collector = CloudProcess(broker.address, folder / "cloud.db", options=("--metrics", f"127.0.0.1:{hub}"))
        collector.start()
        settings = {"metrics": {"listen": f"127.0.0.1:{station}"}, "camera": {"loop": False}}
        made = Station(folder, str(broker.address), settings=settings)
        made.write_config()
        make_bundle(made.bundles)
        write_frames(folder / "frames", 1)
        with daemon(made) as running, line_to(made) as line:
            line.hear_ready(ready=True)
            running._station.health.set_alarm("disk", "for this test")  # noqa: SLF001 - no real one comes so quickly
            line.trigger("p-1")
            line.hear()
            line.hear_ready(ready=False)
            eventually(lambda: "inspectd_last_ack_age_seconds" in read(station))
            eventually(lambda: "fate" in read(hub).get("inspectd_collector_records_total", {}))
            found = read(station) | read(hub)
        collector.stop()
    # the first only where the broker is on another machine; the second is Prometheus's own
    return found | {"inspectd_certificate_left_seconds": {}, "up": {}}


def read(port: int) -> Figures:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
        text = answer.read().decode()
    found: Figures = defaultdict(lambda: defaultdict(set))
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name].update()  # known, though it may have no label
            for label, value in sample.labels.items():
                found[sample.name][label].add(value)
    return dict(found)


@pytest.mark.parametrize("query", sorted(set(queries())))
def test_what_a_query_asks_for_is_on_the_real_pages_with_the_labels_it_names(figures: Figures, query: str) -> None:
    named = re.findall(r"(inspectd_\w+|\bup\b)(\{[^}]*\})?", query)
    assert named
    known = set[str]()
    for name, selector in named:
        assert name in figures, name
        known |= set(figures[name])
        for label, operator, value in re.findall(r'(\w+)(=~|=)"([^"]*)"', selector):
            if label in BY_THE_SCRAPE or (label, value) == ("fault", "hung"):
                continue
            wanted = set(value.split("|")) if operator == "=~" else {value}
            assert wanted <= figures[name][label], (name, label)
    grouped = {label.strip() for inside in re.findall(r"\b(?:by|on) \(([^)]*)\)", query) for label in inside.split(",")}
    assert grouped - BY_THE_SCRAPE <= known


@pages
def test_a_legend_names_labels_that_its_query_leaves(page: dict[str, Any], figures: Figures) -> None:
    for panel in panels(page):
        for target in panel["targets"]:
            shown = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) - BY_THE_SCRAPE
            grouped = re.search(r"\bby \(([^)]*)\)", target["expr"])
            left = {one.strip() for one in grouped.group(1).split(",")} if grouped else set()
            name = re.search(r"inspectd_\w+", target["expr"])
            left |= set() if grouped or name is None else set(figures[name.group()])
            assert shown <= left, target["expr"]
