"""An inspection's page: everything that is recorded of it, and a person's word on it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Form
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from cloud_sync.pages.acts import noted, turned_out
from cloud_sync.pages.errors import PagesError
from cloud_sync.pages.guard import Operator
from cloud_sync.pages.showing import show
from cloud_sync.wire.records import DetectionRecord, ViewRecord, content_hash, inspection_id
from edge.domain.feedback import Feedback
from edge.feedback import keep_feedback
from edge.record.recorded import Brief, InFull, Picture, neighbours, read_briefs, read_in_full
from edge.web.asked import Seq
from edge.web.here import Here, here
from edge.web.said import GOOD, Opinion, word_of

router = APIRouter()


@dataclass(frozen=True, slots=True)
class Look:
    """One camera's share of an inspection, ready to be shown; `size_px` is None where no picture can be."""

    camera: str
    picture: Picture | None
    size_px: tuple[int, int] | None
    view: ViewRecord | None
    sample: Sequence[str]
    upload: str | None

    @property
    def detections(self) -> Sequence[DetectionRecord]:
        """What was found, the strongest first."""
        return self.view.detections if self.view else ()

    @property
    def heat(self) -> Mapping[str, object] | None:
        """What the model's map showed, as scripts take it; None where nothing is recorded of it."""
        return self.view.heat.plain() if self.view and self.view.heat else None


@router.get("/history/{seq}")
def inspection_page(request: Request, session: Operator, seq: Seq) -> Response:  # noqa: ARG001 - the guard
    """Everything that is recorded of one inspection."""
    station = here(request)
    full, before, after = _read(station, seq)
    return show(
        request,
        "inspection.html",
        full=full,
        brief=full.brief,
        record=full.brief.record,
        looks=_looks(station, full),
        before=before,
        after=after,
        identity=_identity(station, full.brief),
        intact=content_hash(full.payload) == full.sha256,
        raw=_pretty(full.payload),
        truths=_truths(station, full.brief),
    )


@router.post("/history/{seq}/word")
@noted("feedback", lambda given: f"{given['seq']}: {given['said']} {given['another'] or given['truth']}".strip())
def say_word(  # noqa: PLR0913, PLR0917 - each is a field of the form
    request: Request,
    session: Operator,
    seq: Seq,
    said: Annotated[Literal["right", "wrong", "back"], Form()],
    truth: Annotated[str, Form(max_length=128)] = "",
    another: Annotated[str, Form(max_length=128)] = "",
    remark: Annotated[str, Form(max_length=500)] = "",
    boxes: Annotated[str, Form(max_length=8192)] = "",
    epoch: Annotated[str, Form(max_length=64)] = "",
    heard: Annotated[int | None, Form(ge=0, lt=2**53)] = None,
) -> Response:
    """Keep what somebody says of an inspection; it supersedes what was said before, and removes nothing.

    `epoch` is the one that the page showed: where a backup was put back since, the number may be another part's.
    Taken back is the word that was on the screen (`heard`): where another one stands by now, that one is shown.
    """
    station = here(request)
    full, _, _ = _read(station, seq)
    brief, words = full.brief, full.brief.words
    if epoch not in {"", brief.epoch}:
        raise PagesError(f"number {seq} is another inspection since the page was loaded: load it again, and look")
    if said == "back" and words and heard not in {None, words[-1].seq}:
        turned_out(request, "another word stands by now")
        return RedirectResponse(f"/history/{seq}", 303)
    sizes = {look.camera: look.size_px for look in _looks(station, full) if look.size_px}
    about = Feedback(brief.part_id, is_right=False, by=session.person.name, inspection_id=_identity(station, brief))
    opinion = Opinion(said, another or truth, remark, boxes)
    word = word_of(about, brief.verdict, opinion, sizes, words[-2] if len(words) > 1 else None)
    keep_feedback(station.config, word)
    turned_out(request, subject=f"{about.inspection_id}: {said} {word.label}".strip())
    if request.headers.get("hx-request"):
        with station.reading() as connection:
            return show(request, "history_row.html", brief=read_briefs(connection, [seq])[0])
    return RedirectResponse(f"/history/{seq}", 303)


def _read(station: Here, seq: int) -> tuple[InFull, int | None, int | None]:
    with station.reading() as connection:
        full = read_in_full(connection, seq)
        if full is None:
            raise HTTPException(404)
        return full, *neighbours(connection, seq)


def _looks(station: Here, full: InFull) -> list[Look]:
    pictures = {picture.camera: picture for picture in full.brief.pictures}
    views = {view.camera: view for view in (full.brief.record.views if full.brief.record else [])}
    return [
        Look(
            camera=camera,
            picture=pictures.get(camera),
            size_px=_size(station, pictures.get(camera)),
            view=views.get(camera),
            sample=full.samples.get(camera, ()),
            upload=full.uploads.get(camera),
        )
        for camera in dict.fromkeys([*views, *pictures])
    ]


def _size(station: Here, picture: Picture | None) -> tuple[int, int] | None:
    return station.pictures.size(picture.sha256) if picture is not None and picture.stored else None


def _identity(station: Here, brief: Brief) -> str:
    return inspection_id(station.config.station.id, brief.epoch, brief.seq)


def _truths(station: Here, brief: Brief) -> list[str]:
    """What the part may really be, by what was found and the recipes of its product: `good` first."""
    products = [product for product in station.config.product if product.id == brief.product]
    named = {name for product in products for recipe in product.recipes for name in recipe.classes}
    return [GOOD, *brief.labels, *sorted(named - set(brief.labels))]


def _pretty(payload: bytes) -> str:
    try:
        return json.dumps(json.loads(payload), indent=2, ensure_ascii=False) if payload else ""
    except ValueError:
        return payload.decode(errors="replace")  # damaged: shown as it lies there
