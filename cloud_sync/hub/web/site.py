"""The fleet's site, put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import sqlalchemy as sa
from fastapi import FastAPI

from cloud_sync.hub.labels.errors import LabelError
from cloud_sync.hub.retraining.cloud_toml import CloudConfig
from cloud_sync.hub.retraining.errors import CloudConfigError, RequestRefusedError, RetrainingError
from cloud_sync.hub.rollout.plan import PlanError
from cloud_sync.hub.rollout.starting import RolloutError
from cloud_sync.hub.store.errors import BlobError, StoreError
from cloud_sync.hub.web import (
    fleet,
    health,
    heat,
    labels,
    labels_files,
    pictures,
    review,
    rollouts,
    runs,
    station,
    triggers,
)
from cloud_sync.hub.web.figures import FILTERS
from cloud_sync.hub.web.hub import Hub
from cloud_sync.pages.application import make_application
from cloud_sync.pages.serving import Listen
from cloud_sync.pages.site import MenuItem, Site
from cloud_sync.wire.errors import LinkError
from models.errors import ModelError, RequestError
from models.trust.errors import TrustError

MENU = (
    MenuItem("/", "menu.fleet", key="1"),
    MenuItem("/review", "review.title", key="2"),
    MenuItem("/labels", "labels.title", key="3"),
    MenuItem("/runs", "menu.runs", key="4"),
    MenuItem("/rollouts", "menu.rollouts", key="5"),
    MenuItem("/triggers", "menu.triggers", key="6"),
    MenuItem("/health", "menu.health", key="7"),
)
PAGES = (fleet, station, review, labels, labels_files, pictures, heat, runs, rollouts, triggers, health)
FAULTS: dict[type[Exception], int] = {
    RequestError: 409,
    RequestRefusedError: 409,
    RolloutError: 409,
    PlanError: 409,
    TrustError: 409,
    CloudConfigError: 409,
    ModelError: 409,
    LabelError: 409,
    RetrainingError: 503,
    StoreError: 503,
    BlobError: 503,
    LinkError: 503,
    sa.exc.SQLAlchemyError: 503,
}
AWAY: dict[type[Exception], str] = {
    StoreError: "away.store",
    sa.exc.SQLAlchemyError: "away.store",
    BlobError: "away.pictures",
}


def make_fleet_pages(config: CloudConfig, listen: Listen) -> FastAPI:
    """The fleet's pages as an application.

    Raises:
        PagesError: their database cannot be opened.
    """
    site = Site(
        kind="cloud",
        title="inspectd",
        database=config.web.database,
        folder=Path(__file__).parent,
        menu=MENU,
        hosts=listen.hosts,
        secure=listen.secure,
        faults=FAULTS,
        away=AWAY,
        uploads=labels_files.UPLOADS,
    )
    here = Hub(config)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        here.close()

    app = make_application(site, [page.router for page in PAGES], lifespan)
    app.state.hub = here
    app.state.templates.filters.update(FILTERS)
    return app
