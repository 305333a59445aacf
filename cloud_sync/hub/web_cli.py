"""`cloud web` and `cloud user`: the fleet's pages, a process of their own. Heavy imports stand inside."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cloud_sync.hub.fleet_cli import AsJson
from cloud_sync.hub.work_cli import CONFIG, ConfigFile, clear_words, read_config
from cloud_sync.pages.user_cli import make_user_app

if TYPE_CHECKING:
    from cloud_sync.hub.retraining.cloud_toml import CloudConfig
    from cloud_sync.pages.serving import Listen

WRONG_USAGE = 2


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(web)
    app.add_typer(make_user_app(_database, CONFIG, _clear), name="user")


def web(
    config: ConfigFile = CONFIG,
    listen: Annotated[str, typer.Option(help="HOST:PORT in place of [web] listen.")] = "",
    *,
    as_json: AsJson = False,
) -> None:
    """Serve the fleet's pages until SIGTERM or Ctrl-C."""
    with _clear():
        checked = read_config(config)
        try:
            from cloud_sync.hub.web.site import make_fleet_pages
            from cloud_sync.pages.serving import serve
        except ModuleNotFoundError as error:
            raise typer.BadParameter(f"the pages need {error.name}: pip install 'inspectd[hub,web]'") from error
        where = listen_at(checked, listen)
        app = make_fleet_pages(checked, where)

        def ready(at: "Listen") -> None:
            said = json.dumps({"ok": True, "event": "ready", "address": at.address})
            typer.echo(said if as_json else f"the fleet's pages are at {at.address}")

        serve(app, where, ready)


def listen_at(config: "CloudConfig", listen: str) -> "Listen":
    """Where to serve: as cloud.toml says, or at HOST:PORT. Raises PagesError."""
    from cloud_sync.pages.serving import Listen

    section = config.web
    return Listen.at(listen or section.listen, section.certificate, section.key, section.names)


def _database(config: Path) -> Path:
    return read_config(config).web.database


@contextmanager
def _clear() -> Iterator[None]:
    from cloud_sync.pages.errors import PagesError

    with clear_words():
        try:
            yield
        except PagesError as error:
            typer.echo(f"cloud: {error}", err=True)
            raise typer.Exit(WRONG_USAGE) from error
