"""The `cloud` command. Heavy imports happen inside the commands, so that `cloud --help` is quick."""

import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cloud_sync.hub import (
    fleet_cli,
    keys_cli,
    labels_cli,
    model_cli,
    pki_cli,
    release_cli,
    rollout_cli,
    runs_cli,
    spare_cli,
    web_cli,
    work_cli,
)
from cloud_sync.hub.broker_options import BROKER, IDENTITY, Broker, IdentityFolder, endpoint_at
from cloud_sync.hub.errors_said import WORLD_FAILED, clear_errors
from cloud_sync.hub.fleet_cli import AsJson, Store, reader, said_json
from cloud_sync.hub.plain import plain, without_password
from cloud_sync.hub.release_cli import Blobs
from cloud_sync.hub.work_cli import clear_words, read_config
from cloud_sync.wire.errors import LinkError

if TYPE_CHECKING:
    from cloud_sync.hub.retraining.cloud_toml import CloudConfig
    from cloud_sync.hub.retraining.said import ProductStatus
    from cloud_sync.hub.store.reading import StationCounts, StoreReader
    from cloud_sync.wire.link import Address

SAID_NO = 1

app = typer.Typer(
    help="The cloud end of inspectd: collects what the stations send.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

AsRecords = Annotated[bool, typer.Option("--records", help="One line per record: its identity and content hash.")]


@app.command()
def collect(
    store: Store,
    broker: Broker = BROKER,
    identity: IdentityFolder = IDENTITY,
    blobs: Blobs = None,
    client_id: Annotated[
        str, typer.Option(help="Our name at the broker, another one for each collector; left out: one by chance.")
    ] = "",
    metrics: Annotated[
        str | None, typer.Option(help="Where Prometheus may read the collector's figures, HOST:PORT; else nowhere.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Collect records from all stations until SIGTERM or SIGINT; a line says when it is subscribed."""
    from cloud_sync.hub.collecting import collect_until_signal

    with clear_errors():
        endpoint = endpoint_at(broker, identity)
        metrics_at = _address(metrics, "--metrics") if metrics else None
        try:
            collect_until_signal(endpoint, store, blobs, client_id, metrics_at, as_json=as_json)
        except OSError as error:
            typer.echo(f"cloud: cannot collect: {error}", err=True)
            raise typer.Exit(WORLD_FAILED) from error


@app.command()
def status(
    store: Annotated[
        str | None, typer.Option(help="Where records are kept: a file's path (SQLite) or a database URL.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="cloud.toml instead: also what each product's triggers wait for.")
    ] = None,
    station: Annotated[
        str | None, typer.Option(help="Only this station; exit code 1 if it was never heard of.")
    ] = None,
    *,
    records: AsRecords = False,
    as_json: AsJson = False,
) -> None:
    """Say what the store holds: records, verdicts, repeats, quarantined records, dead letters; with cloud.toml more."""
    with clear_words():
        read = None if config is None else read_config(config)
        place = store or (read.cloud.store if read is not None else None)
        if place is None:
            raise typer.BadParameter("say which store, or give cloud.toml by --config", param_hint="--store")
        _status(place, station, read, records=records, as_json=as_json)


def _status(store: str, station: str | None, config: "CloudConfig | None", *, records: bool, as_json: bool) -> None:
    products = [] if config is None else _products(config)
    with reader(store) as found:
        counts = [item for item in found.stations() if station in (None, item.station)]
        if station is not None and not counts:
            typer.echo(f"station {station!r} was never heard of in {without_password(store)}", err=True)
            raise typer.Exit(SAID_NO)
        if records:
            _print_records(found, station, as_json=as_json)
        elif as_json:
            quarantined = sum(item.quarantined for item in counts)
            content: dict[str, object] = {"stations": _as_dicts(counts), "quarantined": quarantined}
            content["dead_letters"] = found.dead_letters()
            said_json(content if config is None else content | {"products": [one.as_json() for one in products]})
        else:
            _print_counts(counts, found.dead_letters())
            for one in products:
                typer.echo("\n".join(one.lines()))


def _products(config: "CloudConfig") -> "list[ProductStatus]":
    from cloud_sync.hub.retraining.said import product_statuses

    return product_statuses(config, time.time_ns() // 1_000_000)


model_cli.register(app)
fleet_cli.register(app)
release_cli.register(app)
rollout_cli.register(app)
pki_cli.register(app)
keys_cli.register(app)
spare_cli.register(app)
work_cli.register(app)
runs_cli.register(app)
labels_cli.register(app)
web_cli.register(app)


def main() -> None:
    """Run the command; exit codes: 0 done, 1 a check said no, 2 wrong usage, 3 the outside world failed."""
    try:
        app()
    except Exception:  # noqa: BLE001 - a defect of ours must not end in the exit code of a check that said no
        sys.stderr.write(traceback.format_exc())
        sys.exit(WORLD_FAILED)


def _address(text: str, option: str) -> "Address":
    from cloud_sync.wire.link import Address

    try:
        return Address.parse(text)
    except LinkError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error


def _print_records(reader: "StoreReader", station: str | None, *, as_json: bool) -> None:
    for record in reader.records(station):
        if as_json:
            said_json({name: getattr(record, name) for name in record.__slots__})
        else:
            typer.echo("\t".join(plain(str(getattr(record, name) or "-")) for name in record.__slots__))


def _print_counts(counts: "list[StationCounts]", dead_letters: int) -> None:
    for item in counts:
        held = {**item.streams, **item.verdicts, **item.outcomes, "repeats": item.duplicates}
        held |= {"quarantined": item.quarantined, "dead letters": item.dead_letters}
        typer.echo(f"{item.station}: " + ", ".join(f"{name} {count}" for name, count in held.items()))
    typer.echo(f"{len(counts)} stations, {dead_letters} dead letters in all")


def _as_dicts(counts: "list[StationCounts]") -> list[dict[str, object]]:
    return [{name: getattr(item, name) for name in item.__slots__} for item in counts]


if __name__ == "__main__":
    main()
