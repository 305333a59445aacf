"""The pages of the master parts."""

from typing import Annotated, Literal

import cv2
from fastapi import APIRouter, Query
from fastapi import Path as InPath
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from cloud_sync.pages.acts import noted
from cloud_sync.pages.errors import PagesError
from cloud_sync.pages.guard import Engineer, Operator
from cloud_sync.pages.people import Role, Session
from cloud_sync.pages.showing import show
from edge.config import ProductSection
from edge.masters.store import NAME, Master, MasterStore
from edge.record.checks import find_check, read_checks
from edge.web.here import here
from edge.web.masters.parts import answered, products
from edge.web.works.asking import ask_edge
from edge.web.works.receiving import received
from edge.web.works.routes import work_routes
from edge.web.works.showing import work_values

_KIND = "masters"
router = APIRouter()
router.include_router(work_routes(_KIND, Role.OPERATOR))
ProductId = Annotated[str, InPath(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
MasterName = Annotated[str, InPath(pattern=f"^{NAME}$")]
Before = Annotated[int | None, Query(ge=1, lt=2**62)]
Text = Annotated[str, Query(max_length=500, pattern=r"^[^\x00-\x1f]*$")]
MOST_BYTES = 200_000_000
_HISTORY = 25
_WIDTH_PX = 384


@router.get("/masters")
def masters_page(request: Request, session: Operator, before: Before = None) -> Response:  # noqa: ARG001 - the guard
    """Master parts of every product, how the last checks went, and those before."""
    own = here(request)
    running, found = products(own)
    path = own.config.database_path
    history = read_checks(path, limit=_HISTORY, before=before) if path.exists() else []
    values = {"products": found, "running": running, "history": history, "answered": answered}
    values |= work_values(request, _KIND)
    older = history[-1][0] if len(history) == _HISTORY else None
    cameras = [camera.id for camera in own.config.camera]
    return show(request, "masters.html", 200, **values, older=older, cameras=cameras, most_bytes=MOST_BYTES)


@router.get("/masters/checks/{number}")
def check_page(request: Request, session: Operator, number: Annotated[int, InPath(ge=1, lt=2**62)]) -> Response:  # noqa: ARG001
    """One check, part by part."""
    path = here(request).config.database_path
    check = find_check(path, number) if path.exists() else None
    if check is None:
        raise HTTPException(404)
    return show(request, "master_check.html", number=number, check=check)


@router.post("/masters/{product}/check")
@noted("masters check", "{product}")
def start_check(request: Request, session: Operator, product: ProductId) -> Response:
    """Have the running station look at the stored pictures, between parts; where none runs, the command does."""
    own, section = here(request), section_of(request, product)
    words = ["verify-masters", "--product", section.id, "-c", str(own.config.file), "--json"]
    own.works[_KIND].start(words, session.person.name, section.id, {"product": section.id})
    return RedirectResponse("/masters", 303)


@router.get("/masters/{product}/{name}/picture")
def master_picture(request: Request, session: Operator, product: ProductId, name: MasterName) -> Response:  # noqa: ARG001
    """A master part's picture, small."""
    store = MasterStore(here(request).config.station.data_dir, section_of(request, product).id)
    image = store.image(master_of(store, name))
    height_px, width_px = image.shape[:2]
    if width_px > _WIDTH_PX:
        size = (_WIDTH_PX, max(1, round(height_px * _WIDTH_PX / width_px)))
        return _jpeg(cv2.resize(image, size, interpolation=cv2.INTER_AREA))
    return _jpeg(image)


@router.post("/masters/{product}/add", status_code=204)
@noted("masters add", lambda given: f"{given['product']}: {given['called'] or given['name'].rpartition('.')[0]}")
async def add_master(  # noqa: PLR0913, PLR0917 - what a master part is
    request: Request,
    session: Engineer,
    product: ProductId,
    name: Text,
    expected: Annotated[Literal["good", "bad"], Query()],
    called: Text = "",
    camera: Text = "",
    expect: Text = "",
    remark: Text = "",
) -> Response:
    """Take a picture, and keep it as a master part; `name` is its file's, `called` what it shall be called."""
    own, section = here(request), section_of(request, product)
    suffix = "." + name.rpartition(".")[2].lower() if "." in name else ""
    if suffix not in {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"}:
        raise HTTPException(415, "give a picture: png, jpg, bmp, tif or webp")
    folder, free_bytes = own.config.station.data_dir / "pages" / _KIND, own.config.retention.free_bytes
    async with received(request, folder, f"picture{suffix}", MOST_BYTES, free_bytes) as path:
        words = ["masters", "add", str(path), f"--{expected}", "--product", section.id, "-c", str(own.config.file)]
        words += [f"--name={called or name.rpartition('.')[0]}"]
        words += [*_given("--camera", camera), *_given("--class", expect if expected == "bad" else "")]
        await run_in_threadpool(_change, session, [*words, *_given("--note", remark)])
    return Response(status_code=204)


@router.post("/masters/{product}/{name}/remove")
@noted("masters remove", "{product}: {name}")
def remove_master(request: Request, session: Engineer, product: ProductId, name: MasterName) -> Response:
    """Forget a master part; the list keeps that it was there."""
    own, section = here(request), section_of(request, product)
    words = ["masters", "remove", name, "--product", section.id, "-c", str(own.config.file)]
    _change(session, words)
    return RedirectResponse("/masters", 303)


def _jpeg(image: cv2.typing.MatLike) -> Response:
    return Response(cv2.imencode(".jpg", image)[1].tobytes(), media_type="image/jpeg")


def _change(session: Session, words: list[str]) -> None:
    """Run a command that changes master parts. Raises PagesError."""
    done = ask_edge(words, session.person.name)
    if done.fault:
        raise PagesError(done.fault)


def _given(option: str, value: str) -> list[str]:
    return [f"{option}={value}"] if value else []


def section_of(request: Request, product: str) -> ProductSection:
    """The product's section of station.toml. Raises HTTPException (404)."""
    found = next((each for each in here(request).config.product if each.id == product), None)
    if found is None:
        raise HTTPException(404)
    return found


def master_of(store: MasterStore, name: str) -> Master:
    """The master part of a name. Raises HTTPException (404)."""
    found = next((each for each in store.masters() if each.name == name), None)
    if found is None:
        raise HTTPException(404)
    return found
