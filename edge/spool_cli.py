"""`edge spool`: what waits for the cloud. Heavy imports stand inside the commands, as in `edge.cli`."""

import json
from typing import Annotated, Any

import typer

from edge.domain.errors import EXIT_REFUSED, ConfigError
from edge.saying import DEFAULT_CONFIG, ConfigOption, JsonOption, print_json, print_table, say

spool_app = typer.Typer(help="What waits at this station for the cloud.", no_args_is_help=True)


@spool_app.command("status")
def spool_status(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:  # noqa: FBT002 - a flag
    """What waits, since when and why; beside a running station or without one. Exit 1 where there are dead letters."""
    from edge.config import load_config
    from edge.spool import spool_status as read

    found: dict[str, Any] = read(load_config(config))
    good = not found["dead_letters"]["rows"]
    if as_json:
        print_json({"ok": good} | found)
    else:
        _tell(found)
    if not good:
        raise typer.Exit(EXIT_REFUSED)


@spool_app.command("drain")
def spool_drain(
    timeout_s: Annotated[float, typer.Option(min=0, help="Wait no longer; 0: as long as it takes.")] = 0,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,  # noqa: FBT002 - a flag
) -> None:
    """Wait until the cloud has everything; where no station runs, send it from here. Exit 1 when the time is over."""
    from dataclasses import asdict

    from edge.config import load_config
    from edge.logs import configure_logs
    from edge.spool import drain
    from models.progress import RichProgress

    configure_logs(as_json=False)
    with RichProgress() as progress:
        result = drain(load_config(config), progress, timeout_s)
    left = f"{result.records} records and {result.uploads} images wait"
    dead = f", {result.dead_letters} records can never be sent: `edge spool status`" if result.dead_letters else ""
    text = f"nothing waits{dead}" if result.is_empty else f"after {result.took_s:g} s {left}{dead}"
    say(as_json, {"ok": result.is_empty} | asdict(result), text)
    if not result.is_empty:
        raise typer.Exit(EXIT_REFUSED)


@spool_app.command("retry-dead")
def spool_retry_dead(
    stream: Annotated[
        str, typer.Option(help="Of one stream only: losses, inspections, outcomes, images, feedback.")
    ] = "",
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,  # noqa: FBT002 - a flag
) -> None:
    """Send again what could never be sent, now that the broker takes it; by the running station, or without one."""
    from cloud_sync.wire.outbox import Stream
    from edge.config import load_config
    from edge.logs import configure_logs
    from edge.spool import retry_dead

    if stream and stream not in set(Stream):
        raise ConfigError(f"--stream is one of {', '.join(Stream)}, got {stream!r}")
    configure_logs(as_json=False)
    moved = retry_dead(load_config(config), Stream(stream) if stream else None)
    say(as_json, {"ok": True, "records": moved}, f"{moved} records are back in the outbox")


def _tell(found: dict[str, Any]) -> None:
    rows = [
        (name, str(lane["rows"]), str(lane["bytes"]), "" if lane["oldest_at"] is None else f"{lane['oldest_age_s']:g}")
        for name, lane in found["waiting"].items()
    ]
    print_table("waits for the cloud", ("stream", "records", "bytes", "oldest, s"), rows)
    letters = [(one["stream"], str(one["seq"]), one["reason"], one["at"]) for one in found["dead_letters"]["newest"]]
    if letters:
        print_table("can never be sent", ("stream", "number", "why", "at"), letters)
    rest = [(name, json.dumps(found[name])) for name in ("losses", "uploads", "disk", "link", "epoch", "next_seq")]
    print_table("beside it", ("what", "is"), rest)
