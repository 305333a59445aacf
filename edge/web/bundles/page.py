"""The pages of the bundles: all versions, one of them, and what changes which one judges."""

from typing import Annotated

from fastapi import APIRouter, Form
from fastapi import Path as InPath
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from cloud_sync.pages.acts import noted
from cloud_sync.pages.errors import PagesError
from cloud_sync.pages.guard import Engineer
from cloud_sync.pages.people import Role
from cloud_sync.pages.showing import say, show
from edge.web.bundles.bringing import MOST_BYTES, tray
from edge.web.bundles.figures import figures
from edge.web.bundles.outcome import imported, verified
from edge.web.bundles.report import ReportName, answer_report
from edge.web.bundles.shelf import Shelf, Shown, shelves, shown_version
from edge.web.bundles.standing import counted, standing
from edge.web.folders import folders
from edge.web.here import here
from edge.web.works.asking import ask_edge
from edge.web.works.routes import work_routes
from edge.web.works.showing import work_values
from models.manifest import BUNDLE_NAME

_KIND = "bundles"
router = APIRouter()
router.include_router(work_routes(_KIND, Role.ENGINEER, "bundle work stop"))
BundleId = Annotated[str, InPath(pattern=BUNDLE_NAME)]
Version = Annotated[int, InPath(ge=1, le=999_999_999)]
_SHOWN = 50
_READ: dict[str, object] = {"imported": imported, "verified": verified}
GATE_MARKS = {"passed": "good", "not proven": "waits", "failed": "bad", "not run": ""}


@router.get("/bundles")
def bundles_page(request: Request, session: Engineer) -> Response:  # noqa: ARG001 - the guard
    """Every bundle on this station."""
    own = here(request)
    found = shelves(own.config)
    stands = standing(own, found)
    values = {"shelves": found, "stands": stands, "counted": counted} | _READ | work_values(request, _KIND)
    coming = {"tray": tray(own.config), "folders": folders(own.config), "most_bytes": MOST_BYTES}
    return show(request, "bundles.html", 200, **values, **coming, shown=_SHOWN, gate_mark=GATE_MARKS)


@router.get("/bundles/standing")
def bundles_standing(request: Request, session: Engineer) -> Response:  # noqa: ARG001 - the guard
    """The part of the page that changes by itself."""
    own = here(request)
    found = shelves(own.config)
    return show(request, "bundles_standing.html", stands=standing(own, found), counted=counted)


@router.get("/bundles/{bundle_id}/rollback")
def ask_rollback(request: Request, session: Engineer, bundle_id: BundleId) -> Response:  # noqa: ARG001 - the guard
    """Say what will happen, and ask."""
    shelf = _shelf(request, bundle_id)
    if shelf.previous is None:
        raise PagesError(say(request)("bundles.no_previous", id=bundle_id))
    return _ask(request, shelf, shelf.previous, back=True)


@router.get("/bundles/{bundle_id}/{version}")
def version_page(request: Request, session: Engineer, bundle_id: BundleId, version: Version) -> Response:  # noqa: ARG001
    """All that is known of one version."""
    own = here(request)
    shelf, one = _version(request, bundle_id, version)
    precisions, rows = ((), ()) if one.manifest is None else figures(one.manifest)
    work = own.works[_KIND].find()
    about = work if work is not None and work.about.get("version") == f"{bundle_id}/{version}" else None
    values_of_work = work_values(request, _KIND) | {"work": about}
    values = {"shelf": shelf, "one": one, "precisions": precisions, "rows": rows} | _READ
    return show(request, "bundle.html", 200, **values, **values_of_work, gate_mark=GATE_MARKS)


@router.get("/bundles/{bundle_id}/{version}/report/{name}")
def report_page(
    request: Request,
    session: Engineer,  # noqa: ARG001 - the guard
    bundle_id: BundleId,
    version: Version,
    name: ReportName,
) -> Response:
    """A report as it was written, where no script of it can run."""
    _, one = _version(request, bundle_id, version)
    return answer_report(one.stored.path / f"{name.value}.html")


@router.post("/bundles/{bundle_id}/{version}/verify")
@noted("bundle verify", "{bundle_id} v{version}")
def verify_version(request: Request, session: Engineer, bundle_id: BundleId, version: Version) -> Response:
    """Check every hash and run the self-test."""
    _, one = _version(request, bundle_id, version)
    subject = f"{bundle_id} v{version}"
    words = ["bundle", "verify", str(one.stored.path), "--json"]
    about = {"what": "verify", "version": f"{bundle_id}/{version}"}
    here(request).works[_KIND].start(words, session.person.name, subject, about)
    return RedirectResponse(f"/bundles/{bundle_id}/{version}", 303)


@router.get("/bundles/{bundle_id}/{version}/activate")
def ask_activate(request: Request, session: Engineer, bundle_id: BundleId, version: Version) -> Response:  # noqa: ARG001
    """Say what will happen, and ask."""
    shelf, one = _version(request, bundle_id, version)
    return _ask(request, shelf, one, back=False)


@router.post("/bundles/{bundle_id}/{version}/activate")
@noted(
    lambda given: "bundle rollback" if given["back"] else "bundle activate",
    "{bundle_id} v{version}, in place of v{instead_of}",
)
def activate_version(
    request: Request,
    session: Engineer,
    bundle_id: BundleId,
    version: Version,
    instead_of: Annotated[int, Form(ge=0, le=999_999_999)],
    back: Annotated[bool, Form()] = False,  # noqa: FBT002 - the form's word
) -> Response:
    """Make it the active one, if what was active as the page asked still is."""
    shelf, one = _version(request, bundle_id, version)
    if instead_of != (shelf.active.stored.version if shelf.active else 0) or (back and not one.stored.previous):
        raise PagesError(say(request)("bundles.changed"))
    config = ["-c", str(here(request).config.file)]
    words = ["bundle", "rollback", bundle_id] if back else ["bundle", "activate", bundle_id, str(version)]
    done = ask_edge([*words, *config], session.person.name)
    if done.fault:
        raise PagesError(done.fault)
    return RedirectResponse("/bundles", 303)


def _ask(request: Request, shelf: Shelf, one: Shown, *, back: bool) -> Response:
    own = here(request)
    products = [section for section in own.config.product if section.id in shelf.products]
    kinds = {section.id: [recipe.kind for recipe in section.recipes] for section in products}
    unfit = [name for name, known in kinds.items() if one.manifest is not None and one.manifest.kind not in known]
    strict = [each.id for each in products if each.masters.required or each.masters.every_h is not None]
    stands = standing(own, shelves(own.config))
    values = {"shelf": shelf, "one": one, "back": back, "unfit": unfit, "strict": strict, "stands": stands}
    return show(request, "bundle_ask.html", 200, **values)


def _shelf(request: Request, bundle_id: str) -> Shelf:
    found = next((each for each in shelves(here(request).config) if each.id == bundle_id), None)
    if found is None:
        raise HTTPException(404)
    return found


def _version(request: Request, bundle_id: str, version: int) -> tuple[Shelf, Shown]:
    found = shown_version(here(request).config, bundle_id, version)
    if found is None:
        raise HTTPException(404)
    return found
