"""Both sites over something real, a station that ran and a cloud that holds samples, and all of their routes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from backup_kit import make_station
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from labels_kit import blobs_of, declare, feedback, have_file, images, inspection, picture, receive, sample

from cloud_sync.hub.web.site import make_fleet_pages
from cloud_sync.hub.work_cli import read_config
from cloud_sync.pages.acts import is_noted, unnoted_why
from cloud_sync.pages.guard import AtLeast
from cloud_sync.pages.people import Role
from cloud_sync.pages.serving import Listen
from edge.config import load_config
from edge.web.site import make_station_pages

SITES = ("station", "cloud")


def make_site(kind: str, folder: Path, listen: Listen | None = None) -> FastAPI:
    """The pages of a kind, over a folder that is filled first."""
    listen = listen or Listen()
    if kind == "station":
        return make_station_pages(load_config(make_station(folder / "station").config), listen)
    return make_fleet_pages(read_config(make_cloud(folder / "cloud")), listen)


def make_cloud(folder: Path) -> Path:
    """A store with inspections, samples and their pictures, overrules and classes; gives cloud.toml."""
    folder.mkdir(parents=True)
    place = str(folder / "cloud.db")
    blobs = blobs_of(place, folder)
    for number in (1, 2, 3):
        content = picture(number)
        digest = have_file(place, blobs, content, seq=number) if number > 1 else ""
        receive(place, inspection(number), sample(number, number), images(number, {"top": content}))
        if number == 1:
            digest = have_file(place, blobs, content, seq=number)
        assert digest
    receive(place, feedback(9, 2, "PASS"))
    declare(place, "scratch", "dent")
    config = folder / "cloud.toml"
    config.write_text('[[product]]\nid = "cell"\nbundle = "cells"\n')
    return config


@dataclass(frozen=True, slots=True)
class Door:
    """One route and method; `role` is None where none is named."""

    method: str
    path: str
    role: Role | None
    is_noted: bool = False
    unnoted_why: str = ""

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def doors(app: FastAPI) -> Sequence[Door]:
    """Every route of a site, a colleague's of today too."""
    return [
        Door(method, route.path, _role_of(route), is_noted(route), unnoted_why(route))
        for route in _routes(app.router)
        for method in sorted(route.methods or ())
    ]


def _routes(router: APIRouter) -> Iterator[APIRoute]:
    for route in router.routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            yield from _routes(inner)
        elif isinstance(route, APIRoute):
            yield route


def _role_of(route: APIRoute) -> Role | None:
    guards = [each.call for each in route.dependant.dependencies if isinstance(each.call, AtLeast)]
    return guards[0].role if guards else None
