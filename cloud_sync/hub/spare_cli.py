"""`cloud spare`: what makes another machine a dead station. Heavy imports stand inside."""

from pathlib import Path
from typing import Annotated

import typer

from cloud_sync.hub.errors_said import clear_errors
from cloud_sync.hub.fleet_cli import AsJson, Store, said_json
from cloud_sync.hub.plain import plain
from cloud_sync.hub.release_cli import WRONG_USAGE, Blobs


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(spare)


def spare(
    station: Annotated[str, typer.Argument(help="The station whose server is dead.")],
    out: Annotated[Path, typer.Option(help="The archive to write; it must not exist.")],
    store: Store,
    blobs: Blobs = None,
    pki: Annotated[
        Path | None, typer.Option(help="The authority's folder: says a one-time token for the new machine as well.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Write the kit that makes another machine this station: its configuration, bundles, plans, masters and scales.

    On the new machine: `edge restore KIT`, then `edge enrol` with the token that --pki or `cloud pki enrol STATION`
    says: it revokes the dead machine's certificate. The station counts in a new epoch; nothing is sent twice.
    """
    token = "" if pki is None else _token(pki, station)
    with clear_errors():
        from cloud_sync.hub.files.blobs import open_blobs
        from cloud_sync.hub.files.file_desks import blobs_beside
        from cloud_sync.hub.sparing import make_spare

        made = make_spare(store, open_blobs(blobs or blobs_beside(store)), station, out)
    bundles = sorted({name.split("/")[2] for name in made.manifest.links})
    if as_json:
        content: dict[str, object] = {
            "ok": True,
            "path": str(out),
            "files": len(made.manifest.files),
            "size_bytes": made.size_bytes,
        }
        content |= {"station": station, "bundles": bundles, "left_out": made.manifest.left_out, "waited": made.waited}
        said_json(content | {"token": token or None})
        return
    typer.echo(f"wrote {out}: {len(made.manifest.files)} files, bundles {', '.join(map(plain, bundles)) or 'none'}")
    for what in made.manifest.left_out:
        typer.echo(f"not in it: {plain(what)}")
    if made.waited:
        typer.echo(f"{made.waited} records or images waited there when it was last heard, and are lost with its disk")
    first = "" if token else f"cloud pki enrol {station}; "
    typer.echo(f"next: {first}on the new machine: edge restore {out.name}; edge enrol {token or 'TOKEN'}")


def _token(pki: Path, station: str) -> str:
    from cloud_sync.hub.pki.errors import PkiError
    from cloud_sync.hub.pki.folder import PkiFolder
    from cloud_sync.hub.pki.office import Office

    try:
        return str(Office(PkiFolder.existing(pki)).token(station))
    except (PkiError, OSError) as error:
        typer.echo(f"cloud: {error}", err=True)
        raise typer.Exit(WRONG_USAGE) from error
