"""`cloud keys`: what releases are signed with. Heavy imports stand inside the commands."""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cloud_sync.hub.errors_said import WORLD_FAILED, clear_errors
from cloud_sync.hub.fleet_cli import AsJson, Store, columns, said_json

if TYPE_CHECKING:
    from models.trust.keys import TrustKeys
    from models.trust.signing import SignedState

SAID_NO = 1
WRONG_USAGE = 2

_keys = typer.Typer(help="What releases are signed with: keys, and signed metadata that expires.", no_args_is_help=True)

Folder = Annotated[Path, typer.Option("--trust", help="The folder of the keys; for its owner alone.")]
PassphraseFile = Annotated[
    Path | None,
    typer.Option(help="Its first line opens the root and targets keys; else INSPECTD_TRUST_PASSPHRASE, else a prompt."),
]
FOLDER = Path("trust")


class Role(StrEnum):
    """Whose key."""

    ROOT = "root"
    TARGETS = "targets"
    SNAPSHOT = "snapshot"
    TIMESTAMP = "timestamp"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(_keys, name="keys")


@_keys.command()
def init(
    store: Store, trust: Folder = FOLDER, passphrase_file: PassphraseFile = None, *, as_json: AsJson = False
) -> None:
    """Make keys and the first signed metadata; again: nothing. Keep the root key in a safe: only rotate needs it."""
    with _clear_errors():
        from cloud_sync.hub.trust.passphrase import asked_passphrase
        from cloud_sync.hub.trust.publishing import begin
        from models.trust.keys import TrustKeys

        made = begin(store, TrustKeys(trust, asked_passphrase(passphrase_file, twice=True)))
        said = f"{trust}: keys are made, and the first root is signed: `cloud keys root --out root.json` writes it"
        _said({"made": made, "trust": str(trust)}, said if made else f"{trust}: was begun before", as_json=as_json)


@_keys.command()
def rotate(
    role: Annotated[Role, typer.Argument(help="Whose key is replaced.")],
    store: Store,
    trust: Folder = FOLDER,
    passphrase_file: PassphraseFile = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Replace a role's key, by the root key's word; stations learn of it by themselves. The old key's file goes."""
    with _clear_errors():
        from cloud_sync.hub.trust.passphrase import asked_passphrase
        from cloud_sync.hub.trust.publishing import rotate as replace
        from models.trust.keys import TrustKeys

        replace(store, TrustKeys(trust, asked_passphrase(passphrase_file)), role.value)
        _said({"role": role.value}, f"{role.value}: a new key is in use", as_json=as_json)


@_keys.command()
def renew(
    store: Store,
    trust: Folder = FOLDER,
    passphrase_file: PassphraseFile = None,
    anyway: Annotated[list[Role] | None, typer.Option(help="Also this role, however long it is good still.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Sign anew what has less than half of its life left. Exit 1 where that needs the passphrase, and none is given."""
    with _clear_errors():
        from cloud_sync.hub.trust.kept import read_state
        from cloud_sync.hub.trust.passphrase import given_passphrase
        from cloud_sync.hub.trust.publishing import renew as sign_anew
        from cloud_sync.hub.trust.publishing import utc_now
        from models.trust.keys import TrustKeys
        from models.trust.signing import due

        keys = TrustKeys(trust, given_passphrase(passphrase_file))
        renewed = sign_anew(store, keys, anyway=[role.value for role in anyway or ()])
        state = read_state(store)
        left = () if state is None else due(state, utc_now())
        said = f"renewed: {', '.join(renewed) or 'nothing was due'}"
        said += f"; {' and '.join(left)} are due and need the passphrase" if left else ""
        _said({"ok": not left, "renewed": renewed, "due": left}, said, as_json=as_json)
    if left:
        raise typer.Exit(SAID_NO)


@_keys.command("list")
def list_all(store: Store, trust: Folder = FOLDER, *, as_json: AsJson = False) -> None:
    """Each role's key and how long what it signed is good. Exit 1 where something has expired."""
    with _clear_errors():
        from cloud_sync.hub.trust.publishing import utc_now
        from models.trust.keys import TrustKeys

        rows = _rows(_state(store), TrustKeys(trust), utc_now())
        releases = sorted(_state(store).targets.signed.targets)
        if as_json:
            said_json({"ok": not any(row["expired"] for row in rows), "roles": rows, "releases": releases})
        else:
            headings = ("role", "key", "here", "version", "until")
            typer.echo("\n".join(columns([headings, *(tuple(str(row[key])[:16] for key in headings) for row in rows)])))
            typer.echo(f"{len(releases)} releases are signed")
    if any(row["expired"] for row in rows):
        typer.echo("cloud: what has expired is trusted by no station: `cloud keys renew`", err=True)
        raise typer.Exit(SAID_NO)


@_keys.command()
def root(
    store: Store,
    out: Annotated[Path, typer.Option(help="Where it goes.")] = Path("root.json"),
    *,
    as_json: AsJson = False,
) -> None:
    """Write the root that stations are to trust: as PKI/trust-root.json for `cloud pki serve`, or `sync.trust_root`."""
    with _clear_errors():
        from cloud_sync.wire.whole_file import write_whole

        state = _state(store)
        write_whole(out, state.file("root"), 0o644)
        _said({"root": str(out), "version": state.version("root")}, f"wrote {out}", as_json=as_json)


@contextmanager
def _clear_errors() -> Iterator[None]:
    from models.trust.errors import TrustError

    with clear_errors():
        try:
            yield
        except TrustError as error:
            typer.echo(f"cloud: {error}", err=True)
            raise typer.Exit(WRONG_USAGE) from error
        except OSError as error:
            typer.echo(f"cloud: {error}", err=True)
            raise typer.Exit(WORLD_FAILED) from error


def _state(store: str) -> "SignedState":
    from cloud_sync.hub.trust.kept import read_state
    from models.trust.errors import TrustError

    state = read_state(store)
    if state is None:
        raise TrustError("nothing is signed in this store: `cloud keys init` begins it")
    return state


def _rows(state: "SignedState", keys: "TrustKeys", now: dt.datetime) -> list[dict[str, Any]]:
    from models.trust.keys import ROLES

    return [
        {
            "role": role,
            "key": keyid,
            "here": keyid in keys.ids(role),
            "version": state.version(role),
            "until": state.expires(role).isoformat(timespec="minutes"),
            "expired": state.expires(role) <= now,
        }
        for role in ROLES
        for keyid in state.key_ids(role)
    ]


def _said(content: dict[str, Any], text: str, *, as_json: bool) -> None:
    if as_json:
        said_json({"ok": True} | content)
    else:
        typer.echo(text)
