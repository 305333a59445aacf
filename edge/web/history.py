"""What the station inspected, looked back on: found by what is recorded, a page at a time."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from cloud_sync.pages.guard import Operator
from cloud_sync.pages.showing import show
from edge.config import StationConfig
from edge.record.recorded import read_briefs
from edge.record.search import NEWEST, search
from edge.web.asked import Asked
from edge.web.here import here
from edge.web.pictures import Sha256, Width

router = APIRouter()
_A_PAGE = 50


@router.get("/history")
def history_page(request: Request, session: Operator, asked: Annotated[Asked, Query()]) -> Response:  # noqa: ARG001 - the guard
    """The newest inspections as they are asked for, and where the search stopped."""
    station = here(request)
    with station.reading() as connection:
        hits = search(connection, asked.search(), asked.before, _A_PAGE)
        briefs = read_briefs(connection, hits.seqs)
    full = len(hits.seqs) == _A_PAGE
    return show(
        request,
        "history.html",
        asked=asked,
        briefs=briefs,
        hits=hits,
        stopped=not full and not hits.at_end,
        older="" if hits.at_end else asked.address("/history", hits.looked_to_seq),
        newest=asked.address("/history") if asked.before != NEWEST else "",
        known=known(station.config),
    )


@router.get("/history/picture/{sha256}")
def picture(request: Request, session: Operator, sha256: Sha256, width: Width = None) -> Response:  # noqa: ARG001 - the guard
    """A stored picture, at most about so wide; without a width as it was stored, for keeping."""
    return here(request).pictures.answer(sha256, width)


def known(config: StationConfig) -> dict[str, Sequence[str]]:
    """What may be asked for, as far as the station's file says it."""
    recipes = [recipe for product in config.product for recipe in product.recipes]
    return {
        "label": sorted({name for recipe in recipes for name in recipe.classes}),
        "camera": [camera.id for camera in config.camera],
        "model": sorted({product.bundle for product in config.product}),
        "product": [product.id for product in config.product],
    }
