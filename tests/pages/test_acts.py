"""No act stands that nobody wrote down: what is asked for is written before it is done, and how it ended after it."""

import asyncio
import logging
import os
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

import pytest
from backup_kit import make_station
from disk_kit import tiny_disk
from fastapi import APIRouter
from labels_kit import PRODUCT, id_of, picture
from pages_kit import PASSWORD, Visitor, let_in, visitor
from review_kit import pages_on, store_with
from starlette.responses import StreamingResponse
from starlette.types import Message
from station_kit import make_bundle, run_json

from cloud_sync.pages.acts import check_noted
from cloud_sync.pages.audit import AuditLog, Entry, NotNotedError, noting
from cloud_sync.pages.guard import Admin
from cloud_sync.pages.sending import Sending
from cloud_sync.pages.serving import Listen
from cloud_sync.pages.site import Rooms
from cloud_sync.pages.store import PagesStore
from edge.config import load_config
from edge.web.site import make_station_pages
from models.bundle_store import active_bundle

WHO = ("ada", "admin")


@pytest.fixture
def store(tmp_path: Path) -> PagesStore:
    return PagesStore(tmp_path / "pages.db")


@contextmanager
def refusing(store: PagesStore, table: str) -> Iterator[None]:
    """Meanwhile the database takes no new row of this table, as one on a disk that fails."""
    with store.transaction() as connection:
        connection.execute(
            f"CREATE TRIGGER fails BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'disk I/O error'); END"
        )
    try:
        yield
    finally:
        with store.transaction() as connection:
            connection.execute("DROP TRIGGER fails")


def newest(store: PagesStore) -> Entry:
    return AuditLog(store).newest(1)[0][1]


def test_an_act_is_open_while_it_is_done_and_its_outcome_stands_at_the_end(store: PagesStore) -> None:
    audit = AuditLog(store)
    with noting(audit, WHO, "127.0.0.1", "retrain", "cell") as act:
        assert newest(store).is_open
        act.subject = "cell: run 7"
    assert (newest(store).outcome, newest(store).subject) == ("ok", "cell: run 7")


def test_what_stood_against_an_act_is_its_outcome(store: PagesStore) -> None:
    with pytest.raises(ValueError, match="no such cell"), noting(AuditLog(store), WHO, "", "retrain", "cell"):
        raise ValueError("no such cell")
    assert newest(store).outcome == "no such cell"


def test_an_act_that_cannot_be_written_down_does_not_begin(store: PagesStore) -> None:
    done: list[str] = []
    act = noting(AuditLog(store), WHO, "", "retrain", "cell")
    with refusing(store, "audit"), pytest.raises(NotNotedError, match="nothing was done"), act:
        done.append("cell")
    assert done == []
    assert AuditLog(store).newest() == []


def test_a_full_disk_is_said_to_be_one(store: PagesStore) -> None:
    connection = sqlite3.connect(store.path)
    connection.execute("PRAGMA max_page_count = 1")
    with pytest.raises(sqlite3.OperationalError) as full:
        connection.execute("INSERT INTO audit VALUES (NULL, '', '', '', '', '', hex(zeroblob(1000000)), '')")
    connection.close()

    class FullLog(AuditLog):
        def begin(self, *_: object) -> int:
            raise full.value

    with pytest.raises(NotNotedError) as refused, noting(FullLog(store), WHO, "", "retrain", "cell"):
        pass
    assert refused.value.is_full


def test_on_a_disk_that_is_really_full_nothing_begins_and_that_is_said(tmp_path: Path) -> None:
    done: list[str] = []
    with tiny_disk(tmp_path / "disk", 1) as disk:
        store = PagesStore(disk / "pages.db")
        filler = os.open(disk / "filler", os.O_CREAT | os.O_WRONLY)
        with suppress(OSError):
            while os.write(filler, bytes(4096)):
                continue
        os.close(filler)
        act = noting(AuditLog(store), WHO, "", "retrain", "cell")
        with pytest.raises(NotNotedError, match=r"pages\.db is full .*make room") as refused, act:
            done.append("cell")
        assert (done, refused.value.is_full) == ([], True)
        (disk / "filler").unlink()
        with noting(AuditLog(store), WHO, "", "retrain", "cell"):
            pass
        assert newest(store).outcome == "ok"


def test_an_act_whose_outcome_cannot_be_written_stands_as_open(
    store: PagesStore, caplog: pytest.LogCaptureFixture
) -> None:
    act = noting(AuditLog(store), WHO, "", "retrain", "cell")
    with refusing(store, "outcomes"), caplog.at_level(logging.ERROR), act:
        pass
    assert newest(store).is_open
    assert "stays open, its outcome was 'ok'" in caplog.text


def test_lines_of_versions_before_keep_their_outcome(tmp_path: Path) -> None:
    old = sqlite3.connect(tmp_path / "pages.db")
    columns = "at TEXT NOT NULL, name TEXT NOT NULL, role TEXT NOT NULL, address TEXT NOT NULL"
    more = "action TEXT NOT NULL, subject TEXT NOT NULL, outcome TEXT NOT NULL"
    old.execute(f"CREATE TABLE audit (id INTEGER PRIMARY KEY, {columns}, {more}) STRICT")
    for outcome in ("ok", "it cannot be read"):
        values = ("2026-01-01T00:00:00.000+00:00", "ada", "admin", "", "rollback", "cells", outcome)
        old.execute("INSERT INTO audit VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)", values)
    old.commit()
    old.close()
    audit = AuditLog(PagesStore(tmp_path / "pages.db"))
    with noting(audit, WHO, "", "rollback", "cells"):
        pass
    assert [entry.outcome for _, entry in audit.newest()] == ["ok", "it cannot be read", "ok"]


@pytest.mark.parametrize("statement", ["UPDATE outcomes SET outcome = 'ok'", "DELETE FROM outcomes"])
def test_no_outcome_is_changed_or_forgotten(store: PagesStore, statement: str) -> None:
    with pytest.raises(ValueError, match="no"), noting(AuditLog(store), WHO, "", "rollback", "cells"):
        raise ValueError("no")
    with pytest.raises(sqlite3.IntegrityError, match="stays written"), store.transaction() as connection:
        connection.execute(statement)
    assert newest(store).outcome == "no"


def test_no_site_is_made_of_a_route_that_forgot_to_say_whether_it_is_noted() -> None:
    router = APIRouter()

    @router.post("/parts/scrap")
    def scrap(session: Admin) -> None: ...

    with pytest.raises(TypeError, match="/parts/scrap changes something"):
        check_noted([router])


class Place:
    """A station's pages over a bundle with two versions, and its audit log."""

    def __init__(self, folder: Path) -> None:
        made = make_station(folder / "station")
        self.root, self.config = made.bundles, made.config
        make_bundle(self.root, "blob", 2)
        self.app = make_station_pages(load_config(made.config), Listen())
        let_in(self.app)
        self.store = PagesStore(load_config(made.config).pages_path)
        self.admin = visitor(self.app, "admin")

    @property
    def active(self) -> str:
        return active_bundle(self.root, "blob").name


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_bundle_stays_the_active_one_where_the_audit_log_cannot_be_written(place: Place) -> None:
    with refusing(place.store, "audit"):
        answer = place.admin.post("/bundles/blob/1/activate", {"instead_of": 2})
    assert answer.status_code == 503
    assert "Nothing was done" in answer.text
    assert place.active == "v2"


def test_a_file_is_not_taken_where_the_audit_log_cannot_be_written(place: Place) -> None:
    headers = {"x-csrf-token": place.admin.csrf}
    with refusing(place.store, "audit"):
        answer = place.admin.client.post("/bundles/tray?name=a.bundle", content=b"whole", headers=headers)
    assert answer.status_code == 503
    assert "a.bundle" not in place.admin.get("/bundles").text


def test_what_was_done_stands_as_open_where_only_its_end_could_not_be_written(place: Place) -> None:
    with refusing(place.store, "outcomes"):
        answer = place.admin.post("/bundles/blob/1/activate", {"instead_of": 2})
    assert answer.status_code == 303
    assert place.active == "v1"
    page = place.admin.get("/audit").text
    assert "blob v1, in place of v2" in page
    assert "how it ended is not written" in page


def test_nobody_is_in_whose_login_cannot_be_written_down(place: Place) -> None:
    stranger = visitor(place.app)
    with refusing(place.store, "audit"):
        answer = stranger.client.post("/login", data={"name": "admin", "password": PASSWORD})
    assert answer.status_code == 503
    assert "set-cookie" not in answer.headers


def test_no_user_is_made_at_the_terminal_where_the_audit_log_cannot_be_written(place: Place) -> None:
    words = ["edge", "user", "remove", "operator", "-c", str(place.config), "--json"]
    with refusing(place.store, "audit"):
        code, said = run_json(words)
    assert code
    assert "nothing was done" in said["error"]
    assert ">operator<" in place.admin.get("/users").text
    assert run_json(words)[0] == 0
    assert (newest(place.store).action, newest(place.store).outcome) == ("user remove", "ok")


def test_the_cloud_settles_no_label_that_it_cannot_write_down(tmp_path: Path) -> None:
    store_with(tmp_path, [("novel",)])
    app, sample = pages_on(tmp_path), id_of(1)
    let_in(app)
    rooms: Rooms = app.state.rooms
    engineer: Visitor = visitor(app, "engineer")
    token = {"x-csrf-token": engineer.csrf}
    with refusing(PagesStore(rooms.site.database), "audit"):
        settled = engineer.post(f"/labels/{sample}/resolve", {"truth": "good", "seen": 0})
        new = {"page": "page-of-a-test", "sample": sample, "says": "defect", "name": "chip", "new_class": "chip"}
        said = engineer.client.post("/review/say", json=new, headers=token)
    assert (settled.status_code, said.status_code) == (503, 503)
    page = engineer.get(f"/labels/{sample}").text
    assert "stands" not in page
    assert "chip" not in page
    assert engineer.post(f"/labels/{sample}/resolve", {"truth": "good", "seen": 0}).status_code == 303
    assert "stands" in engineer.get(f"/labels/{sample}").text


def test_an_export_is_done_once_all_of_it_was_sent_and_what_ended_it_in_the_middle_is_noted(tmp_path: Path) -> None:
    store_with(tmp_path, [("novel",), ("novel",)])
    app = pages_on(tmp_path)
    let_in(app)
    rooms: Rooms = app.state.rooms
    engineer, store = visitor(app, "engineer"), PagesStore(rooms.site.database)
    address = f"/labels/files/export?product={PRODUCT}"
    assert engineer.get(address).status_code == 200
    assert (newest(store).action, newest(store).outcome) == ("export labels", "ok")
    last = sha256(picture(max((1, 2), key=id_of), 96, 64)).hexdigest()
    next((tmp_path / "cloud.blobs").rglob(last)).unlink()
    assert engineer.get(address).status_code == 200  # the first picture was on its way by then
    assert last in newest(store).outcome


def test_an_answer_that_its_reader_left_in_the_middle_is_not_noted_as_sent(store: PagesStore) -> None:
    audit, taken = AuditLog(store), asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"half"
        await asyncio.Event().wait()

    async def send(message: Message) -> None:
        if message.get("body"):
            taken.set()

    async def receive() -> Message:
        await taken.wait()
        return {"type": "http.disconnect"}

    with noting(audit, WHO, "", "export", "cell") as act:
        act.goes_on = True
    assert newest(store).is_open
    asyncio.run(Sending(StreamingResponse(pieces()), act, audit)({"type": "http"}, receive, send))
    assert newest(store).outcome == "broke off on its way: not all of it was sent"
