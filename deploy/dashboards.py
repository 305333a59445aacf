"""Write the Grafana dashboards: python3 deploy/dashboards.py. What they show is stated in deploy/grafana/*.toml."""

import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "grafana"
GRAFANA_SCHEMA = 39
_COLUMNS = 24
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_COLOURS = ("green", "orange", "red")


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel.

    Args:
        title: what it shows.
        queries: PromQL, each with what its lines are called.
        unit: Grafana's name of the unit.
        kind: stat, timeseries, table or state-timeline.
        size: columns of 24, and rows.
        limits: where it turns orange, and red; descending: below them.
        stacked: lines add up.
        says: what the reader should know.
    """

    title: str
    queries: tuple[tuple[str, str], ...]
    unit: str
    kind: str = "timeseries"
    size: tuple[int, int] = (8, 8)
    limits: tuple[float, float] | None = None
    stacked: bool = False
    says: str = ""


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A page: its panels by rows, and what its chooser offers."""

    uid: str
    title: str
    chooser: str
    rows: tuple[tuple[str, tuple[Panel, ...]], ...]


def main() -> None:
    """Write every page."""
    for source in sorted(FOLDER.glob("*.toml")):
        source.with_suffix(".json").write_text(json.dumps(page(read(source)), indent=1) + "\n", encoding="utf-8")


def read(source: Path) -> Dashboard:
    """A page as its TOML states it."""
    found = tomllib.loads(source.read_text(encoding="utf-8"))
    rows = tuple((row["title"], tuple(Panel(**panel) for panel in row["panel"])) for row in found["row"])
    return Dashboard(source.stem, found["title"], found["chooser"], rows)


def page(dashboard: Dashboard) -> dict[str, object]:
    """A dashboard in Grafana's own words."""
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "tags": ["inspectd"],
        "schemaVersion": GRAFANA_SCHEMA,
        "version": 1,
        "editable": True,
        "timezone": "browser",
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [_datasource(), _chooser(dashboard.chooser)]},
        "annotations": {"list": []},
        "links": [],
        "panels": _panels(dashboard),
    }


def _datasource() -> dict[str, object]:
    return {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}


def _chooser(query: str) -> dict[str, object]:
    asked = {"query": query, "refId": "instance"}
    kept = {"refresh": 2, "sort": 1, "multi": True, "includeAll": True, "allValue": ".*"}
    return {"name": "instance", "type": "query", "datasource": _SOURCE, "query": asked, "definition": query, **kept}


def _panels(dashboard: Dashboard) -> list[dict[str, object]]:
    """Rows one below the other; panels side by side until the next finds no room."""
    made: list[dict[str, object]] = []
    top = 0
    for title, panels in dashboard.rows:
        made.append(_row(title, len(made) + 1, top))
        left, top, tallest = 0, top + 1, 0
        for panel in panels:
            width, height = panel.size
            if left + width > _COLUMNS:
                left, top, tallest = 0, top + tallest, 0
            made.append(_panel(panel, len(made) + 1, (left, top)))
            left, tallest = left + width, max(tallest, height)
        top += tallest
    return made


def _row(title: str, number: int, top: int) -> dict[str, object]:
    place = {"x": 0, "y": top, "w": _COLUMNS, "h": 1}
    return {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": place, "panels": []}


def _panel(panel: Panel, number: int, at: tuple[int, int]) -> dict[str, object]:
    shown = {"stacking": {"mode": "normal" if panel.stacked else "none"}, "fillOpacity": 20 if panel.stacked else 5}
    defaults = {"unit": panel.unit, "min": 0, "thresholds": {"mode": "absolute", "steps": _steps(panel.limits)}}
    custom = {"custom": shown} if panel.kind == "timeseries" else {}
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.says,
        "datasource": _SOURCE,
        "gridPos": {"x": at[0], "y": at[1], "w": panel.size[0], "h": panel.size[1]},
        "fieldConfig": {"defaults": {**defaults, **custom}, "overrides": []},
        "options": _options(panel.kind),
        "targets": [_target(panel, number, *query) for number, query in enumerate(panel.queries)],
    }


def _target(panel: Panel, number: int, query: str, legend: str) -> dict[str, object]:
    instant = panel.kind in {"stat", "table"}
    asked = {"format": "table"} if panel.kind == "table" else {}
    named = {"refId": chr(ord("A") + number), "expr": query, "legendFormat": legend, "datasource": _SOURCE}
    return {**named, "instant": instant, "range": not instant, **asked}


def _steps(limits: tuple[float, float] | None) -> Sequence[dict[str, object]]:
    good, middling, bad = _COLOURS
    if limits is None:
        return [{"color": good, "value": None}]
    first, second = limits
    if first > second:
        return [{"color": bad, "value": None}, {"color": middling, "value": second}, {"color": good, "value": first}]
    return [{"color": good, "value": None}, {"color": middling, "value": first}, {"color": bad, "value": second}]


def _options(kind: str) -> dict[str, object]:
    match kind:
        case "stat":
            last = {"calcs": ["lastNotNull"], "fields": "", "values": False}
            return {"reduceOptions": last, "colorMode": "background", "graphMode": "none", "textMode": "auto"}
        case "timeseries":
            return {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
        case _:
            return {}


if __name__ == "__main__":
    main()
