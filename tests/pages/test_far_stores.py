"""The cloud's pages as a large site has them: a process of its own, the store on PostgreSQL, the pictures on S3."""

import hashlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
import s3_emulator
from brokers import eventually
from fleet_kit import RELEASE, RUN, drifts, rollout, run, station
from labels_kit import PRODUCT, declare, feedback, have_file, id_of, images, inspection, picture, receive, sample, say
from pages_kit import MISSING, chromium, enter, let_in
from postgres_kit import Postgres, running
from retraining_kit import write_cloud
from sites_kit import doors
from stores import ask
from web_process import Person, WebProcess, web_process

from cloud_sync.hub.files.blobs import Blobs, open_blobs
from cloud_sync.hub.labels.projecting import catch_up
from cloud_sync.hub.labels.truths import defect, good
from cloud_sync.hub.retraining.cloud_toml import load_config
from cloud_sync.hub.store.writing import StoreWriter
from cloud_sync.hub.web.site import make_fleet_pages
from cloud_sync.pages.serving import Listen
from cloud_sync.wire.broker import free_port

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]
SAMPLES = 6
REPORT = b"<!doctype html><title>the proof</title>"
NO_STORE, NO_PICTURES = "database does not answer", "store does not give"
ENGLISH = {"accept-language": "en"}


class S3:
    """The bucket's server, a process that is killed and begun again at the same place."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder, self._port = folder, free_port()

    @property
    def url(self) -> str:
        return f"s3://bucket/pictures?endpoint=http://127.0.0.1:{self._port}&region=eu-central-1"

    def start(self) -> None:
        command = [sys.executable, s3_emulator.__file__, str(self._folder), str(self._port)]
        self._process = subprocess.Popen(command)
        eventually(self._is_here, 20)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait(10)

    def _is_here(self) -> bool:
        with socket.socket() as asked:
            return asked.connect_ex(("127.0.0.1", self._port)) == 0


@dataclass
class Far:
    """All of it."""

    place: str
    config: Path
    postgres: Postgres
    s3: S3
    web: WebProcess
    pictures: dict[str, bytes]
    admin: Person
    paths: list[str]


def filled(place: str, blobs: Blobs) -> dict[str, bytes]:
    """Samples with their pictures, labels of two people, a run with its report, a rollout, stations; the pictures."""
    now_ms, found = time.time_ns() // 1_000_000, {}
    for number in range(1, SAMPLES + 1):
        content = picture(number, 400, 300)
        receive(place, inspection(number), sample(number, number), images(number, {"top": content}))
        found[have_file(place, blobs, content, number)] = content  # type: ignore[arg-type]
    receive(place, feedback(9, 2, "PASS"))
    catch_up(place)
    declare(place, "scratch", "dent")
    say(place, id_of(1), good())
    say(place, id_of(2), good(), "Ada", seen=0)
    say(place, id_of(2), defect("dent"), "Bo", seen=0)
    station(place, "press-1", now_ms, judged=(90, 8, 2))
    drifts(place, "press-1")
    digest = hashlib.sha256(REPORT).hexdigest()
    blobs.put(digest, BytesIO(REPORT))
    run(place, now_ms, report_sha256=digest, product="cells")
    rollout(place, now_ms, ("press-1", "press-2"))
    return found


def walked(config: Path, digest: str) -> list[str]:
    """The address of every page, with what it asks for."""
    values = {"station": "press-1", "sample": id_of(1), "run": RUN, "release": RELEASE, "sha256": digest}
    queries = {"/labels/counts": f"?product={PRODUCT}", "/labels/files/export": f"?product={PRODUCT}"}
    app = make_fleet_pages(load_config(config), Listen())
    let_in(app)
    own = [door.path for door in doors(app) if door.method == "GET" and "golden" not in door.path]
    return [path.format(**values) + queries.get(path, "") for path in own]


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Far]:
    folder = tmp_path_factory.mktemp("far")
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        server = running()
        postgres = next(server)
        stack.callback(server.close)
        s3 = S3(folder / "s3")
        s3.start()
        stack.callback(s3.stop)
        place = postgres.new_database()
        StoreWriter(place).close()
        pictures = filled(place, open_blobs(s3.url))
        config = write_cloud(folder, place)
        text = config.read_text().replace(f'blobs = "{folder}/blobs"', f'blobs = "{s3.url}"')
        config.write_text(f'{text}\n[[product]]\nid = "{PRODUCT}"\nbundle = "cell"\nkind = "classifier"\n')
        paths = walked(config, next(iter(pictures)))
        web = stack.enter_context(web_process(config))
        yield Far(place, config, postgres, s3, web, pictures, web.person("admin"), paths)


def statuses(far: Far, only: tuple[str, ...] = ()) -> dict[str, int]:
    """How each page answers."""
    return {path: far.admin.get(path).status_code for path in far.paths if not only or path in only}


def test_every_page_comes_and_says_what_is_there(far: Far) -> None:
    found = statuses(far)
    assert {path: status for path, status in found.items() if status >= 400} == {}
    assert len(found) > 20
    says = {
        "/": ["press-1", "cells top focus"],
        "/stations/press-1": ["90.0 %", RELEASE],
        "/review": [PRODUCT, "scratch"],
        f"/labels?product={PRODUCT}": ["Ada", "dent"],
        f"/labels/counts?product={PRODUCT}": ["dent"],
        f"/labels/{id_of(2)}": ["Ada", "Bo", 'viewBox="0 0 400 300"'],
        "/runs": [RUN],
        f"/runs/{RUN}": ["4 / 30"],
        "/rollouts": [RELEASE],
        f"/rollouts/{RELEASE}": ["4 of 30 judged otherwise"],
        "/triggers": [PRODUCT, "2 of 50 new labels"],
        "/health": ["timestamp"],
    }
    for path, words in says.items():
        text = far.admin.get(path, headers=ENGLISH).text
        assert [word for word in words if word not in text] == [], path
    assert far.admin.get(f"/runs/{RUN}/report").content == REPORT


def test_pictures_come_to_the_byte_and_no_wider_than_asked_for(far: Far) -> None:
    for digest, content in far.pictures.items():
        assert far.admin.get(f"/pictures/{digest}").content == content
    small = far.admin.get(f"/pictures/{digest}?width=320")
    assert small.headers["x-picture-size"] == "400x300"
    assert cv2.imdecode(np.frombuffer(small.content, np.uint8), cv2.IMREAD_COLOR).shape[1] == 320


def test_a_sample_is_claimed_judged_and_settled(far: Far) -> None:
    page = {"page": "0123456789abcdef"}
    claimed = far.admin.say("/review/claim", {**page, "product": PRODUCT}).json()
    assert {one["id"] for one in claimed["samples"]} == {id_of(number) for number in range(3, SAMPLES + 1)}
    first = claimed["samples"][0]["id"]
    assert far.admin.say("/review/say", {**page, "sample": first, "says": "defect", "name": "dent"}).status_code == 200
    rest = [one["id"] for one in claimed["samples"][1:]]
    assert far.admin.say("/review/skip", {**page, "samples": rest[:1]}).json() == {"skipped": 1}
    assert far.admin.say("/review/release", page).status_code == 200
    assert (first, "dent", "admin") in ask(far.place, "SELECT sample, classes, said_by FROM labels")
    disputed = f"/labels?product={PRODUCT}&only=disputed"
    assert id_of(2) in far.admin.get(disputed).text
    seen = max(row[0] for row in ask(far.place, f"SELECT seq FROM labels WHERE sample = '{id_of(2)}'"))  # noqa: S608
    assert far.admin.post(f"/labels/{id_of(2)}/resolve", {"truth": "class:dent", "seen": seen}).status_code == 303
    assert id_of(2) not in far.admin.get(disputed).text
    assert "3 of 50 new labels" in far.admin.get("/triggers", headers=ENGLISH).text


def test_a_rollout_is_stopped_and_a_training_asked_for_and_ended(far: Far) -> None:
    assert far.admin.post(f"/rollouts/{RELEASE}/stop", {"why": "scratches pass"}).status_code == 303
    assert ask(far.place, "SELECT state, why FROM rollouts") == [("stopped", "admin stopped it: scratches pass")]
    assert far.admin.post(f"/rollouts/{RELEASE}/resume").status_code == 303
    begun = far.admin.post("/runs", {"product": PRODUCT})
    assert begun.status_code == 303, begun.text
    assert far.admin.post(f"{begun.headers['location']}/end", {"why": "enough"}).status_code == 303
    assert ("ended", "ended by admin: enough") in ask(far.place, "SELECT result, reason FROM retraining_runs")


def test_while_the_pictures_are_away_all_else_is_there_and_it_is_said(far: Far) -> None:
    digest = next(iter(far.pictures))
    far.s3.stop()
    try:
        for path in (f"/pictures/{digest}", f"/runs/{RUN}/report"):
            gone = far.admin.get(path, headers=ENGLISH)
            assert (gone.status_code, NO_PICTURES in gone.text) == (503, True), path
        shown = far.admin.get(f"/labels/{id_of(2)}", headers=ENGLISH)
        assert (shown.status_code, NO_PICTURES in shown.text, "Bo" in shown.text) == (200, True, True)
        others = tuple(
            path for path in far.paths if not path.startswith(("/pictures", "/labels/files", f"/runs/{RUN}/r"))
        )
        assert {path: status for path, status in statuses(far, others).items() if status >= 400} == {}
        assert far.admin.say("/review/claim", {"page": "0123456789abcdef", "product": PRODUCT}).status_code == 200
    finally:
        far.s3.start()
    eventually(lambda: far.admin.get(f"/pictures/{digest}").content == far.pictures[digest], 20)
    assert "Traceback" not in far.web.log()


def test_while_the_database_is_away_pages_say_so_and_come_back_by_themselves(far: Far) -> None:
    own = ("/account", "/users", "/audit", "/login")
    store = tuple(path for path in far.paths if path not in own)
    assert far.admin.get("/").status_code == 200
    far.postgres.stop("immediate")
    try:
        for path in store:
            gone = far.admin.get(path, headers=ENGLISH)
            assert (gone.status_code, NO_STORE in gone.text, "again.js" in gone.text) == (503, True, True), path
            assert "Traceback" not in gone.text
        for path in own:
            assert far.admin.get(path).status_code < 400, path
        said = far.admin.say("/review/say", {"page": "0123456789abcdef", "sample": id_of(4), "says": "good"})
        assert said.status_code == 503
        part = far.admin.get("/", headers={**ENGLISH, "hx-request": "true"})
        assert (part.status_code, NO_STORE in part.text, "<html" in part.text) == (503, True, False)
    finally:
        far.postgres.start()
    assert {path: status for path, status in statuses(far).items() if status >= 400} == {}
    assert (
        far.admin.say("/review/say", {"page": "0123456789abcdef", "sample": id_of(4), "says": "good"}).status_code
        == 200
    )
    assert "Traceback" not in far.web.log()


def test_a_restart_of_the_database_between_two_looks_is_noticed_by_nobody(far: Far) -> None:
    assert far.admin.get("/").status_code == 200
    far.postgres.stop("immediate")
    far.postgres.start()
    assert far.admin.get("/").status_code == 200
    assert far.admin.say("/review/claim", {"page": "0123456789abcdef", "product": PRODUCT}).status_code == 200


@pytest.mark.skipif(bool(MISSING), reason=MISSING)
def test_a_page_that_stands_open_says_what_is_away_and_is_itself_again_without_a_hand(far: Far) -> None:
    with chromium() as browser:
        watched = enter(browser, far.web.address, "operator")
        other = watched.context.new_page()
        far.postgres.stop("immediate")
        try:
            other.goto(f"{far.web.address}runs")
            assert NO_STORE in other.inner_text("main")
            watched.wait_for_function("() => document.getElementById('errors').innerText !== ''", timeout=40_000)
            assert NO_STORE in watched.inner_text("#errors")
            assert "press-1" in watched.inner_text("#board")
        finally:
            far.postgres.start()
        other.wait_for_selector(f"#r-{RUN}", timeout=40_000)
        watched.wait_for_function("() => document.getElementById('errors').innerText === ''", timeout=40_000)
