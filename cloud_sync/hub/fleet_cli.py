"""`cloud stations | quarantine`: the fleet from the command line. Heavy imports stand inside."""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from cloud_sync.hub.errors_said import clear_errors
from cloud_sync.hub.plain import plain

if TYPE_CHECKING:
    from cloud_sync.hub.store.fleet import Intruder, StationView
    from cloud_sync.hub.store.reading import StoreReader

Store = Annotated[str, typer.Option(help="Where records are kept: a file's path (SQLite) or a database URL.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]

_HEADINGS = (
    "station",
    "state",
    "since",
    "seen",
    "version",
    "epoch",
    "records",
    "samples",
    "waiting",
    "lost",
    "quarantined",
    "dead letters",
    "alarms",
)
_UNITS = ((86_400, "d"), (3600, "h"), (60, "min"))


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(stations)
    app.command()(quarantine)


def stations(store: Store, *, as_json: AsJson = False) -> None:
    """Show each station: state, records, what waits there, what went wrong. One line of JSON each with --json."""
    with clear_errors(), reader(store) as found:
        views = found.fleet()
        if as_json:
            for view in views:
                said_json(_as_dict(view))
        else:
            typer.echo("\n".join(columns([_HEADINGS, *(_cells(view, time.time()) for view in views)])))


def quarantine(
    store: Store,
    station: Annotated[str | None, typer.Option(help="Only this station.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List the records that came under an identity that was taken: what is held, and what came."""
    with clear_errors(), reader(store) as found:
        for intruder in found.intruders(station):
            if as_json:
                said_json(_both(intruder))
            else:
                place = f"{intruder.station} {intruder.epoch} {intruder.stream} {intruder.seq}"
                held, came = _what(intruder.held_payload), _what(intruder.payload)
                typer.echo(f"{place}: held {held} {intruder.held_sha256[:12]}, came {came} {intruder.sha256[:12]}")


@contextmanager
def reader(store: str) -> Iterator["StoreReader"]:
    """The store, to read. Raises StoreError."""
    from cloud_sync.hub.store.reading import StoreReader

    with StoreReader(store) as found:
        yield found


def said_json(content: dict[str, object]) -> None:
    """One line of JSON on stdout."""
    typer.echo(json.dumps(content))


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """The rows as lines whose cells stand under each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _cells(view: "StationView", now_s: float) -> tuple[str, ...]:
    epoch = f"{view.epoch[:8] if view.epoch else '-'} ({view.epochs})"
    letters = f"{view.dead_letters}" + (f" (+{view.dropped} not kept)" if view.dropped else "")
    return (
        view.station,
        view.state or "-",
        _ago(view.since_ms, now_s),
        _ago(view.last_seen_at_ms, now_s),
        plain(view.version) or "-",
        epoch,
        str(view.records),
        str(view.samples),
        "-" if view.waiting is None else str(view.waiting),
        str(view.lost),
        str(view.quarantined),
        letters,
        plain(_alarms(view)),
    )


def _alarms(view: "StationView") -> str:
    drift = [f"drift {sign}" for sign in view.drift]
    if view.health is None:
        return ", ".join(drift) or "-"
    said = [*drift, *view.health.alarms, *(f"fault {name}" for name in view.health.faults)]
    return ", ".join(said if view.health.ready else [*said, "not ready"]) or "none"


def _ago(at_ms: int | None, now_s: float) -> str:
    if at_ms is None:
        return "-"
    age_s = max(0, int(now_s - at_ms / 1000))
    for unit_s, name in _UNITS:
        if age_s >= 2 * unit_s:
            return f"{age_s // unit_s} {name}"
    return f"{age_s} s"


def _as_dict(view: "StationView") -> dict[str, object]:
    content: dict[str, object] = {name: getattr(view, name) for name in view.__slots__}
    health = view.health.model_dump(mode="json", by_alias=True) if view.health else None
    return content | {"health": health, "waiting": view.waiting}


def _both(intruder: "Intruder") -> dict[str, object]:
    names = ("station", "epoch", "stream", "seq", "received_at_ms", "sha256", "held_sha256")
    content: dict[str, object] = {name: getattr(intruder, name) for name in names}
    return content | {"held": json.loads(intruder.held_payload), "came": json.loads(intruder.payload)}


def _what(payload: bytes) -> str:
    content = json.loads(payload)
    named = [content.get(name) for name in ("part_id", "verdict", "outcome")]
    return " ".join(ascii(value)[1:-1] for value in named if isinstance(value, str)) or "-"
