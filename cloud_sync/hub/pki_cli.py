"""`cloud pki`: the authority behind mutual TLS. Heavy imports stand inside the commands."""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cloud_sync.hub.errors_said import WORLD_FAILED
from cloud_sync.hub.fleet_cli import AsJson, columns, said_json

if TYPE_CHECKING:
    from cloud_sync.hub.pki.folder import PkiFolder
    from cloud_sync.hub.pki.office import Office

SAID_NO = 1
WRONG_USAGE = 2

pki_app = typer.Typer(help="Who may connect: certificates for stations, broker and hub.", no_args_is_help=True)

Pki = Annotated[Path, typer.Option("--pki", help="The authority's folder, as `cloud pki init` made it.")]
Hosts = Annotated[
    list[str],
    typer.Option("--broker-host", help="Name or address by which broker and enrolment server are reached; several."),
]
PKI = Path("pki")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(pki_app, name="pki")


@pki_app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="A new folder.")],
    broker_host: Hosts,
    days: Annotated[float, typer.Option(min=1, max=825, help="How long a certificate is good.")] = 90,
    *,
    as_json: AsJson = False,
) -> None:
    """Make the authority, the broker's certificate, a hub identity and empty revocation lists. Keep ca.key safe."""
    from cloud_sync.hub.pki.office import utc_now
    from cloud_sync.hub.pki.own import FIRST_HUB, found

    with _clear_errors():
        made = found(folder, broker_host, utc_now(), days)
        hub = made.identity(FIRST_HUB).folder
        _said(
            {"pki": str(folder), "broker": str(made.broker), "hub": str(hub), "hosts": broker_host},
            f"{folder}: authority for {', '.join(broker_host)}\n"
            f"  for the broker: {made.broker}, put in place by `cloud pki publish`\n"
            f"  for the collector: --identity {hub}",
            as_json=as_json,
        )


@pki_app.command()
def enrol(
    station: Annotated[str, typer.Argument(help="The station's id.")],
    pki: Pki = PKI,
    hours: Annotated[float, typer.Option(min=0.01, max=24 * 30, help="How long the token is good.")] = 24,
    address: Annotated[str, typer.Option(help="Where `cloud pki serve` is reached, HOST:PORT.")] = "",
    *,
    as_json: AsJson = False,
) -> None:
    """Print a one-time token, for `edge enrol TOKEN` on that station. Whoever has it can be that station."""
    from cloud_sync.wire.link import Address

    with _clear_errors():
        token = _office(pki).token(station, hours, Address.parse(address) if address else None)
        content = {"station": station, "token": str(token), "hours": hours, "address": str(token.address)}
        _said(content, str(token), as_json=as_json)


@pki_app.command()
def serve(
    pki: Pki = PKI,
    listen: Annotated[str, typer.Option(help="Where to listen, HOST:PORT.")] = "0.0.0.0:8443",
    trust_root: Annotated[
        Path | None,
        typer.Option(help="What `cloud keys root` wrote, for stations; left out: trust-root.json in --pki, if there."),
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Enrol and renew over HTTPS until SIGTERM or SIGINT; renews the cloud's own certificates too."""
    from cloud_sync.hub.pki.office import Office
    from cloud_sync.hub.pki.serving import serve_until_signal
    from cloud_sync.wire.link import Address

    with _clear_errors():
        at = Address.parse(listen)
        office = Office(_folder(pki), trust_root=trust_root)
        office.root_given()  # a slip is said now, and not at the first station
        serve_until_signal(
            office,
            at,
            lambda port: _ready({"event": "ready", "listen": str(Address(at.host, port))}, as_json=as_json),
        )


@pki_app.command()
def sign(
    station: Annotated[str, typer.Argument(help="The station's id: the request has to be for it.")],
    request: Annotated[Path, typer.Argument(help="What `edge enrol --csr` wrote.")],
    pki: Pki = PKI,
    out: Annotated[Path | None, typer.Option(help="Where the certificate goes; STATION.pem if left out.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Sign a request that came by hand. Take the certificate and ca.crt back to the station."""
    from cloud_sync.hub.pki.requests import read_file
    from cloud_sync.wire.whole_file import write_whole

    with _clear_errors():
        office = _office(pki)
        grant = office.sign(station, read_file(request))
        path = out or Path(f"{station}.pem")
        write_whole(path, grant.certificate, 0o644)
        ca = office.folder.broker / "ca.crt"
        _said({"certificate": str(path), "ca": str(ca)}, f"wrote {path}; the authority is {ca}", as_json=as_json)


@pki_app.command()
def revoke(
    name: Annotated[str, typer.Argument(help="A station's id, or _NAME of a hub identity.")],
    pki: Pki = PKI,
    *,
    as_json: AsJson = False,
) -> None:
    """Take back all that a station has, tokens too. The broker learns of it by `cloud pki publish` and a restart."""
    with _clear_errors():
        count = _office(pki).revoke(name)
        said = (
            f"{name}: {count} certificates are revoked. The broker takes the list at a restart only, which also ends "
            "the connections that live: inspectd-broker.path does it, or `cloud pki publish` and restart mosquitto"
        )
        _said({"name": name, "revoked": count, "restart_broker": True}, said, as_json=as_json)


@pki_app.command("list")
def list_all(pki: Pki = PKI, *, as_json: AsJson = False) -> None:
    """Every certificate, and tokens that are out. Exit 1 where a revocation list is behind, or something runs out."""
    from cloud_sync.hub.pki.watch import faults as found_faults

    with _clear_errors():
        office = _office(pki)
        rows, tokens, faults = _rows(office), _tokens(office), found_faults(office.folder, office.clock())
        if as_json:
            said_json({"ok": not faults, "certificates": rows, "tokens": tokens, "faults": faults})
        else:
            headings = ("name", "kind", "state", "until", "serial")
            typer.echo("\n".join(columns([headings, *(tuple(str(row[key]) for key in headings) for row in rows)])))
            for token in tokens:
                typer.echo(f"a token of {token['station']} is out until {token['until']}")
            for fault in faults:
                typer.echo(f"cloud: {fault}", err=True)
    if faults:
        raise typer.Exit(SAID_NO)


@pki_app.command()
def hub(
    name: Annotated[str, typer.Argument(help="a-z, 0-9 and '-'; its certificate says _NAME.")],
    pki: Pki = PKI,
    days: Annotated[
        float, typer.Option(min=0, max=825, help="How long it is good, for a machine that nobody renews it on.")
    ] = 0,
    *,
    as_json: AsJson = False,
) -> None:
    """An identity for one more collector; its folder is what `--identity` wants. `serve` renews it there, no copy."""
    from cloud_sync.hub.pki.own import give_hub

    with _clear_errors():
        office = _office(pki)
        made = give_hub(office.folder, name, office.clock(), days)
        folder = office.folder.identity(name).folder
        content = {"name": made.name, "identity": str(folder), "until": _day(made.not_after.timestamp())}
        _said(content, f"{folder}: {made.name}, until {content['until']}", as_json=as_json)


@pki_app.command("renew-own")
def renew_own_certificates(
    pki: Pki = PKI,
    broker_host: Annotated[
        list[str] | None, typer.Option("--broker-host", help="From now on these; left out: as before.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Renew broker, enrolment server and hub identities where a third of their life is left; `serve` does it too."""
    from cloud_sync.hub.pki.own import checked_hosts, renew_own

    with _clear_errors():
        office = _office(pki)
        if broker_host:
            hosts = checked_hosts(broker_host)
            office.folder.keep_settings(office.folder.settings().model_copy(update={"hosts": hosts}))
        renewed = [made.name for made in renew_own(office.folder, office.clock(), anyway=bool(broker_host))]
        _said({"renewed": renewed}, f"renewed: {', '.join(renewed) or 'nothing was due'}", as_json=as_json)


@pki_app.command()
def publish(
    to: Annotated[Path, typer.Argument(help="The broker's folder, as its configuration names it.")],
    pki: Pki = PKI,
    reader: Annotated[str, typer.Option(help="The broker's user, whose group may read them; left out: ours.")] = "",
    *,
    as_json: AsJson = False,
) -> None:
    """Put in place what the broker needs. Exit 1 where nothing changed, so that nothing needs a restart."""
    from cloud_sync.hub.pki.publishing import publish as put

    with _clear_errors():
        changed = put(_folder(pki), to, reader)
        said = f"{to}: {', '.join(changed)} changed: restart the broker" if changed else f"{to}: nothing changed"
        _said({"changed": changed}, said, as_json=as_json)
    if not changed:
        raise typer.Exit(SAID_NO)


@contextmanager
def _clear_errors() -> Iterator[None]:
    from cloud_sync.hub.pki.errors import PkiError, RefusedError, RequestError
    from cloud_sync.wire.errors import LinkError

    try:
        yield
    except (PkiError, LinkError, OSError) as error:
        typer.echo(f"cloud: {error}", err=True)
        code = SAID_NO if isinstance(error, RefusedError) else WORLD_FAILED
        raise typer.Exit(WRONG_USAGE if isinstance(error, RequestError | LinkError) else code) from error


def _folder(pki: Path) -> "PkiFolder":
    from cloud_sync.hub.pki.folder import PkiFolder

    return PkiFolder.existing(pki)


def _office(pki: Path) -> "Office":
    from cloud_sync.hub.pki.office import Office

    return Office(_folder(pki))


def _said(content: dict[str, Any], text: str, *, as_json: bool) -> None:
    if as_json:
        said_json({"ok": True} | content)
    else:
        typer.echo(text)


def _ready(event: dict[str, object], *, as_json: bool) -> None:
    import sys

    if as_json:
        said_json(event)
        sys.stdout.flush()
    else:
        typer.echo(f"cloud pki serve: ready at {event['listen']}", err=True)


def _rows(office: "Office") -> list[dict[str, object]]:
    now_s = office.clock().timestamp()
    certificates, _ = office.issued()
    return [
        {
            "name": one.name,
            "kind": one.kind.value,
            "state": "good" if one.is_live(now_s) else (one.why or "revoked" if one.revoked_at else "over"),
            "until": _day(one.not_after),
            "serial": one.serial,
        }
        for one in certificates
    ]


def _tokens(office: "Office") -> list[dict[str, object]]:
    _, tokens = office.issued()
    return [{"station": token.station, "until": _day(token.expires_at)} for token in tokens]


def _day(at_s: float) -> str:
    return dt.datetime.fromtimestamp(at_s, dt.UTC).isoformat(timespec="minutes")
