"""The page of calibration."""

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Form, Query
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from cloud_sync.pages.acts import noted, turned_out, unnoted
from cloud_sync.pages.errors import PagesError
from cloud_sync.pages.guard import Engineer
from cloud_sync.pages.showing import say, show
from edge.domain.errors import StorageError
from edge.web.calibrating.asked import Asked, checks_words, resume_words, words_of
from edge.web.calibrating.left import Told, frames_used, told, unfinished
from edge.web.calibrating.outcome import outcome_of
from edge.web.calibrating.passed import gather_passed
from edge.web.folders import chosen, folders
from edge.web.here import Here, here
from edge.web.works.showing import work_part, work_values
from edge.web.works.work import Work

router = APIRouter()
_KIND = "calibrate"
ProductField = Annotated[str, Form(max_length=64)]


@router.get("/calibrate")
def calibrate_page(request: Request, session: Engineer) -> Response:  # noqa: ARG001 - the guard
    """What runs or what came of the last one, what can be gone on with, and a form for another."""
    own = here(request)
    work = own.works[_KIND].find()
    running = work is not None and work.running
    return show(
        request,
        "calibrate.html",
        200,
        **work_values(request, _KIND),
        told=_told(own, work),
        unfinished=() if running else unfinished(own.config),
        folders=folders(own.config),
        products=[section.id for section in own.config.product],
        cameras=[section.id for section in own.config.camera],
        daemon_runs=_daemon_runs(own),
        usual=Asked(product="", source=""),
        outcome_of=outcome_of,
    )


@router.get("/calibrate/frames")
def calibrate_frames(request: Request, session: Engineer) -> Response:  # noqa: ARG001 - the guard
    """Which frames were refused, as soon as they were looked at."""
    own = here(request)
    work = own.works[_KIND].find()
    return show(request, "calibrate_frames.html", 200, work=work, told=_told(own, work))


@router.post("/calibrate/work/forget")
@unnoted("it hides what the page says of a command that ended")
def forget_work(request: Request, session: Engineer) -> Response:  # noqa: ARG001 - the guard
    """Show what came of the last one no more."""
    here(request).works[_KIND].forget()
    return RedirectResponse("/calibrate", 303)


@router.get("/calibrate/work")
def calibrate_work(request: Request, session: Engineer) -> Response:  # noqa: ARG001 - the guard
    """How far it is."""
    return work_part(request, _KIND)


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
@noted("calibrate", "{asked.product}, {asked.what}, from {asked.source}")
def start(request: Request, session: Engineer, asked: Annotated[Asked, Form()]) -> Response:
    """Start one as it was asked for."""
    own = here(request)
    if asked.product not in _products(own) or asked.camera not in {"", *(each.id for each in own.config.camera)}:
        raise PagesError(say(request)("calibrate.choose"))
    if own.works[_KIND].runs:
        raise PagesError(say(request)("calibrate.busy"))
    words = words_of(asked, own.config.file, _frames(request, asked), _defects(request, asked))
    about = {"product": asked.product, "what": asked.what, "activate": str(asked.activate)}
    own.works[_KIND].start(words, session.person.name, asked.product, about)
    turned_out(request, subject=" ".join(words[3:]))
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


@router.post("/calibrate/work/stop")
@noted("calibrate stop")
def stop(request: Request, session: Engineer) -> Response:  # noqa: ARG001 - the guard
    """End it as Ctrl-C does: what is finished stays, and can be gone on with."""
    if not here(request).works[_KIND].stop():
        turned_out(request, "none ran")
    return RedirectResponse("/calibrate", 303)


@router.post("/calibrate/checks")
@noted("calibrate checks", "{product}")
def learn_checks(request: Request, session: Engineer, product: ProductField) -> Response:
    """Learn the camera's checks from the frames of the last calibration, for one that was not activated by itself."""
    own = here(request)
    used = frames_used(own.config, product) if product in _products(own) else None
    if used is None:
        raise PagesError(say(request)("calibrate.no_frames"))
    words = checks_words(own.config.file, product, used[1], used[0])
    own.works[_KIND].start(words, session.person.name, product, {"product": product, "what": "checks"})
    return RedirectResponse("/calibrate", 303)


def _frames(request: Request, asked: Asked) -> Path | None:
    """The folder to learn from; None where the camera takes the frames now. Raises PagesError."""
    own = here(request)
    if asked.source == "live" and asked.what == "model":
        return None
    if asked.source == "passed":
        camera = asked.camera or own.config.camera[0].id
        folder, count = gather_passed(own, asked.product, camera, asked.parts)
        if not count:
            raise PagesError(say(request)("calibrate.none_passed", product=asked.product, camera=camera))
        return folder
    return _folder(request, asked.source)


def _defects(request: Request, asked: Asked) -> Path | None:
    return _folder(request, asked.defects) if asked.defects else None


def _folder(request: Request, key: str) -> Path:
    found = chosen(here(request).config, key)
    if found is None:
        raise PagesError(say(request)("calibrate.choose_folder"))
    return found.path


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
