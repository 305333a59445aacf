"""The review queue: one sample after the other, by keys alone; an answer is on its way while the next one is seen."""

from contextlib import ExitStack
from datetime import datetime
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from cloud_sync.hub.labels.claims import claim, forget_old, release, skip
from cloud_sync.hub.labels.classes import known_classes
from cloud_sync.hub.labels.errors import LabelError
from cloud_sync.hub.labels.listing import SampleView, sample_views
from cloud_sync.hub.labels.pictures import read_blob, size_px
from cloud_sync.hub.labels.review_progress import progress
from cloud_sync.hub.labels.review_queue import Chosen, Reviewer, classes_proposed, next_ids, products, stations
from cloud_sync.hub.labels.saying import Said, say
from cloud_sync.hub.labels.second_looks import asked_for, second_look_of
from cloud_sync.hub.labels.truths import BOXES_MOST, LabelBox, LabelTruth, boxed, clipped
from cloud_sync.hub.labels.usefulness import ORDER
from cloud_sync.hub.retraining.cloud_toml import CloudConfig
from cloud_sync.hub.web.beside import beside_of
from cloud_sync.hub.web.hub import NO_NUL, Hub, hub, now_ms
from cloud_sync.hub.web.review_shown import progress_shown, script_words, shown
from cloud_sync.pages.acts import noting_request, unnoted
from cloud_sync.pages.guard import Operator
from cloud_sync.pages.people import Role
from cloud_sync.pages.showing import say as say_word
from cloud_sync.pages.showing import show

router = APIRouter()
Id = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Page = Annotated[str, Field(pattern=r"^[0-9a-zA-Z-]{8,40}$")]
Word = Annotated[str, Field(max_length=128, pattern=NO_NUL)]
_AT_ONCE = 12
_HAVE_MOST = 400  # of a page whose answers wait for a network that is away


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Choice(_Asked):
    """What a reviewer chose, and the page that they have before them."""

    page: Page
    product: Word
    reason: Literal["", "overruled", "disagreement", "uncertain", "candidate", "novel", "audit", "imported"] = ""
    station: Word = ""
    proposed: Word = ""
    have: Annotated[list[Id], Field(max_length=_HAVE_MOST)] = []
    most: Annotated[int, Field(ge=0, le=_AT_ONCE)] = 8

    @property
    def chosen(self) -> Chosen:
        """For the queue."""
        return Chosen(self.product, self.reason, self.station, self.proposed)


class Box(_Asked):
    """A class and its place, in pixels of the picture as it lies in the store."""

    name: Annotated[str, Field(min_length=1, max_length=100, pattern=NO_NUL)]
    corners: tuple[float, float, float, float]


class Answer(_Asked):
    """What a reviewer says of a sample."""

    page: Page
    sample: Id
    says: Literal["good", "unsure", "defect", "boxes"]
    name: Annotated[str, Field(max_length=100, pattern=NO_NUL)] = ""
    boxes: Annotated[list[Box], Field(max_length=BOXES_MOST)] = []
    new_class: Annotated[str, Field(max_length=100, pattern=NO_NUL)] = ""
    seen: Annotated[int, Field(ge=0, lt=2**53)] = 0

    def truth(self) -> LabelTruth:
        """The label. Raises LabelError."""
        if self.says == "boxes":
            return boxed([LabelBox(box.name, box.corners) for box in self.boxes])
        return LabelTruth(self.says, self.name)


class Held(_Asked):
    """Samples that a page gives back, or whose judging somebody leaves to others."""

    page: Page
    samples: Annotated[list[Id], Field(max_length=_AT_ONCE)] = []


@router.get("/review")
def review_page(
    request: Request,
    session: Operator,  # noqa: ARG001 - the guard
    product: Annotated[str, Query(max_length=128, pattern=NO_NUL)] = "",
    reason: Annotated[str, Query(max_length=16, pattern=NO_NUL)] = "",
    station: Annotated[str, Query(max_length=128, pattern=NO_NUL)] = "",
    proposed: Annotated[str, Query(max_length=128, pattern=NO_NUL)] = "",
) -> Response:
    """The queue, and what to choose of it."""
    here = hub(request)
    config = here.config
    with here.reading() as connection:
        listed = products(connection)
        own = product or (listed[0] if listed else "")
        values: dict[str, Any] = {
            "products": listed,
            "reasons": ORDER,
            "stations": stations(connection, own),
            "proposals": classes_proposed(connection, own),
            "classes": known_classes(connection, own),
        }
    chosen = Chosen(own, reason if reason in ORDER else "", station, proposed)
    return show(
        request,
        "review.html",
        chosen=chosen,
        places=labels_are_boxes(config, own),
        script_words=script_words(say_word(request)),
        **values,
    )


@router.post("/review/claim")
@unnoted("who has which sample before them is in the store, for minutes")
def claim_next(request: Request, session: Operator, asked: Choice) -> Response:
    """The next samples for this page, its own for a while; those that it has already stay its own."""
    here, now = hub(request), now_ms()
    config = here.config
    reviewer, have = Reviewer(session.person.name, asked.page), asked.have
    with here.reading() as connection:  # the looking is done before anybody is kept from writing
        again = asked_for(connection, asked.chosen, reviewer, have, min(1, asked.most), now)
        found = next_ids(connection, asked.chosen, reviewer, have, asked.most - len(again), now)
    with here.writing() as connection:
        forget_old(connection, now)
        claim(connection, have, reviewer.holder, now)
        taken = claim(connection, [*again, *found], reviewer.holder, now)
    with here.reading() as connection:
        classes = known_classes(connection, asked.product)
        wanted = [sample for sample in (*found[:2], *again, *found[2:]) if sample in taken]
        places = labels_are_boxes(config, asked.product)
        views = sample_views(connection, wanted)
        seen = {view.id: _known(connection, view, session.person.name) for view in views}
        ready = [shown(view, classes, places=places, seen=seen[view.id]) for view in views]
        far = progress(connection, asked.chosen, _midnight_ms(), now)
        beside = beside_of(connection, here.blobs(), views, say_word(request), session.person.name)
    for each in ready:
        each["beside"] = beside[each["id"]]
    return JSONResponse({"samples": ready, "classes": classes, "progress": progress_shown(far, session.person.name)})


@router.post("/review/say")
@unnoted("every label is in the store with who said it and when; a new class is noted below")
def say_label(request: Request, session: Operator, answer: Answer) -> Response:
    """What somebody says of a sample becomes a label; a new class begins a training: engineers make it."""
    if answer.new_class and not session.person.role.covers(Role.ENGINEER):
        raise LabelError(say_word(request)("review.unknown_class", name=answer.new_class))
    here, by = hub(request), session.person.name
    config, truth = here.config, _inside(here, answer)
    said = Said(answer.sample, truth, by, answer.seen, answer.new_class)
    with ExitStack() as stack:
        if answer.new_class:
            stack.enter_context(noting_request(request, session, "new class", answer.new_class))
        connection = stack.enter_context(here.writing())
        seen = say(connection, said, config.web.judged_twice, now_ms())
        release(connection, Reviewer(by, answer.page).holder, [answer.sample])
    return JSONResponse({"seen": seen})


@router.post("/review/skip")
@unnoted("who left which sample to others is in the store")
def skip_samples(request: Request, session: Operator, held: Held) -> Response:
    """Leave samples to others."""
    with hub(request).writing() as connection:
        for sample in held.samples:
            skip(connection, sample, session.person.name, now_ms())
        release(connection, Reviewer(session.person.name, held.page).holder, held.samples)
    return JSONResponse({"skipped": len(held.samples)})


@router.post("/review/release")
@unnoted("as a claim")
def release_samples(request: Request, session: Operator, held: Held) -> Response:
    """The page is left: others may have what it had."""
    with hub(request).writing() as connection:
        release(connection, Reviewer(session.person.name, held.page).holder)
    return JSONResponse({"released": True})


def labels_are_boxes(config: CloudConfig, product: str) -> bool:
    """Whether the product's model is a detector."""
    return any(section.id == product and section.kind == "detector" for section in config.product)


def _known(connection: sa.Connection, view: SampleView, by: str) -> int | None:
    """The label that a second look is given with; None where it is none, and everything is shown."""
    second = second_look_of(connection, view.id, by) if view.label else None
    return None if second is None else second.first_seen


def _inside(here: Hub, answer: Answer) -> LabelTruth:
    """The label, its boxes inside the picture. Raises LabelError, StoreError, BlobError."""
    truth = answer.truth()
    if not truth.boxes:
        return truth
    with here.reading() as connection:
        view = next(iter(sample_views(connection, [answer.sample])), None)
    if view is None or view.sha256 is None or view.image != "ready":
        raise LabelError("there is no such sample any more, or its picture is not here")
    size = size_px(read_blob(here.blobs(), view.sha256, view.size_bytes or 0))
    if size is None:
        raise LabelError("its picture cannot be read: boxes on it would be nowhere")
    return boxed([clipped(box, *size) for box in truth.boxes])


def _midnight_ms() -> int:
    """Where the pages are served."""
    return int(datetime.now().astimezone().replace(hour=0, minute=0, second=0, microsecond=0).timestamp() * 1000)
