"""`edge backup | restore | factory-reset`: the station in a file, back from one, or gone. Heavy imports inside."""

import os
from pathlib import Path
from typing import Annotated

import typer

from edge.domain.errors import EXIT_REFUSED
from edge.saying import DEFAULT_CONFIG, ConfigOption, JsonOption, say

_NICE = 10


def backup(
    file: Annotated[Path, typer.Argument(help="The archive to write; it must not exist.")],
    images: Annotated[bool, typer.Option("--images", help="The images as well.")] = False,  # noqa: FBT002 - a flag
    secrets: Annotated[  # noqa: FBT002 - a flag
        bool, typer.Option("--secrets", help="The private key and files with passwords as well: guard that archive.")
    ] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,  # noqa: FBT002 - a flag
) -> None:
    """Write the station into one file, also while it runs: configuration, bundles in use, what it learned, its records.

    A login that stands in station.toml itself is in it too. `edge restore` takes it, here or on another machine.
    """
    from edge.backup.making import Wanted, make_backup
    from edge.config import load_config
    from models.progress import RichProgress

    os.nice(_NICE)  # the line goes first
    with RichProgress() as progress:
        made = make_backup(load_config(config), file, Wanted(images=images, secrets=secrets), progress)
    left = made.manifest.left_out
    text = [f"wrote {made.path}: {len(made.manifest.files)} files, {made.size_bytes} bytes"]
    content = {"ok": True, "path": str(made.path), "files": len(made.manifest.files), "size_bytes": made.size_bytes}
    say(as_json, content | {"left_out": left}, "\n".join([*text, *(f"not in it: {what}" for what in left)]))


def restore(
    file: Annotated[Path, typer.Argument(help="What `edge backup` or `cloud spare` wrote, or station.db.before-N.")],
    force: Annotated[  # noqa: FBT002 - a flag
        bool, typer.Option("--force", help="Replace the station that is here; it is moved aside, not deleted.")
    ] = False,
    data_dir: Annotated[
        Path | None,
        typer.Option(help="A data folder that is meant, neither /var/lib/inspectd nor beside station.toml."),
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,  # noqa: FBT002 - a flag
) -> None:
    """Make this machine the station in an archive. No daemon may run here. It counts its parts in a new epoch.

    All is checked before anything changes; ended half way, the same command goes on.
    """
    from edge.backup.restoring import restore as put_back
    from edge.logs import plain
    from models.progress import RichProgress

    with RichProgress() as progress:
        done = put_back(file, config, progress, force=force, data_dir=data_dir)
    text = [f"station {done.station} lies in {done.data_dir}" + (": an earlier call was ended" * done.finished)]
    text += [f"what was here lies in {done.aside}: delete it when it is needed no more"] if done.aside else []
    text += [f"{done.was_open} parts were under way then: what became of them, the cloud may know"] * bool(
        done.was_open
    )
    text += [f"not in it: {plain(what)}" for what in done.left_out]
    content: dict[str, object] = {
        "ok": True,
        "station": done.station,
        "data_dir": str(done.data_dir),
        "epoch": done.epoch or None,
        "open_then": done.was_open,
        "aside": None if done.aside is None else str(done.aside),
        "left_out": list(done.left_out),
        "finished": done.finished,
    }
    say(as_json, content, "\n".join([*text, "next: `edge doctor`, `edge enrol TOKEN` on a new machine, `edge run`"]))


def factory_reset(
    confirm: Annotated[str, typer.Option(help="The station's id, to show that this very station is meant.")],
    lose_waiting_records: Annotated[  # noqa: FBT002 - a flag
        bool, typer.Option("--lose-waiting-records", help="Also where the cloud does not have everything yet.")
    ] = False,
    config_too: Annotated[bool, typer.Option("--config-too", help="Remove station.toml as well.")] = False,  # noqa: FBT002
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,  # noqa: FBT002 - a flag
) -> None:
    """Remove all that this station recorded, learned and is: records, images, bundles, its key. No way back.

    Exit 1 where records wait for the cloud. Ended half way, the same command goes on.
    """
    from edge.backup.resetting import reset
    from edge.config import load_config

    done = reset(load_config(config), confirm, lose_waiting=lose_waiting_records, config_too=config_too)
    if done.waiting:
        text = f"{done.waiting} records or images wait for the cloud: `edge spool drain`, or --lose-waiting-records"
        say(as_json, {"ok": False, "waiting": done.waiting, "removed": []}, f"nothing was removed: {text}")
        raise typer.Exit(EXIT_REFUSED)
    text = "\n".join(f"removed {path}" for path in done.removed) or "there was nothing to remove"
    revoke = f"now revoke its certificate, where the cloud is: cloud pki revoke {confirm}"
    say(as_json, {"ok": True, "removed": done.removed, "revoke": done.revoke}, text + (f"\n{revoke}" * done.revoke))
