"""The page of calibration."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Form, Query
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from cloud_sync.pages.acts import noted, turned_out
from cloud_sync.pages.errors import PagesError
from cloud_sync.pages.guard import Engineer
from cloud_sync.pages.people import Role, Session
from cloud_sync.pages.showing import say, show
from edge.domain.errors import StorageError
from edge.web.bundles.page import GATE_MARKS
from edge.web.calibrating.asked import (
    BOUNDS,
    PASSED,
    Asked,
    Chosen,
    Given,
    Wrong,
    checks_words,
    filled,
    read_asked,
    resume_words,
    usual,
    words_of,
)
from edge.web.calibrating.choices import against, choices
from edge.web.calibrating.left import Told, frames_used, told, unfinished
from edge.web.calibrating.outcome import outcome_of
from edge.web.calibrating.passed import gather_passed
from edge.web.here import Here, here
from edge.web.works.routes import work_routes
from edge.web.works.showing import work_values
from edge.web.works.work import Work

_KIND = "calibrate"
router = APIRouter()
router.include_router(work_routes(_KIND, Role.ENGINEER, "calibrate stop"))
ProductField = Annotated[str, Form(max_length=64)]
BundleKey = Annotated[str, Query(max_length=80, pattern=r"^([a-z0-9][a-z0-9._-]*/[0-9]{1,9})?$")]


@router.get("/calibrate")
def calibrate_page(request: Request, session: Engineer, bundle: BundleKey = "") -> Response:  # noqa: ARG001 - the guard
    """What runs or what came of the last one, what can be gone on with, and a form for another."""
    given = usual()
    if bundle:
        given = given.model_copy(update={"what": "bundle", "bundle": bundle})
    return _page(request, given)


@router.get("/calibrate/frames")
def calibrate_frames(request: Request, session: Engineer) -> Response:  # noqa: ARG001 - the guard
    """Which frames were refused, as soon as they were looked at."""
    own = here(request)
    work = own.works[_KIND].find()
    return show(request, "calibrate_frames.html", 200, work=work, told=_told(own, work))


@router.get("/calibrate/refused")
def refused_picture(
    request: Request,
    session: Engineer,  # noqa: ARG001 - the guard
    product: Annotated[str, Query(max_length=64)],
    name: Annotated[str, Query(max_length=300)],
) -> Response:
    """A small picture of a frame that was refused."""
    own = here(request)
    known = told(own.config, product) if product in _products(own) else None
    picture = None if known is None else known.picture(name)
    if picture is None:
        raise HTTPException(404)
    return Response(picture, media_type="image/jpeg")


@router.post("/calibrate")
@noted("calibrate", "{given.product}, {given.what}, from {given.source}")
def start(request: Request, session: Engineer, given: Annotated[Given, Form()]) -> Response:
    """Start one as it was asked for, or show the form again with what is wrong beside its fields."""
    own = here(request)
    if own.works[_KIND].runs:
        raise PagesError(say(request)("calibrate.busy"))
    has = choices(own.config)
    asked, wrong = read_asked(given)
    if asked is not None:
        wrong = against(asked, has)
    if asked is None or wrong:
        return _page(request, given, wrong)
    named = has.chosen(asked)
    if asked.source == PASSED:
        camera = asked.camera or own.config.camera[0].id
        folder, count = gather_passed(own, asked.product, camera, asked.parts)
        if not count:
            none = Wrong("calibrate.none_passed", {"product": asked.product, "camera": camera})
            return _page(request, given, {"source": none})
        named = replace(named, frames=folder)
    _begin(request, session, asked, named)
    return RedirectResponse("/calibrate", 303)


@router.post("/calibrate/resume")
@noted("calibrate resume", "{product}")
def resume(request: Request, session: Engineer, product: ProductField) -> Response:
    """Go on with one that was interrupted, as it was asked for."""
    own = here(request)
    if product not in _products(own):
        raise PagesError(say(request)("calibrate.choose"))
    about = {"product": product, "what": "model"}
    own.works[_KIND].start(resume_words(own.config.file, product), session.person.name, product, about)
    return RedirectResponse("/calibrate", 303)


@router.post("/calibrate/checks")
@noted("calibrate checks", "{product}")
def learn_checks(request: Request, session: Engineer, product: ProductField) -> Response:
    """Learn the camera's checks from the frames of the last calibration, for one that was not activated by itself."""
    own = here(request)
    used = _frames_used(own, product) if product in _products(own) else None
    if used is None:
        raise PagesError(say(request)("calibrate.no_frames"))
    words = checks_words(own.config.file, product, used[1], used[0])
    own.works[_KIND].start(words, session.person.name, product, {"product": product, "what": "checks"})
    return RedirectResponse("/calibrate", 303)


def _page(request: Request, given: Given, wrong: Mapping[str, Wrong] | None = None) -> Response:
    """The page, its form filled with what was given; 422 where something is wrong with that."""
    own = here(request)
    work = own.works[_KIND].find()
    running = work is not None and work.running
    has = choices(own.config)
    if given.what == "bundle" and not has.bundles:  # a choice that is off is not sent: another would be started
        given = given.model_copy(update={"what": "model"})
    return show(
        request,
        "calibrate.html",
        422 if wrong else 200,
        **work_values(request, _KIND),
        told=_told(own, work),
        unfinished=() if running else unfinished(own.config),
        has=has,
        daemon_runs=_daemon_runs(own),
        given=filled(given),
        wrong=wrong or {},
        bounds=BOUNDS,
        outcome_of=outcome_of,
        gate_mark=GATE_MARKS,
    )


def _begin(request: Request, session: Session, asked: Asked, named: Chosen) -> None:
    own = here(request)
    words = words_of(asked, own.config.file, named)
    about = {"product": asked.product, "what": asked.what, "activate": str(asked.activate), "camera": asked.camera}
    about |= {"frames": str(named.frames)} if named.frames is not None else {}
    about |= {"bundle": asked.bundle} if asked.what == "bundle" else {}
    own.works[_KIND].start(words, session.person.name, asked.product, about)
    turned_out(request, subject=" ".join(words[3:]))


def _frames_used(own: Here, product: str) -> tuple[Path, str] | None:
    """The frames of the last calibration, and whose they are; a bundle that was taken leaves no folder that says it."""
    work = own.works[_KIND].find()
    about = {} if work is None else work.about
    if about.get("what") == "bundle" and about.get("product") == product:
        return (Path(about["frames"]), about.get("camera", "")) if "frames" in about else None
    return frames_used(own.config, product)


def _products(own: Here) -> set[str]:
    return {section.id for section in own.config.product}


def _told(own: Here, work: Work | None) -> Told | None:
    """What is known of the frames of this work; None before they were looked at."""
    product = "" if work is None else work.about.get("product", "")
    known = told(own.config, product) if product in _products(own) else None
    return None if known is None or work is None or known.at < work.started_at else known


def _daemon_runs(own: Here) -> bool:
    try:
        return bool(own.status()["running"])
    except StorageError:
        return False
