"""The station's site, put together."""

from pathlib import Path
from typing import cast

from fastapi import FastAPI

from cloud_sync.pages.application import make_application
from cloud_sync.pages.serving import Listen
from cloud_sync.pages.site import MenuItem, Site
from cloud_sync.wire.errors import LinkError
from edge.config import StationConfig
from edge.domain.errors import CameraError, ConfigError, OutputError, StorageError
from edge.web import exporting, history, inspection, live
from edge.web.here import Here
from models.errors import GateError, ModelError, RequestError

MENU = (MenuItem("/", "menu.live", key="1"), MenuItem("/history", "menu.history", key="2"))
FAULTS = {
    ConfigError: 409,
    RequestError: 409,
    GateError: 409,
    ModelError: 409,
    StorageError: 503,
    CameraError: 503,
    OutputError: 503,
    LinkError: 503,
}


def make_station_pages(config: StationConfig, listen: Listen) -> FastAPI:
    """The station's pages as an application.

    Raises:
        PagesError: their database cannot be opened.
    """
    site = Site(
        kind="station",
        title=config.station.id,
        database=config.pages_path,
        folder=Path(__file__).parent,
        menu=MENU,
        hosts=listen.hosts,
        secure=listen.secure,
        faults=cast("dict[type[Exception], int]", FAULTS),
    )
    app = make_application(site, [live.router, exporting.router, history.router, inspection.router])
    app.state.here = Here(config)
    return app
