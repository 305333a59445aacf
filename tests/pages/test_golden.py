"""Beside a sample lies what its station holds up as a good part, and nothing else of the station's kit is served."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
from fastapi import FastAPI
from kits_kit import send_kit
from labels_kit import PRODUCT, blobs_of, id_of, picture, say
from masters_kit import masters_station
from outboxes import STATION
from pages_kit import MISSING, Visitor, check_quiet, chromium, enter, let_in, served, visitor
from review_kit import pages_on, store_with
from stores import engine

from cloud_sync.hub.files.blobs import FolderBlobs
from cloud_sync.hub.labels.golden import Golden, Seen, golden_of
from cloud_sync.hub.labels.truths import good
from edge.backup.contents import gather
from edge.config import load_config
from edge.masters.store import MasterStore

TOML = f"[station]\nid = '{STATION}'\ndata_dir = 'var'\n[[product]]\nid = '{PRODUCT}'\nbundle = 'cells'\n".encode()
NAMES = TOML + b"reference = '%s'\n"
REFERENCE, MASTER, BAD, SIDE = (picture(seed, 96, 64) for seed in (901, 902, 903, 904))


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def masters(*said: tuple[str, str, bool, bytes]) -> dict[str, bytes]:
    """The files of master parts: name, camera, whether good, picture."""
    listed = [
        {"name": name, "camera": camera, "good": is_good, "sha256": sha(content), "size_bytes": len(content)}
        for name, camera, is_good, content in said
    ]
    folder = f"data/masters/{PRODUCT}"
    files = {f"{folder}/{sha(content)}.png": content for *_, content in said}
    return files | {f"{folder}/masters.json": json.dumps({"product": PRODUCT, "masters": listed}).encode()}


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("first")
    store_with(folder, [("novel",), ("novel",)])
    let_in(pages_on(folder))
    return folder


@pytest.fixture
def folder(first: Path, tmp_path: Path) -> Path:
    shutil.copytree(first, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.fixture
def app(folder: Path) -> FastAPI:
    return pages_on(folder)


def sends(folder: Path, held: Mapping[str, bytes]) -> None:
    place = str(folder / "cloud.db")
    send_kit(place, blobs_of(place, folder), held)


def beside(who: Visitor) -> dict[str, str] | None:
    asked = {"page": "0123456789abcdef", "product": PRODUCT, "most": 1}
    answer = who.client.post("/review/claim", json=asked, headers={"X-CSRF-Token": who.csrf})
    assert answer.status_code == 200, answer.text
    found: dict[str, str] | None = answer.json()["samples"][0]["beside"]
    return found


def found_in(folder: Path, held: Mapping[str, bytes], product: str = PRODUCT, camera: str = "top") -> Golden | None:
    sends(folder, held)
    with engine(str(folder / "cloud.db")).connect() as connection:
        return golden_of(connection, FolderBlobs(folder / "cloud.blobs"), Seen(STATION, product, camera))


def test_what_a_real_station_sends_holds_its_golden_pictures(
    first: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    station = masters_station(tmp_path_factory.mktemp("real"))
    station.config.write_text(station.config.read_text() + "reference = 'golden.png'\n")
    (station.folder / "golden.png").write_bytes(REFERENCE)
    sent = gather(load_config(station.config), secrets=False, for_cloud=True)
    held = {name: one if isinstance(one, bytes) else one.read_bytes() for name, one in sent.sources.items()}
    master = next(one for one in MasterStore(station.folder / "data", "blob").masters() if one.good)
    assert found_in(first, held, "blob") == Golden(master.sha256, master.size_bytes, master.name)
    assert found_in(first, held, "blob", "side") == Golden(sha(REFERENCE), len(REFERENCE))


FINE = masters(("blot", "top", False, BAD), ("far", "side", True, SIDE), ("fine", "top", True, MASTER))
KITS = [
    pytest.param({**FINE}, MASTER, id="the good master part of the same camera"),
    pytest.param({"data/one.png": REFERENCE}, REFERENCE, id="a reference in the data folder"),
    pytest.param({}, None, id="none is sent"),
    pytest.param({"station.toml": b"no toml = = ="}, None, id="no TOML"),
    pytest.param({"station.toml": b"product = 3"}, None, id="another form"),
    pytest.param({"station.toml": b"a = " + b"[" * 2000}, None, id="deeper than can be read"),
    pytest.param({"station.toml": b"a." * 100_000 + b"a = 1"}, None, id="a name that takes minutes to be read"),
    pytest.param({"station.toml": b"station = 3"}, None, id="no station"),
    pytest.param({"station.toml": NAMES % b"/srv/one.png", "beside/one.png": REFERENCE}, None, id="elsewhere"),
    pytest.param({"station.toml": NAMES % b"../one.png", "beside/one.png": REFERENCE}, None, id="above"),
    pytest.param({f"data/masters/{PRODUCT}/masters.json": b"[]"}, None, id="no list of master parts"),
    pytest.param(masters(("blot", "top", False, BAD)), None, id="bad master parts alone"),
]


@pytest.mark.parametrize(("held", "content"), KITS)
def test_a_kit_is_read_as_far_as_it_can_be_and_holds_no_golden_picture_else(
    first: Path, held: dict[str, bytes], content: bytes | None
) -> None:
    found = found_in(first, {"station.toml": NAMES % b"./var/one.png"} | held)
    assert (None if found is None else found.sha256) == (None if content is None else sha(content))


def test_without_a_golden_picture_a_part_labelled_good_lies_beside(app: FastAPI, folder: Path) -> None:
    operator = visitor(app, "operator")
    sends(folder, {"station.toml": TOML})
    assert beside(operator) is None
    say(str(folder / "cloud.db"), id_of(2), good())
    found = beside(operator)
    assert found == {"address": f"/pictures/{sha(picture(2, 96, 64))}?width=960", "says": "A part labelled good"}


def test_the_golden_picture_is_served_and_nothing_else_comes_out_of_a_kit(app: FastAPI, folder: Path) -> None:
    held = {"station.toml": TOML, **masters(("blot", "top", False, BAD), ("fine", "top", True, MASTER))}
    sends(folder, held)
    operator = visitor(app, "operator")
    found = beside(operator)
    assert found is not None
    assert found["says"] == "Good master part fine of this station"
    assert operator.get(found["address"]).content == MASTER
    assert visitor(app).get(found["address"]).status_code == 303
    seen = f"station={STATION}&product={PRODUCT}&camera=top"
    assert operator.get(f"/pictures/golden/{sha(MASTER)}?{seen}").status_code == 200
    for content in (TOML, BAD):
        assert operator.get(f"/pictures/golden/{sha(content)}?{seen}").status_code == 404
        assert operator.get(f"/pictures/{sha(content)}").status_code == 404
    assert operator.get(f"/pictures/golden/{sha(MASTER)}?{seen}x").status_code == 404


@pytest.mark.parametrize(
    "change",
    ["station = 'another'", "state = 'coming'", "size_bytes = size_bytes + 1"],
    ids=["theirs", "late", "other"],
)
def test_a_picture_that_the_station_did_not_send_whole_itself_is_none_of_its_golden_pictures(
    app: FastAPI, folder: Path, change: str
) -> None:
    sends(folder, {"station.toml": TOML, **masters(("fine", "top", True, MASTER))})
    operator = visitor(app, "operator")
    assert beside(operator) is not None
    with engine(str(folder / "cloud.db")).begin() as connection:
        connection.exec_driver_sql(f"UPDATE files SET {change} WHERE sha256 = ?", (sha(MASTER),))  # noqa: S608 - ours
    assert beside(operator) is None
    seen = f"station={STATION}&product={PRODUCT}&camera=top"
    assert operator.get(f"/pictures/golden/{sha(MASTER)}?{seen}").status_code == 404


@pytest.mark.long
@pytest.mark.skipif(bool(MISSING), reason=MISSING)
def test_a_reviewer_sees_the_golden_picture_and_what_it_is(app: FastAPI, folder: Path) -> None:
    sends(folder, {"station.toml": TOML, **masters(("fine", "top", True, MASTER))})
    with served(app) as address, chromium() as browser:
        page = enter(browser, f"{address}/review", "operator")
        page.wait_for_function("() => document.getElementById('good_one').naturalWidth === 96")
        assert page.inner_text("#beside") == "Good master part fine of this station"
        assert page.get_attribute("#good_one", "alt") == "Good master part fine of this station"
        page.click("#compare")
        assert not page.is_visible("#beside")
        check_quiet(page)
