"""Every route of both sites: who is let in, and that nothing is changed by somebody else's form.

A route that somebody adds is walked by itself.
"""

import re

import pytest
from fastapi import FastAPI
from pages_kit import Visitor, let_in, visitor
from sites_kit import SITES, Door, doors, make_site

from cloud_sync.pages.headers import CONTENT_POLICY
from cloud_sync.pages.login import PUBLIC
from cloud_sync.pages.people import Role

UNNOTED = {
    *("POST /login", "POST /account/looks"),
    *("POST /bundles/work/forget", "POST /masters/work/forget", "POST /calibrate/work/forget"),
    *("POST /review/claim", "POST /review/say", "POST /review/skip", "POST /review/release"),
}
WITH_TOKEN_FREE = {"POST /login"}  # nobody has a session there: origin and fetch metadata guard it


@pytest.fixture(scope="module", params=SITES)
def app(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    found = make_site(request.param, tmp_path_factory.mktemp(request.param))
    let_in(found)
    return found


@pytest.fixture(scope="module")
def people(app: FastAPI) -> dict[Role, Visitor]:
    return {role: visitor(app, role.value) for role in Role}


def ask(who: Visitor, door: Door, **more: object):  # noqa: ANN201 - httpx's answer
    path = re.sub(r"\{[^}]*\}", "1", door.path)
    return who.client.request(door.method, path, headers={"accept": "text/html"}, **more)  # type: ignore[arg-type]


def test_every_route_is_seen(app: FastAPI) -> None:
    found = {(door.method.lower(), door.path) for door in doors(app)}
    document = {
        (method, re.sub(r":[a-z]+\}", "}", path))
        for path, methods in app.openapi()["paths"].items()
        for method in methods
    }
    assert {(method, re.sub(r":[a-z]+\}", "}", path)) for method, path in found} >= document
    assert len(found) > 10


def test_every_route_names_a_role_but_the_login(app: FastAPI) -> None:
    assert [str(door) for door in doors(app) if door.role is None and door.path not in PUBLIC] == []


def test_what_changes_something_is_a_post(app: FastAPI) -> None:
    assert {door.method for door in doors(app)} <= {"GET", "POST"}


def test_what_changes_something_is_noted_before_it_is_done_but_for_the_few_that_say_why_not(app: FastAPI) -> None:
    changing = [door for door in doors(app) if door.method != "GET"]
    assert {str(door) for door in changing if not door.is_noted} <= UNNOTED
    assert [str(door) for door in changing if door.is_noted == bool(door.unnoted_why)] == []


def test_a_stranger_gets_through_no_door(app: FastAPI) -> None:
    stranger = visitor(app)
    for door in doors(app):
        if door.role is not None:
            assert ask(stranger, door).status_code == (303 if door.method == "GET" else 401), door


def test_no_role_gets_through_the_door_of_a_higher_one(app: FastAPI, people: dict[Role, Visitor]) -> None:
    for door in doors(app):
        for role, who in people.items():
            if door.role is not None and not role.covers(door.role):
                token = {"headers": {"x-csrf-token": who.csrf}}
                path = re.sub(r"\{[^}]*\}", "1", door.path)
                assert who.client.request(door.method, path, **token).status_code == 403, (door, role)


def test_no_form_changes_anything_without_the_token(app: FastAPI, people: dict[Role, Visitor]) -> None:
    admin = people[Role.ADMIN]
    for door in doors(app):
        if door.method != "GET" and str(door) not in WITH_TOKEN_FREE:
            assert ask(admin, door).status_code == 403, door
            assert ask(admin, door, data={"csrf": "guessed"}).status_code == 403, door
            assert ask(admin, door, data={"csrf": people[Role.OPERATOR].csrf}).status_code == 403, door


def test_no_page_lets_itself_do_more_than_ours(app: FastAPI, people: dict[Role, Visitor]) -> None:
    allowed = {part.split(" ", 1)[0] for part in CONTENT_POLICY.split("; ")} | {"sandbox"}
    for door in doors(app):
        if door.method == "GET" and "{" not in door.path and "event" not in door.path:
            with people[Role.ADMIN].client.stream("GET", door.path, headers={"accept": "text/html"}) as answer:
                policy = answer.headers["content-security-policy"]
                assert "script-src 'unsafe" not in policy, door
                assert {part.split(" ", 1)[0] for part in policy.split("; ")} <= allowed, door
                assert answer.status_code < 500 or answer.status_code == 503, door
