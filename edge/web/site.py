"""The station's site, put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import structlog
from fastapi import FastAPI

from cloud_sync.pages.application import make_application
from cloud_sync.pages.people import Role
from cloud_sync.pages.serving import Listen
from cloud_sync.pages.site import MenuItem, Site
from cloud_sync.wire.errors import LinkError
from edge.config import StationConfig
from edge.domain.errors import CameraError, ConfigError, OutputError, StorageError
from edge.web import alarms, exporting, focus, history, inspection, live
from edge.web.bundles import bringing
from edge.web.bundles import page as bundles
from edge.web.calibrating import page as calibrate
from edge.web.here import Here
from edge.web.masters import page as masters
from edge.web.masters import showing
from edge.web.watch import Watch
from models.errors import GateError, ModelError, RequestError
from models.scratch import sweep

log = structlog.get_logger()
MENU = (
    MenuItem("/", "menu.live", key="1"),
    MenuItem("/history", "menu.history", key="2"),
    MenuItem("/alarms", "menu.alarms", key="3"),
    MenuItem("/masters", "menu.masters", key="4"),
    MenuItem("/calibrate", "menu.calibrate", Role.ENGINEER, key="5"),
    MenuItem("/bundles", "menu.bundles", Role.ENGINEER, key="6"),
    MenuItem("/focus", "menu.focus", Role.ENGINEER, key="7"),
)
ROUTERS = (
    live.router,
    exporting.router,
    history.router,
    inspection.router,
    alarms.router,
    masters.router,
    showing.router,
    calibrate.router,
    bringing.router,
    bundles.router,
    focus.router,
)
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
        uploads={"/bundles/tray": bringing.MOST_BYTES, "/masters/{product}/add": masters.MOST_BYTES},
    )
    here = Here(config)
    watch = Watch(here, here.shown)
    app = make_application(site, ROUTERS, lifespan=lambda _app: _while(here, watch))
    app.state.here, app.state.watch = here, watch
    return app


@asynccontextmanager
async def _while(here: Here, watch: Watch) -> AsyncIterator[None]:
    """Somebody looks at the station for as long as the pages are served."""
    for folder in ("tray", "masters"):  # what broke off when the pages were ended in the middle of it
        try:
            sweep(here.config.station.data_dir / "pages" / folder)
        except OSError as error:
            log.warning("what did not arrive whole stays", folder=folder, why=str(error))
    with watch.running():
        yield
