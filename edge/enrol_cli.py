"""`edge enrol` and `edge renew`. Heavy imports stand inside the commands, as in `edge.cli`."""

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge.domain.errors import ConfigError
from edge.saying import DEFAULT_CONFIG, ConfigOption, JsonOption, say

if TYPE_CHECKING:
    from cloud_sync.wire.link import Address
    from edge.enrol import Enrolled

AddressOption = Annotated[str, typer.Option(help="Where `cloud pki serve` is reached, HOST:PORT.")]


def enrol(
    token: Annotated[str, typer.Argument(help="What `cloud pki enrol` printed; - reads it from stdin.")] = "",
    csr: Annotated[Path | None, typer.Option(help="By hand: write a signing request here.")] = None,
    certificate: Annotated[Path | None, typer.Option(help="By hand: what `cloud pki sign` made of it.")] = None,
    ca: Annotated[Path | None, typer.Option(help="By hand: the authority's ca.crt.")] = None,
    address: AddressOption = "",
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,  # noqa: FBT002 - a flag
) -> None:
    """Get this station its identity at the broker: by a token, or by --csr and then --certificate and --ca."""
    from edge.config import load_config
    from edge.enrol import enrol as by_token
    from edge.enrol import take_certificate, write_request

    found = load_config(config)
    if token and csr is None and certificate is None and ca is None and not address:
        _said(by_token(found, _token(token)), as_json=as_json)
    elif csr is not None and not token and certificate is None and ca is None:
        write_request(found, csr)
        content: dict[str, object] = {"ok": True, "csr": str(csr)}
        say(as_json, content, f"wrote {csr}: `cloud pki sign {found.station.id} {csr}` signs it")
    elif certificate is not None and ca is not None and not token and csr is None:
        _said(take_certificate(found, certificate, ca, _address(address)), as_json=as_json)
    else:
        raise ConfigError("give a token, or --csr FILE, or --certificate FILE and --ca FILE")


def renew(
    address: AddressOption = "",
    anyway: Annotated[bool, typer.Option("--anyway", help="Also where more than a third is left.")] = False,  # noqa: FBT002 - a flag
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,  # noqa: FBT002 - a flag
) -> None:
    """Renew this station's certificate once a third of its life is left; a running station takes it by itself."""
    from edge.config import load_config
    from edge.enrol import renew as ask

    _said(ask(load_config(config), dt.datetime.now(dt.UTC), _address(address), anyway=anyway), as_json=as_json)


def _token(given: str) -> str:
    """The token; by stdin it stands in no list of processes."""
    return typer.get_text_stream("stdin").readline() if given == "-" else given


def _address(text: str) -> "Address | None":
    from cloud_sync.wire.errors import LinkError
    from cloud_sync.wire.link import Address

    try:
        return Address.parse(text) if text else None
    except LinkError as error:
        raise ConfigError(f"--address: {error}") from error


def _said(made: "Enrolled", *, as_json: bool) -> None:
    until = made.not_after.isoformat(timespec="minutes")
    content: dict[str, object] = {
        "ok": True,
        "station": made.station,
        "identity": str(made.folder),
        "not_after": until,
        "renewed": made.renewed,
    }
    text = f"{made.station} has a certificate until {until}, in {made.folder}"
    say(as_json, content, text if made.renewed else f"{text}: more than a third of its life is left")
