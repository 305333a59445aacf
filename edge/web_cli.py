"""`edge web` and `edge user`: the station's pages, a process of their own. Heavy imports stand inside."""

import os
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cloud_sync.pages.user_cli import make_user_app
from edge.domain.errors import ConfigError
from edge.saying import DEFAULT_CONFIG, ConfigOption, JsonOption, say

if TYPE_CHECKING:
    from cloud_sync.pages.serving import Listen
    from edge.config import StationConfig


_NICE = 10


def web(
    config: ConfigOption = DEFAULT_CONFIG,
    listen: Annotated[str, typer.Option(help="HOST:PORT in place of [web] listen.")] = "",
    as_json: JsonOption = False,  # noqa: FBT002 - a flag
) -> None:
    """Serve the station's pages until SIGTERM or Ctrl-C; the station inspects without them just as well."""
    from edge.config import load_config

    checked = load_config(config)
    try:
        import cv2

        from cloud_sync.pages.serving import serve
        from edge.web.site import make_station_pages
    except ModuleNotFoundError as error:
        raise ConfigError(f"the pages need {error.name}: pip install 'inspectd[web]'") from error
    where = listen_at(checked, listen)
    app = make_station_pages(checked, where)
    os.nice(_NICE)  # the line goes first
    cv2.setNumThreads(1)

    def ready(at: "Listen") -> None:
        say(as_json, {"ok": True, "address": at.address}, f"the station's pages are at {at.address}")

    serve(app, where, ready)


def listen_at(config: "StationConfig", listen: str) -> "Listen":
    """Where to serve: as station.toml says, or at HOST:PORT. Raises PagesError."""
    from cloud_sync.pages.serving import Listen

    section = config.web
    return Listen.at(listen or section.listen, section.certificate, section.key, section.names)


def _database(config: Path) -> Path:
    from edge.config import load_config

    return load_config(config).pages_path


user_app = make_user_app(_database, DEFAULT_CONFIG, nullcontext)
