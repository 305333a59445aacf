"""`edge user` and `cloud user`: who may log in; written into the audit log as what is done by the pages.

Heavy imports stand inside.
"""

import getpass
import json
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cloud_sync.pages.errors import PagesError
from cloud_sync.pages.people import Role

if TYPE_CHECKING:
    from cloud_sync.pages.accounts import Accounts
    from cloud_sync.pages.audit import Act

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
ConfigFile = Annotated[Path, typer.Option("--config", "-c", help="The file of the station or the cloud.")]
Name = Annotated[str, typer.Argument(help="The user's name.")]
RoleOption = Annotated[Role, typer.Option(help="What they may do; each may do what those before may.")]
RoleArgument = Annotated[Role, typer.Argument(help="What they may do from now on.")]


def make_user_app(
    place: Callable[[Path], Path], default: Path, clear_words: Callable[[], AbstractContextManager[None]]
) -> typer.Typer:
    """The commands of one site's users.

    Args:
        place: the pages' database by the site's file.
        default: the site's file where none is named.
        clear_words: turns expected errors into words and exit codes.
    """
    app = typer.Typer(help="Who may log in to the pages.", no_args_is_help=True)

    @app.command()
    def add(
        name: Name, role: RoleOption = Role.OPERATOR, config: ConfigFile = default, *, as_json: AsJson = False
    ) -> None:
        """Let somebody in; the password is asked for, or read from standard input where that is no terminal."""
        with clear_words():
            password = _password()
            with _noting(place(config), "user add", f"{name} as {role.value}"):
                person = _accounts(place(config)).add(name, role, password)
        _say({"name": name, "role": person.role.value}, f"{name} may log in as {role.value}", as_json=as_json)

    @app.command("list")
    def everybody(config: ConfigFile = default, *, as_json: AsJson = False) -> None:
        """Say who may log in."""
        with clear_words():
            people = _accounts(place(config)).everybody()
        content = [{"name": each.name, "role": each.role.value, "since": each.created_at} for each in people]
        lines = [f"{each.name}  {each.role.value}  since {each.created_at}" for each in people]
        _say({"users": content}, "\n".join(lines) or "nobody may log in yet: `user add`", as_json=as_json)

    @app.command()
    def remove(name: Name, config: ConfigFile = default, *, as_json: AsJson = False) -> None:
        """Let somebody in no more; their sessions end."""
        with clear_words(), _noting(place(config), "user remove", name):
            _accounts(place(config)).remove(name)
        _say({"name": name}, f"{name} may log in no more", as_json=as_json)

    @app.command("role")
    def set_role(name: Name, role: RoleArgument, config: ConfigFile = default, *, as_json: AsJson = False) -> None:
        """Give somebody another role."""
        with clear_words(), _noting(place(config), "user role", f"{name} as {role.value}"):
            _accounts(place(config)).set_role(name, role)
        _say({"name": name, "role": role.value}, f"{name} is {role.value} from now on", as_json=as_json)

    @app.command("password")
    def set_password(name: Name, config: ConfigFile = default, *, as_json: AsJson = False) -> None:
        """Give somebody another password, asked for as by `add`; their sessions end."""
        with clear_words():
            password = _password()
            with _noting(place(config), "password", name):
                _accounts(place(config)).set_password(name, password)
        _say({"name": name}, f"{name} has another password", as_json=as_json)

    return app


def _accounts(path: Path) -> "Accounts":
    from cloud_sync.pages.accounts import Accounts
    from cloud_sync.pages.store import PagesStore

    return Accounts(PagesStore(path))


def _noting(path: Path, action: str, subject: str) -> "AbstractContextManager[Act]":
    """Writes down what the block does, before and after it. Raises NotNotedError."""
    from cloud_sync.pages.audit import AuditLog, noting
    from cloud_sync.pages.store import PagesStore

    return noting(AuditLog(PagesStore(path)), (_whoever(), "terminal"), "", action, subject)


def _whoever() -> str:
    """Who sits at the terminal, by the system's word; its number where it has no name for them."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def _password() -> str:
    """From the terminal, twice, unseen; else one line of standard input."""
    if not sys.stdin.isatty():
        try:
            return sys.stdin.readline().rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise PagesError("the password on standard input is no text: nothing was changed") from error
    first = getpass.getpass("password: ")
    if first != getpass.getpass("again: "):
        raise PagesError("the two passwords differ: nothing was changed")
    return first


def _say(content: dict[str, object], text: str, *, as_json: bool) -> None:
    typer.echo(json.dumps({"ok": True} | content) if as_json else text)
