"""Bringing a bundle or a model in: its files are sent to a tray, and imported from there."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Form, Query
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from cloud_sync.pages.acts import noted, turned_out
from cloud_sync.pages.errors import PagesError
from cloud_sync.pages.guard import Engineer
from cloud_sync.pages.showing import say
from edge.config import StationConfig
from edge.web.folders import chosen
from edge.web.here import here
from edge.web.works.receiving import receive
from models.archive import SIZE_LIMIT_BYTES
from models.manifest import BUNDLE_NAME

router = APIRouter()
MOST_BYTES = SIZE_LIMIT_BYTES
_NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,79}(\.[A-Za-z0-9_-]{1,40}){0,3}\.(bundle|onnx|xml|bin|toml)$"
_KINDS = {".bundle": "bundle", ".onnx": "model", ".xml": "model", ".toml": "head"}
_MOST_FILES = 20
FileName = Annotated[str, Form(max_length=250)]


@dataclass(frozen=True, slots=True)
class TrayFile:
    """A file that was sent; `kind` is bundle, model, head or weights."""

    name: str
    size_bytes: int
    kind: str


def tray_of(config: StationConfig) -> Path:
    """Where sent files lie until they are imported or removed."""
    return config.station.data_dir / "pages" / "tray"


def tray(config: StationConfig) -> tuple[TrayFile, ...]:
    """What was sent and lies there."""
    folder = tray_of(config)
    files = sorted(path for path in folder.iterdir() if re.match(_NAME, path.name)) if folder.is_dir() else []
    return tuple(TrayFile(path.name, path.stat().st_size, _KINDS.get(path.suffix, "weights")) for path in files)


@router.post("/bundles/tray", status_code=204)
@noted("bundle upload", "{name}")
async def send_file(
    request: Request,
    session: Engineer,  # noqa: ARG001 - the guard
    name: Annotated[str, Query(pattern=_NAME, max_length=250)],
) -> Response:
    """Take a file into the tray."""
    config = here(request).config
    if len(tray(config)) >= _MOST_FILES:
        raise PagesError(say(request)("bundles.tray_full", most=_MOST_FILES))
    size_bytes = await receive(request, tray_of(config) / name, MOST_BYTES, config.retention.free_bytes)
    turned_out(request, subject=f"{name}, {size_bytes} bytes")
    return Response(status_code=204)


@router.post("/bundles/tray/remove")
@noted("bundle upload remove", "{file}")
def remove_file(request: Request, session: Engineer, file: FileName) -> Response:  # noqa: ARG001 - the guard
    """Let go of a file in the tray."""
    _sent(request, file).unlink(missing_ok=True)
    return RedirectResponse("/bundles#import", 303)


@router.post("/bundles/import")
@noted("bundle import", "{file} {bundle_id}")
def start_import(
    request: Request,
    session: Engineer,
    file: FileName,
    bundle_id: Annotated[str, Form(max_length=64)] = "",
    head: Annotated[str, Form(max_length=250)] = "",
    samples: Annotated[str, Form(max_length=300)] = "",
) -> Response:
    """Import a file of the tray; not active until somebody says so."""
    own, path = here(request), _sent(request, file)
    words = ["bundle", "import", str(path), "-c", str(own.config.file), "--progress-lines", "--json"]
    if path.suffix != ".bundle":
        words += _model_words(request, bundle_id, head, samples)
    own.works["bundles"].start(words, session.person.name, file, {"what": "import"})
    return RedirectResponse("/bundles", 303)


def _model_words(request: Request, bundle_id: str, head: str, samples: str) -> list[str]:
    folder = chosen(here(request).config, samples)
    if not re.match(BUNDLE_NAME, bundle_id) or folder is None or not head:
        raise PagesError(say(request)("bundles.import_needs"))
    return ["--head", str(_sent(request, head)), "--samples", str(folder.path), "--id", bundle_id]


def _sent(request: Request, name: str) -> Path:
    """A file that lies in the tray. Raises HTTPException (404)."""
    config = here(request).config
    if name not in {each.name for each in tray(config)}:
        raise HTTPException(404)
    return tray_of(config) / name
