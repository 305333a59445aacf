"""Whatever is sent to whatever route of both sites, nothing breaks: requests made up from the OpenAPI documents.

The outside world being away (no daemon, no broker) is a 503; any other 5xx is a fault of ours.
"""

import re
import warnings

import pytest
import requests
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NonInteractiveExampleWarning
from pages_kit import Visitor, let_in, visitor
from schemathesis import Case, GenerationMode
from schemathesis.schemas import APIOperation
from sites_kit import SITES, doors, make_site

STREAMS = re.compile(r"event|stream")  # they do not end: each has a test of its own
EXCLUDED = {"/login", "/logout", "/account/password"}  # they would end or lock out who asks; see test_doors


@pytest.fixture(scope="module", params=SITES)
def app(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    found = make_site(request.param, tmp_path_factory.mktemp(request.param))
    let_in(found)
    return found


def operations(app: FastAPI) -> list[APIOperation]:
    schema = schemathesis.openapi.from_dict(app.openapi())
    found = [each.ok() for each in schema.get_all_operations()]
    return [each for each in found if each.path not in EXCLUDED and not STREAMS.search(each.path)]


def throw_at(operation: APIOperation, admin: Visitor, most: int) -> set[int]:
    """Send what fits the document, and what does not; gives the statuses that came."""
    seen: set[int] = set()
    modes = [operation.as_strategy(generation_mode=mode) for mode in GenerationMode]

    @settings(
        max_examples=most,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.one_of(*modes))
    def send(case: Case) -> None:
        status = answer_to(case, admin)
        seen.add(status)
        assert status < 500 or status == 503, case.as_curl_command()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NonInteractiveExampleWarning)
        send()
    return seen


def answer_to(case: Case, admin: Visitor) -> int:
    asked = case.as_transport_kwargs(base_url="http://127.0.0.1")
    headers = dict(asked.get("headers") or {}) | {"x-csrf-token": admin.csrf}
    form = case.media_type == "application/x-www-form-urlencoded" and isinstance(asked.get("data"), dict)
    request = requests.Request(
        asked["method"],
        asked["url"],
        params=asked.get("params"),
        data=asked.get("data") if form or asked.get("data") is not None else None,
        json=asked.get("json"),
        files=asked.get("files"),
    ).prepare()
    content = request.body.encode("utf-8", "surrogatepass") if isinstance(request.body, str) else request.body
    headers = {name: str(value) for name, value in (dict(request.headers) | headers).items()}
    return admin.client.request(request.method or "", request.url or "", content=content, headers=headers).status_code


def test_no_request_breaks_a_route(app: FastAPI) -> None:
    admin = visitor(app, "admin")
    statuses = {each.label: throw_at(each, admin, 4) for each in operations(app)}
    assert admin.get("/account").status_code == 200  # still there, and still let in
    assert not [label for label, seen in statuses.items() if seen <= {401, 403}]


@pytest.mark.long
def test_no_request_breaks_a_route_however_long_one_tries(app: FastAPI) -> None:
    admin = visitor(app, "admin")
    for each in operations(app):
        throw_at(each, admin, 60)


def test_what_is_left_out_is_there_and_has_its_own_tests(app: FastAPI) -> None:
    paths = {door.path for door in doors(app)}
    assert paths >= EXCLUDED
