"""What the pages answer to somebody who means harm: forms of other sites, other hosts, ways out, ways in, too much."""

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from pages_kit import TOKEN, Visitor, let_in, visitor
from sites_kit import SITES, doors, make_site
from starlette.testclient import TestClient
from station_kit import Station

from cloud_sync.pages.bodies import FORM_BYTES
from cloud_sync.pages.guard import Operator
from cloud_sync.pages.headers import HEADERS
from cloud_sync.pages.serving import Listen
from cloud_sync.pages.site import Rooms
from cloud_sync.pages.store import PagesStore
from cloud_sync.pages.tries import PER_NAME_AND_ADDRESS
from edge.config import load_config
from edge.web.site import make_station_pages


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    folder = tmp_path_factory.mktemp("doors") / "station"
    found = make_station_pages(load_config(Station(folder).write_config()), Listen())
    let_in(found)

    @found.get("/breaks")
    def breaks(session: Operator) -> None:  # noqa: ARG001 - the guard
        raise ZeroDivisionError("nobody expected this <b>")

    return found


@pytest.fixture(scope="module")
def admin(app: FastAPI) -> Visitor:
    return visitor(app, "admin")


@pytest.fixture(scope="module")
def operator(app: FastAPI) -> Visitor:
    return visitor(app, "operator")


LOOKS = {"language": "en", "theme": "dark"}


@pytest.mark.parametrize(
    ("data", "headers"),
    [
        pytest.param({}, {}, id="none"),
        pytest.param({"csrf": ""}, {}, id="empty"),
        pytest.param({"csrf": "guessed"}, {}, id="wrong"),
        pytest.param({"csrf": "ü\ufffd"}, {}, id="not even ASCII"),
        pytest.param({}, {"X-CSRF-Token": "guessed"}, id="wrong by header"),
    ],
)
def test_a_form_without_the_sessions_token_changes_nothing(
    operator: Visitor, data: dict[str, str], headers: dict[str, str]
) -> None:
    answer = operator.client.post("/account/looks", data=LOOKS | data, headers=headers)
    assert answer.status_code == 403
    assert 'data-theme="auto"' in operator.get("/account").text


def test_the_token_of_another_session_opens_nothing(operator: Visitor, admin: Visitor) -> None:
    assert operator.client.post("/account/looks", data=LOOKS | {"csrf": admin.csrf}).status_code == 403


def test_another_body_is_no_way_around_the_token(operator: Visitor) -> None:
    for body, kind in (
        (json.dumps(LOOKS | {"csrf": operator.csrf}), "application/json"),
        (f"csrf={operator.csrf}&language=en&theme=dark", "text/plain"),
        (f"csrf={operator.csrf}&language=en&theme=dark", ""),
    ):
        answer = operator.client.post("/account/looks", content=body, headers={"content-type": kind})
        assert answer.status_code in {403, 422}, kind
    assert 'data-theme="auto"' in operator.get("/account").text
    parts = {name: (None, value) for name, value in LOOKS.items()}
    file = parts | {"csrf": ("csrf.txt", operator.csrf)}
    assert operator.client.post("/account/looks", files=file).status_code == 403
    assert operator.client.post("/account/looks", files=parts | {"csrf": (None, "guessed")}).status_code == 403
    assert operator.client.post("/account/looks", files=parts | {"csrf": (None, operator.csrf)}).status_code == 303


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"origin": "http://evil.example"}, id="another site"),
        pytest.param({"origin": "http://127.0.0.1:9000"}, id="another port"),
        pytest.param({"origin": "https://127.0.0.1"}, id="another scheme"),
        pytest.param({"origin": "http://127.0.0.1.evil.example"}, id="a longer name"),
        pytest.param({"origin": "null"}, id="a sandbox"),
        pytest.param({"origin": ""}, id="empty"),
        pytest.param({"sec-fetch-site": "cross-site"}, id="cross site by fetch metadata"),
        pytest.param({"sec-fetch-site": "same-site"}, id="same site by fetch metadata"),
    ],
)
def test_a_form_of_another_site_is_refused_even_with_the_token(operator: Visitor, headers: dict[str, str]) -> None:
    assert operator.post("/account/looks", LOOKS, headers=headers).status_code == 403
    assert operator.client.post("/login", data={"name": "eve", "password": "x"}, headers=headers).status_code == 403


@pytest.mark.parametrize(
    "host",
    [
        pytest.param("evil.example", id="a name that was pointed here"),
        pytest.param("evil.example:8080", id="with a port"),
        pytest.param("127.0.0.1.evil.example", id="a longer name"),
        pytest.param("127.0.0.1@evil.example", id="a user's name"),
        pytest.param("evil.example@127.0.0.1", id="a host as a user's name"),
        pytest.param("0.0.0.0", id="any address"),  # noqa: S104 - asked for, not listened at
        pytest.param("[::1", id="half an address"),
        pytest.param("", id="none"),
    ],
)
def test_who_asks_for_another_host_learns_nothing(app: FastAPI, host: str) -> None:
    answer = visitor(app).get("/login", headers={"host": host})
    assert answer.status_code == 421
    assert "password" not in answer.text


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8080", "LOCALHOST", "[::1]", "[::1]:8080"])
def test_this_machine_is_asked_by_each_of_its_names(app: FastAPI, host: str) -> None:
    assert visitor(app).get("/login", headers={"host": host}).status_code == 200


def test_by_a_name_of_the_configuration_and_by_no_wildcard(tmp_path: Path) -> None:
    listen = Listen("0.0.0.0", 1, tmp_path / "c", tmp_path / "k", ("press-4.plant",))  # noqa: S104
    assert listen.hosts == {"127.0.0.1", "localhost", "::1", "press-4.plant"}


def test_every_answer_carries_the_headers_and_no_page_is_kept(app: FastAPI, operator: Visitor) -> None:
    stranger = visitor(app)
    answers = [
        *(stranger.get(path) for path in ("/login", "/", "/nowhere", "/static/keys.js", "/static/nothing")),
        *(operator.get(path) for path in ("/", "/account", "/audit", "/breaks", "/account/looks")),
        stranger.client.post("/logout"),
        stranger.client.post("/login", data={}),
        stranger.client.post("/login", content=b"x" * (FORM_BYTES + 1)),
        stranger.client.request("BREW", "/login"),
        stranger.client.head("/login"),
        stranger.get("/login", headers={"host": "evil.example"}),
        stranger.client.post("/login", data={}, headers={"origin": "null"}),
        operator.get("/", headers={"hx-request": "true"}),
    ]
    assert {answer.status_code for answer in answers} >= {200, 303, 401, 403, 404, 405, 413, 421, 422, 500}
    for answer in answers:
        assert {name: answer.headers.get(name) for name in HEADERS} == dict(HEADERS), answer.request.url
        assert "server" not in answer.headers
        is_file = answer.request.url.path == "/static/keys.js"
        assert answer.headers["cache-control"] == ("public, max-age=31536000, immutable" if is_file else "no-store"), (
            answer.request.url
        )


def test_nothing_from_elsewhere_and_nothing_inline_is_run() -> None:
    policy = HEADERS["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "*" not in policy
    for part in ("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"):
        assert part in policy


def test_an_unexpected_fault_is_a_page_with_a_number_and_the_log_has_the_rest(
    operator: Visitor, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        answer = operator.get("/breaks")
    assert answer.status_code == 500
    assert "ZeroDivision" not in answer.text
    record = next(each for each in caplog.records if each.name == "cloud_sync.pages.faults")
    number = record.args[0] if isinstance(record.args, tuple) else None
    assert f"the number {number}" in answer.text
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError


def test_a_part_of_a_page_gets_a_part_for_an_error(operator: Visitor) -> None:
    answer = operator.get("/nowhere", headers={"hx-request": "true"})
    assert answer.status_code == 404
    assert "<html" not in answer.text


def test_a_database_of_the_pages_that_is_gone_is_said_and_no_second_fault(tmp_path: Path) -> None:
    config = load_config(Station(tmp_path / "station").write_config())
    app = make_station_pages(config, Listen())
    config.pages_path.write_bytes(b"no database" * 1000)
    for leftover in config.pages_path.parent.glob("pages.db-*"):
        leftover.unlink()
    rooms: Rooms = app.state.rooms
    answer = visitor(app).get("/account", headers={"cookie": f"{rooms.site.cookie}=x"})
    assert answer.status_code == 503
    assert "not a database" in answer.text


@pytest.mark.parametrize(
    ("asked", "goes"),
    [
        pytest.param("/audit?before=7", "/audit?before=7", id="a path of ours"),
        pytest.param("https://evil.example/", "/", id="another site"),
        pytest.param("//evil.example/", "/", id="without a scheme"),
        pytest.param("/\\evil.example/", "/", id="a backslash"),
        pytest.param("/\t/evil.example/", "/", id="a tab, which browsers drop"),
        pytest.param("/\n/evil.example/", "/", id="a line feed, which browsers drop"),
        pytest.param("javascript:alert(1)", "/", id="a script"),
        pytest.param("", "/", id="nothing"),
        pytest.param("/login?next=/", "/", id="round and round"),
        pytest.param("/" + "x" * 5000, "/", id="without end"),
    ],
)
def test_after_a_login_one_stays_here(operator: Visitor, asked: str, goes: str) -> None:
    assert operator.get("/login", params={"next": asked}).headers["location"] == goes


def test_the_form_carries_no_other_site_on(app: FastAPI) -> None:
    text = visitor(app).get("/login", params={"next": "//evil.example"}).text
    assert "evil" not in text


@pytest.mark.parametrize("root", ["/static/", "/static/own/"])
@pytest.mark.parametrize(
    "path",
    [
        "../templates/login.html",
        "..%2ftemplates%2flogin.html",
        "%2e%2e/%2e%2e/store.py",
        "....//....//store.py",
        "..%5cstore.py",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "keys.js%00.css",
        "",
    ],
)
def test_no_file_outside_static_is_served(app: FastAPI, root: str, path: str) -> None:
    assert visitor(app).get(root + path).status_code == 404


def chunks(size_bytes: int) -> Iterator[bytes]:
    for _ in range(size_bytes // 65536):
        yield b"x" * 65536


def test_a_form_is_small_whether_it_says_its_size_or_not(app: FastAPI, operator: Visitor) -> None:
    for client in (visitor(app).client, operator.client):
        for path in ("/login", "/account/looks", "/nowhere"):
            assert client.post(path, content=b"x" * (FORM_BYTES + 1)).status_code == 413
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert operator.client.post("/login", content=chunks(2 * FORM_BYTES), headers=form).status_code == 413


@pytest.mark.parametrize("kind", SITES)
def test_a_declared_upload_is_larger_from_who_is_logged_in_alone(kind: str, tmp_path: Path) -> None:
    app = make_site(kind, tmp_path)
    let_in(app)
    rooms: Rooms = app.state.rooms
    engineer, stranger = visitor(app, "engineer"), visitor(app)
    assert set(rooms.site.uploads) <= {door.path for door in doors(app) if door.method == "POST"}
    assert rooms.site.uploads
    for path, most in rooms.site.uploads.items():
        asked = re.sub(r"\{[^}]*\}", "blob", path)
        large, head = b"x" * (FORM_BYTES + 1), {"x-csrf-token": engineer.csrf}
        assert engineer.client.post(asked, content=large, headers=head).status_code != 413, path
        assert stranger.client.post(asked, content=large).status_code == 413, path
        head["content-length"] = str(most + 1)
        assert engineer.client.post(asked, content=b"", headers=head).status_code == 413, path


def test_the_cookies_are_for_no_script_and_no_other_site(app: FastAPI) -> None:
    answer = visitor(app).client.post("/login", data={"name": "engineer", "password": "as-long-as-it-takes"})
    cookies = answer.headers.get_list("set-cookie")
    assert len(cookies) == 2
    for cookie in cookies:
        assert {"httponly", "samesite=strict", "path=/"} <= {part.strip().lower() for part in cookie.split(";")}
        assert "domain" not in cookie.lower()


def test_over_tls_the_cookies_are_of_this_host_and_never_in_the_clear(tmp_path: Path) -> None:
    listen = Listen("127.0.0.1", 1, tmp_path / "c", tmp_path / "k")
    app = make_station_pages(load_config(Station(tmp_path / "station").write_config()), listen)
    let_in(app)
    client = TestClient(app, base_url="https://127.0.0.1", follow_redirects=False)
    answer = client.post("/login", data={"name": "engineer", "password": "as-long-as-it-takes"})
    for cookie in answer.headers.get_list("set-cookie"):
        assert cookie.startswith("__Host-inspectd-station-")
        assert "secure" in {part.strip().lower() for part in cookie.split(";")}
    assert answer.headers["strict-transport-security"]
    assert client.get("/account").status_code == 200


def test_sites_on_one_host_keep_their_sessions_apart(tmp_path: Path) -> None:
    names = []
    for place in ("one", "two"):
        app = make_station_pages(load_config(Station(tmp_path / place).write_config()), Listen())
        names.append(app.state.rooms.site.cookie)
    assert names[0] != names[1]


def test_a_password_that_changed_ends_every_session(tmp_path: Path) -> None:
    app = make_station_pages(load_config(Station(tmp_path / "station").write_config()), Listen())
    let_in(app)
    here, there = visitor(app, "operator"), visitor(app, "operator")
    wrong = here.post("/account/password", {"old": "not-this-one-at-all", "new": "another-one-for-it"})
    assert wrong.status_code == 400
    assert here.get("/account").status_code == 200
    done = here.post("/account/password", {"old": "as-long-as-it-takes", "new": "another-one-for-it"})
    assert done.headers["location"] == "/login"
    assert [each.get("/account").status_code for each in (here, there)] == [303, 303]


def test_somebody_who_logs_out_is_out_with_the_cookie_too(app: FastAPI) -> None:
    here = visitor(app, "engineer")
    cookie = "; ".join(f"{name}={value}" for name, value in here.client.cookies.items())
    assert here.post("/logout").status_code == 303
    assert visitor(app).get("/account", headers={"cookie": cookie}).status_code == 303


@pytest.mark.long
def test_too_many_tries_are_said_and_a_known_browser_still_gets_in(tmp_path: Path) -> None:
    app = make_station_pages(load_config(Station(tmp_path / "station").write_config()), Listen())
    let_in(app)
    known, stranger = visitor(app, "admin"), visitor(app)
    wrong = {"name": "admin", "password": "x"}
    said = [stranger.client.post("/login", data=wrong).text for _ in range(PER_NAME_AND_ADDRESS + 1)]
    assert "Name or password is wrong" in said[0]
    assert "Too many wrong tries" in said[-1]
    known.post("/logout")
    again = known.client.post("/login", data={"name": "admin", "password": "as-long-as-it-takes"})
    assert again.status_code == 303
    page = known.get("/audit").text
    assert TOKEN.search(page)
    assert page.count("Name or password is wrong.") == PER_NAME_AND_ADDRESS


def test_what_somebody_typed_is_shown_as_text(admin: Visitor) -> None:
    text = admin.post("/users/%3Cscript%3Ealert(1)/remove").text
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text


def test_a_token_that_is_no_text_is_none(operator: Visitor) -> None:
    body = '--x\r\nContent-Disposition: form-data; name="csrf"\r\n\r\n\\ud800\r\n--x--\r\n'
    kind = "multipart/form-data; boundary=x; charset=unicode_escape"
    assert operator.client.post("/logout", content=body, headers={"content-type": kind}).status_code == 403


@pytest.mark.parametrize(
    ("path", "headers", "is_use"),
    [
        pytest.param("/account", {}, True, id="a page"),
        pytest.param("/bundles/standing", {"HX-Request": "true"}, True, id="a part that somebody clicked for"),
        pytest.param("/bundles/standing", {"X-By-Itself": "yes"}, False, id="a part that asks anew by itself"),
        pytest.param(f"/live/picture/{'0' * 64}", {"Sec-Fetch-Dest": "image"}, False, id="a picture in a page"),
    ],
)
def test_what_a_page_asks_for_by_itself_keeps_no_engineer_logged_in(
    app: FastAPI, path: str, headers: dict[str, str], *, is_use: bool
) -> None:
    engineer = visitor(app, "engineer")
    rooms: Rooms = app.state.rooms
    with PagesStore(rooms.site.database).transaction() as connection:
        connection.execute("UPDATE sessions SET seen_s = seen_s - 600 WHERE name = 'engineer'")
    before = seen_of(rooms)
    engineer.get(path, headers=headers)
    assert (max(seen_of(rooms)) > max(before)) is is_use


def seen_of(rooms: Rooms) -> list[float]:
    """When the engineer's sessions were used last."""
    with PagesStore(rooms.site.database).transaction() as connection:
        return [row[0] for row in connection.execute("SELECT seen_s FROM sessions WHERE name = 'engineer'")]
