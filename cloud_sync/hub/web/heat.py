"""What a model's map showed of a sample's picture: for whoever asks for it, and nobody else."""

from typing import Annotated

import sqlalchemy as sa
from fastapi import APIRouter, Path
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from cloud_sync.hub.labels.awaited import payload_of
from cloud_sync.hub.labels.listing import SampleView, sample_views
from cloud_sync.hub.store.entries import storable
from cloud_sync.hub.web.hub import hub
from cloud_sync.pages.guard import Operator
from cloud_sync.wire.heat import HeatRecord
from cloud_sync.wire.outbox import Stream
from cloud_sync.wire.records import InspectionRecord, read_record

router = APIRouter()


@router.get("/review/heat/{sample}")
def sample_heat(
    request: Request,
    session: Operator,  # noqa: ARG001 - the guard
    sample: Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")],
) -> Response:
    """The heat map of a sample, null where none was recorded."""
    with hub(request).reading() as connection:
        view = next(iter(sample_views(connection, [sample])), None)
        if view is None:
            raise HTTPException(404)
        heat = heat_of(connection, view)
    return JSONResponse({"heat": None if heat is None else heat.plain()})


def heat_of(connection: sa.Connection, view: SampleView) -> HeatRecord | None:
    """What the model that decided saw on a sample's picture, as its inspection's record has it.

    None where the view passed, the model has no map, or the record is not here, is older than maps, or cannot be read.
    """
    payload = payload_of(connection, view.station, view.epoch, Stream.INSPECTIONS, view.seq) if view.station else None
    if payload is None:
        return None
    try:
        views = read_record(InspectionRecord, payload).views
    except ValidationError:  # of a version that this one does not know: who labels sees everything else
        return None
    return next((each.heat for each in views if storable(each.camera) == view.camera), None)
