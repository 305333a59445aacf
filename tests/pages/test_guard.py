"""Nobody gets in, and nobody does what their role does not cover."""

from pathlib import Path

import pytest
from fastapi import FastAPI
from pages_kit import let_in, visitor
from station_kit import Station

from cloud_sync.pages.headers import HEADERS
from cloud_sync.pages.serving import Listen
from edge.config import load_config
from edge.web.site import make_station_pages


@pytest.fixture
def app(tmp_path: Path) -> FastAPI:
    found = make_station_pages(load_config(Station(tmp_path / "station").write_config()), Listen())
    let_in(found)
    return found


def test_a_stranger_is_asked_who_it_is(app: FastAPI) -> None:
    answer = visitor(app).get("/audit?before=7")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/login?next=/audit%3Fbefore%3D7"


def test_an_operator_sees_no_audit_log(app: FastAPI) -> None:
    assert visitor(app, "operator").get("/audit").status_code == 403
    assert visitor(app, "admin").get("/audit").status_code == 200


def test_a_form_without_the_pages_token_changes_nothing(app: FastAPI) -> None:
    admin = visitor(app, "admin")
    admin.csrf = "guessed"
    answer = admin.post("/users", {"name": "eve", "role": "admin", "password": "long-enough-for-it"})
    assert answer.status_code == 403
    assert "eve" not in admin.get("/users").text


def test_every_answer_carries_the_security_headers(app: FastAPI) -> None:
    for path in ("/login", "/", "/static/inspectd.css", "/nowhere"):
        answer = visitor(app).get(path)
        assert {name: answer.headers.get(name) for name in HEADERS} == dict(HEADERS), path
