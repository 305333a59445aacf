"""Everything that the cloud knows of one station."""

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from cloud_sync.hub.store.overview import DAY_H, overview
from cloud_sync.hub.store.station_details import station_details
from cloud_sync.hub.web.board import show_board
from cloud_sync.hub.web.charts import hour_bars
from cloud_sync.hub.web.hub import hub, now_ms
from cloud_sync.hub.web.standing import word_of
from cloud_sync.pages.guard import Operator

router = APIRouter()
StationId = Annotated[str, Path(pattern=r"^[a-z0-9-]{1,63}$")]
_WEEK_H = 7 * DAY_H
_NEWEST = 20


@router.get("/stations/{station}")
def station_page(request: Request, session: Operator, station: StationId) -> Response:  # noqa: ARG001 - the guard
    """One station."""
    now = now_ms()
    with hub(request).reading() as connection:
        lines = overview(connection, now, station=station, hours=_WEEK_H)
        if not lines:
            raise HTTPException(404)
        details = station_details(connection, station, _NEWEST)
    line = lines[0]
    return show_board(
        request,
        "station.html",
        now,
        line=line,
        day=line.last(DAY_H),
        week=line.last(_WEEK_H),
        recent=line.last(2),
        details=details,
        word=word_of(line, now),
        bars=hour_bars,
    )
