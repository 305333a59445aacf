"""`cloud release offer | list | status`: releases for the stations, from a shell. Heavy imports stand inside."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from cloud_sync.hub.broker_options import BROKER, IDENTITY, Broker, IdentityFolder, endpoint_at
from cloud_sync.hub.errors_said import clear_errors
from cloud_sync.hub.fleet_cli import AsJson, Store, said_json
from cloud_sync.hub.plain import plain

WRONG_USAGE = 2

Blobs = Annotated[
    str | None,
    typer.Option(help="Where files go: a folder, or s3://BUCKET/PREFIX?endpoint=URL (left out: beside the store)."),
]

_release = typer.Typer(help="Offer releases to stations, and see how far each came.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(_release, name="release")


@_release.command()
def offer(
    file: Annotated[Path, typer.Argument(help="What to offer; its name is the release's name, for ever.")],
    station: Annotated[list[str], typer.Option(help="To which station; may be given more than once.")],
    store: Store,
    broker: Broker = BROKER,
    identity: IdentityFolder = IDENTITY,
    blobs: Blobs = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Offer a file to stations: they fetch it in blocks, check its hash, and activate nothing."""
    with _clear_offer():
        from cloud_sync.hub.files import releases
        from cloud_sync.hub.files.blobs import open_blobs
        from cloud_sync.hub.files.file_desks import blobs_beside
        from cloud_sync.wire.mqtt import MqttLink
        from cloud_sync.wire.mqtt_settings import MqttSettings

        at = endpoint_at(broker, identity)
        name = f"inspectd-offer-{releases.client_mark()}"
        link = MqttLink(MqttSettings(at.address, name, identity=at.identity))
        offers = releases.offer(store, open_blobs(blobs or blobs_beside(store)), file, station)
        releases.publish(link, offers)
    for name, job in offers:
        said = {"station": name, "job": job.job, "name": job.name, "size_bytes": job.size_bytes, "sha256": job.sha256}
        typer.echo(json.dumps(said) if as_json else f"{name}: {job.name}, {job.size_bytes} bytes, job {job.job}")


@_release.command()
def status(store: Store, *, as_json: AsJson = False) -> None:
    """Say of each offer how far its station came; `asked`: it did not answer yet."""
    with clear_errors():
        from cloud_sync.hub.files import releases

        rows = releases.job_rows(store)
    for row in rows:
        if as_json:
            typer.echo(json.dumps({name: getattr(row, name) for name in row.__slots__}))
        else:
            why = f", {plain(row.why)}" if row.why else ""
            typer.echo(f"{row.station}: {row.name} {row.state}{why} (job {row.job})")


@_release.command(name="list")
def list_(store: Store, *, as_json: AsJson = False) -> None:
    """Name all releases, the newest first, with how many stations are at which state."""
    with clear_errors():
        from cloud_sync.hub.files import releases

        found = releases.release_rows(store)
    for row in found:
        if as_json:
            said_json({name: getattr(row, name) for name in row.__slots__})
        else:
            states = ", ".join(f"{count} {state}" for state, count in sorted(row.states.items())) or "offered to nobody"
            rollout = f", rollout {row.rollout}" if row.rollout else ""
            typer.echo(f"{row.name}: {row.size_bytes} bytes, sha256 {row.sha256[:12]}, {states}{rollout}")


@contextmanager
def _clear_offer() -> Iterator[None]:
    """As everywhere, and an offer that cannot be made is wrong usage."""
    from cloud_sync.hub.files.releases import OfferError

    with clear_errors():
        try:
            yield
        except OfferError as error:
            typer.echo(f"cloud: {error}", err=True)
            raise typer.Exit(WRONG_USAGE) from error
