"""Master parts put under the cameras one by one, as `edge verify-masters --live` asks for them, and then judged."""

import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter
from fastapi import Path as InPath
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from cloud_sync.pages.acts import noted, turned_out
from cloud_sync.pages.errors import PagesError
from cloud_sync.pages.guard import Operator
from cloud_sync.pages.showing import say, show
from cloud_sync.wire.records import InspectionRecord
from edge.domain.errors import StorageError
from edge.line.masters import show_master
from edge.line.protocol import Trigger, master_part_id, parse_address
from edge.masters.store import Master, MasterStore
from edge.record.inspections import inspection_of
from edge.web.here import Here, here
from edge.web.masters.page import MasterName, ProductId, master_of, section_of

router = APIRouter()
Shown = Annotated[str, InPath(pattern=r"^[0-9]{8}T[0-9]{6}$")]
_GRACE_S = 5.0


@dataclass(frozen=True, slots=True)
class Seen:
    """A master part, and the inspection of it in this session; None until it was shown."""

    master: Master
    record: InspectionRecord | None

    @property
    def right(self) -> bool:
        """Whether it got what is expected; which bundle looked, and by which class, is judged at the end."""
        return self.record is not None and self.record.verdict == self.master.expected.value


@router.post("/masters/{product}/show")
@noted("masters show", "{product}")
def begin(request: Request, session: Operator, product: ProductId) -> Response:  # noqa: ARG001 - the guard
    """Begin to show them."""
    section = section_of(request, product)
    if not MasterStore(here(request).config.station.data_dir, section.id).masters():
        raise PagesError(say(request)("masters.none"))
    return RedirectResponse(f"/masters/{section.id}/show/{datetime.now(UTC):%Y%m%dT%H%M%S}", 303)


@router.get("/masters/{product}/show/{shown}")
def show_page(request: Request, session: Operator, product: ProductId, shown: Shown) -> Response:  # noqa: ARG001
    """The next part to put under its camera, and what came of those before."""
    section = section_of(request, product)
    seen = _seen(here(request), section.id, shown)
    wanted = next((each.master for each in seen if each.record is None), None)
    return show(request, "master_show.html", section=section, shown=shown, seen=seen, wanted=wanted)


@router.post("/masters/{product}/show/{shown}/{name}")
@noted("masters show part", "{product}: {name}")
def inspect_shown(
    request: Request,
    session: Operator,  # noqa: ARG001 - the guard
    product: ProductId,
    shown: Shown,
    name: MasterName,
) -> Response:
    """Have the running station inspect what lies under the camera now, as this master part."""
    config, section = here(request).config, section_of(request, product)
    master = master_of(MasterStore(config.station.data_dir, section.id), name)
    trigger = Trigger(master_part_id(shown, name), section.id, (master.camera,), name)
    told = show_master(parse_address(config.line.port), trigger, config.line.deadline_ms / 1000 + _GRACE_S)
    turned_out(request, subject=f"{section.id}: {name}: {told.verdict.value}")
    return RedirectResponse(f"/masters/{section.id}/show/{shown}", 303)


@router.post("/masters/{product}/judge/{shown}")
@noted("masters check", "{product}, shown {shown}")
def judge(request: Request, session: Operator, product: ProductId, shown: Shown) -> Response:
    """Have the station judge what was shown."""
    own, section = here(request), section_of(request, product)
    words = ["verify-masters", "--product", section.id, "--shown", shown, "-c", str(own.config.file), "--json"]
    own.works["masters"].start(words, session.person.name, section.id, {"product": section.id})
    return RedirectResponse("/masters", 303)


def _seen(own: Here, product: str, shown: str) -> tuple[Seen, ...]:
    masters = MasterStore(own.config.station.data_dir, product).masters()
    with own.reading() as connection:
        try:
            return tuple(Seen(each, inspection_of(connection, master_part_id(shown, each.name))) for each in masters)
        except sqlite3.Error as error:
            raise StorageError(f"cannot read {own.config.database_path}: {error}") from error
