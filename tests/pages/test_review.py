"""The review queue and the labels, as the pages' addresses give and take them."""

import asyncio
import contextlib
import hashlib
import io
import json
import shutil
import tempfile
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from fastapi import FastAPI
from labels_kit import PRODUCT, id_of, picture, say
from pages_kit import Visitor, let_in, visitor
from review_kit import pages_on, store_with
from starlette.requests import ClientDisconnect
from stores import ask, engine

from cloud_sync.hub.labels.coco_export import PROPOSALS
from cloud_sync.hub.labels.truths import defect, good
from cloud_sync.hub.web import labels_files
from cloud_sync.hub.web.pictures import picture as made

PAGE = "0123456789abcdef"


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As it was before anybody labelled."""
    folder = tmp_path_factory.mktemp("first")
    store_with(folder, [("novel",), ("overruled",), ("audit",)])
    let_in(pages_on(folder))
    return folder


@pytest.fixture
def app(first: Path, tmp_path: Path) -> FastAPI:
    shutil.copytree(first, tmp_path, dirs_exist_ok=True)
    return pages_on(tmp_path, judged_twice=1.0)


def post(who: Visitor, path: str, content: dict[str, object]):  # noqa: ANN201 - httpx's answer
    return who.client.post(path, json=content, headers={"X-CSRF-Token": who.csrf})


def claimed(who: Visitor, page: str = PAGE, **more: object) -> list[dict[str, object]]:
    answer = post(who, "/review/claim", {"page": page, "product": PRODUCT, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()["samples"]  # type: ignore[no-any-return]


def labelled(who: Visitor, sample: str, says: str, name: str = "", **more: object):  # noqa: ANN201
    return post(who, "/review/say", {"page": PAGE, "sample": sample, "says": says, "name": name, **more})


def test_an_operator_is_given_samples_with_proposal_and_picture(app: FastAPI) -> None:
    operator = visitor(app, "operator")
    samples = claimed(operator)

    assert [each["id"] for each in samples] == [id_of(2), id_of(1), id_of(3)]
    assert samples[0]["as_proposed"] == {"says": "good", "name": "", "boxes": []}
    answer = operator.get(f"/pictures/{samples[0]['sha256']}?width=320")
    assert (answer.content, answer.headers["x-picture-size"]) == (picture(2, 96, 64), "96x64")
    assert "immutable" in answer.headers["cache-control"]
    assert operator.get("/review").status_code == 200


@pytest.mark.parametrize("side", ["null", "1e308", "-1e308"])  # as endless ones are kept, and as they were said
def test_a_box_that_a_station_puts_nowhere_stops_no_review_and_no_export(tmp_path: Path, side: str) -> None:
    place = store_with(tmp_path, [("novel",), ("novel",), ("novel",)])
    with engine(place).begin() as connection:
        content = f"UPDATE samples SET champion = replace(champion, '20.0', '{side}') WHERE seq = 3"  # noqa: S608 - our own words
        connection.exec_driver_sql(content)
        connection.exec_driver_sql("UPDATE samples SET champion = replace(champion, 'PASS', 'REJECT') WHERE seq = 3")
    pages = pages_on(tmp_path, kind="detector")
    let_in(pages)
    engineer = visitor(pages, "engineer")
    boxes = {each["id"]: each["proposals"]["champion"]["detections"] for each in claimed(engineer)}  # type: ignore[index]
    assert (boxes[id_of(3)], len(boxes[id_of(1)])) == ([], 1)
    assert engineer.get(f"/labels/{id_of(3)}").status_code == 200
    answer = engineer.get(f"/labels/files/export?product={PRODUCT}")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        proposed = json.loads(archive.read(PROPOSALS))
    assert (len(proposed["images"]), len(proposed["annotations"])) == (3, 2)


def test_a_label_is_written_with_the_persons_name_and_the_sample_is_gone(app: FastAPI, tmp_path: Path) -> None:
    operator, engineer = visitor(app, "operator"), visitor(app, "engineer")
    assert claimed(operator, most=1)[0]["id"] == id_of(2)
    assert [each["id"] for each in claimed(engineer, "f" * 16)] == [id_of(1), id_of(3)]
    assert labelled(operator, id_of(2), "defect", "dent").status_code == 200

    assert ask(str(tmp_path / "cloud.db"), "SELECT said_by, says, classes, source FROM labels") == [
        ("operator", "defect", "dent", "review")
    ]


def test_a_second_reviewer_is_told_nothing_of_the_first_word(app: FastAPI) -> None:
    operator, engineer = visitor(app, "operator"), visitor(app, "engineer")
    labelled(operator, id_of(2), "defect", "dent")
    again = next(each for each in claimed(engineer) if each["id"] == id_of(2))

    assert (again["said"], again["said_by"], again["seen"]) == (None, "", 0)
    assert "operator" not in engineer.get(f"/labels/{id_of(2)}").text
    assert labelled(engineer, id_of(2), "good").status_code == 200
    assert "disputed" in engineer.get(f"/labels?product={PRODUCT}&only=disputed").text
    assert engineer.get(f"/labels/{id_of(2)}").text.count("● ") == 2


def test_no_list_and_no_search_tells_the_first_word_before_the_second_is_given(app: FastAPI) -> None:
    people = {role: visitor(app, role) for role in ("operator", "engineer", "admin")}
    labelled(people["operator"], id_of(2), "defect", "dent")
    told = "<b>dent</b>"
    for role in ("engineer", "admin"):
        page = people[role].get(f"/labels?product={PRODUCT}").text
        assert "Waits for a second reviewer" in page
        assert told not in page
        for sought in ("name=dent", "name=good", "by=operator", "source=review"):
            assert id_of(2) not in people[role].get(f"/labels?product={PRODUCT}&{sought}").text, sought
    for sought in ("", "&name=dent", "&by=operator"):
        assert told in people["operator"].get(f"/labels?product={PRODUCT}{sought}").text, sought
    labelled(people["engineer"], id_of(2), "defect", "dent")
    for who in people.values():
        assert told in who.get(f"/labels?product={PRODUCT}&name=dent").text


def test_nobody_settles_a_sample_of_which_they_may_still_give_the_second_look(app: FastAPI) -> None:
    operator, engineer, sample = visitor(app, "operator"), visitor(app, "engineer"), id_of(2)
    labelled(operator, sample, "defect", "dent")
    refused = engineer.post(f"/labels/{sample}/resolve", {"truth": "class:scratch", "seen": 2**52})
    assert refused.status_code == 409
    assert "waits for a second reviewer" in refused.text
    assert "scratch" not in operator.get(f"/labels/{sample}").text
    labelled(engineer, sample, "defect", "scratch")
    assert engineer.post(f"/labels/{sample}/resolve", {"truth": "class:scratch", "seen": 2**52}).status_code == 303


def test_the_good_part_beside_is_none_that_waits_for_the_readers_second_look(app: FastAPI) -> None:
    operator, engineer = visitor(app, "operator"), visitor(app, "engineer")
    labelled(operator, id_of(1), "good")
    before = claimed(engineer, have=[id_of(1)])
    assert len(before) == 2
    assert not any(each["beside"] for each in before)
    labelled(engineer, id_of(1), "good")
    after = claimed(engineer)
    assert len(after) == 2
    assert all(each["beside"] for each in after)


def test_an_engineer_settles_what_two_say_differently_and_an_operator_does_not(app: FastAPI, tmp_path: Path) -> None:
    place = str(tmp_path / "cloud.db")
    say(place, id_of(1), good(), "ada")
    say(place, id_of(1), defect("dent"), "ben", 0)
    path, form = f"/labels/{id_of(1)}/resolve", {"truth": "class:scratch", "seen": 2}

    assert visitor(app, "operator").post(path, form).status_code == 403
    assert visitor(app, "engineer").post(path, form).status_code == 303
    assert ask(place, "SELECT conflict FROM samples WHERE label IS NOT NULL") == [(False,)]
    assert ask(place, "SELECT said_by, supersedes FROM labels WHERE classes = 'scratch'") == [("engineer", 2)]


@pytest.mark.parametrize(
    ("content", "status"),
    [
        pytest.param({"says": "defect", "name": "crack"}, 409, id="a class that nobody declared"),
        pytest.param({"says": "good", "name": "dent"}, 409, id="a good part with a class"),
        pytest.param({"says": "good", "sample": "f" * 32}, 409, id="no sample"),
        pytest.param({"says": "perfect"}, 422, id="no word of ours"),
        pytest.param({"says": "defect", "name": "a\0b"}, 422, id="what no database takes"),
        pytest.param(
            {"says": "boxes", "boxes": [{"name": "dent", "corners": [0, 0, 900, 9]}]}, 409, id="a box outside"
        ),
        pytest.param({"says": "boxes", "boxes": [{"name": "dent", "corners": [5, 5, 5, 9]}]}, 409, id="an empty box"),
        pytest.param(
            {"says": "defect", "name": "crack", "new_class": "crack"}, 409, id="a class that an engineer makes"
        ),
    ],
)
def test_what_cannot_be_a_label_is_refused_in_words(app: FastAPI, content: dict[str, object], status: int) -> None:
    operator = visitor(app, "operator")
    answer = post(operator, "/review/say", {"page": PAGE, "sample": id_of(1), **content})

    assert answer.status_code == status
    assert 'role="alert"' in answer.text


def test_boxes_and_a_new_class_are_taken_together(app: FastAPI, tmp_path: Path) -> None:
    box = {"name": "crack", "corners": [1, 2, 30.5, 40]}
    engineer = visitor(app, "engineer")
    wrong = {"page": PAGE, "sample": id_of(1), "says": "defect", "name": "a/b", "new_class": "a/b"}
    assert post(engineer, "/review/say", wrong).status_code == 409
    answer = labelled(engineer, id_of(1), "boxes", boxes=[box], new_class="crack")

    assert answer.status_code == 200, answer.text
    assert ask(str(tmp_path / "cloud.db"), "SELECT boxes FROM labels") == [('[["crack", 1.0, 2.0, 30.5, 40.0]]',)]


def test_skipped_is_given_to_others_and_released_to_all(app: FastAPI) -> None:
    operator, engineer = visitor(app, "operator"), visitor(app, "engineer")
    claimed(operator)
    assert post(operator, "/review/skip", {"page": PAGE, "samples": [id_of(2)]}).status_code == 200
    assert [each["id"] for each in claimed(engineer, "f" * 16)] == [id_of(2)]
    assert post(operator, "/review/release", {"page": PAGE}).status_code == 200
    assert [each["id"] for each in claimed(engineer, "f" * 16, have=[id_of(2)])] == [id_of(1), id_of(3)]


def test_only_pictures_of_samples_are_served_and_no_wider_than_asked(app: FastAPI, tmp_path: Path) -> None:
    operator = visitor(app, "operator")
    assert visitor(app).get(f"/pictures/{'0' * 64}").status_code == 303
    assert operator.get(f"/pictures/{'0' * 64}").status_code == 404
    assert operator.get("/pictures/passwd").status_code == 422
    wide = tmp_path / "wide"
    wide.mkdir()
    content = cv2.imencode(".png", np.zeros((500, 1000, 3), np.uint8))[1].tobytes()

    class One:
        def read(self, sha256: str, first: int, end: int) -> bytes:  # noqa: ARG002
            return content

    small, kind, size = made(One(), hashlib.sha256(content).hexdigest(), len(content), 320)  # type: ignore[arg-type]
    decoded = cv2.imdecode(np.frombuffer(small, np.uint8), cv2.IMREAD_COLOR)
    assert (decoded.shape[:2], kind, size) == ((160, 320), "image/jpeg", (1000, 500))


def test_labels_go_out_as_coco_and_come_back_in(app: FastAPI, tmp_path: Path) -> None:
    engineer = visitor(app, "engineer")
    say(str(tmp_path / "cloud.db"), id_of(1), defect("dent"), "ada")
    answer = engineer.get(f"/labels/files/export?product={PRODUCT}")
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        content = json.loads(archive.read("annotations/instances_default.json"))
        assert len([name for name in archive.namelist() if name.startswith("images/")]) == 3
    category = next(each["id"] for each in content["categories"] if each["name"] == "scratch")
    content["annotations"] = [{"id": 1, "image_id": 2, "category_id": category, "bbox": []}]
    path, headers = f"/labels/files/import?product={PRODUCT}", {"X-CSRF-Token": engineer.csrf}

    first = engineer.client.post(path, content=json.dumps(content), headers=headers)
    again = engineer.client.post(path, content=json.dumps(content), headers=headers)
    assert (first.json()["added"], again.json()["again"]) == (1, True)
    assert visitor(app, "operator").client.post(path, content=b"{}").status_code == 403
    assert visitor(app, "operator").get(f"/labels/files/export?product={PRODUCT}").status_code == 403
    assert engineer.client.post(path, content=b"no json", headers=headers).status_code == 409


def test_a_name_that_no_file_can_have_is_refused_in_words(app: FastAPI) -> None:
    engineer = visitor(app, "engineer")
    content = r'{"images": [{"id": 1, "file_name": "\ud800.png"}], "annotations": [], "categories": []}'
    path, headers = f"/labels/files/import?product={PRODUCT}", {"X-CSRF-Token": engineer.csrf}
    assert engineer.client.post(path, content=content, headers=headers).status_code == 409


def test_an_export_that_nobody_waited_for_leaves_no_file(
    app: FastAPI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever closes the page while the export is laid out is gone before the first byte."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    engineer = visitor(app, "engineer")
    cookie = "; ".join(f"{each.name}={each.value}" for each in engineer.client.cookies.jar)
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/labels/files/export",
        "query_string": f"product={PRODUCT}".encode(),
        "headers": [(b"host", b"127.0.0.1"), (b"cookie", cookie.encode())],
        "client": ("127.0.0.1", 1),
    }

    async def receive() -> dict[str, object]:
        return {"type": "http.disconnect"}

    async def send(_: object) -> None:
        raise OSError("they are gone")

    with contextlib.suppress(OSError, ClientDisconnect):
        asyncio.run(app(scope, receive, send))  # type: ignore[arg-type]
    assert list((tmp_path / "temporary").iterdir()) == []


def test_an_upload_that_is_too_large_is_refused_while_it_comes(app: FastAPI) -> None:
    engineer = visitor(app, "engineer")
    pieces = (b" " * (1 << 20) for _ in range((labels_files.UPLOAD_LIMIT_BYTES >> 20) + 1))
    answer = engineer.client.post(
        f"/labels/files/import?product={PRODUCT}", content=pieces, headers={"X-CSRF-Token": engineer.csrf}
    )
    assert answer.status_code == 413


def test_the_labels_are_counted_and_paged(app: FastAPI, tmp_path: Path) -> None:
    for number in (1, 2):
        say(str(tmp_path / "cloud.db"), id_of(number), defect("dent"), "ada")
    operator = visitor(app, "operator")

    assert '<td class="number">2</td>' in operator.get(f"/labels/counts?product={PRODUCT}").text
    assert operator.get(f"/labels?product={PRODUCT}&name=dent&by=ada").text.count('href="/labels/') == 2
    assert operator.get(f"/labels?product={PRODUCT}&name=good").text.count('href="/labels/') == 0
    assert operator.get(f"/labels?product={PRODUCT}&before=2").text.count('href="/labels/') == 1
    assert operator.get(f"/labels/{'f' * 32}").status_code == 404
