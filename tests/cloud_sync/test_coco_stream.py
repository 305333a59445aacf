"""An export that is sent while it is made: no larger in memory and on disk for a larger set, and nothing held by it."""

import hashlib
import io
import json
import tempfile
import tracemalloc
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
import sqlalchemy as sa
from coco_kit import TRUTHS, Cloud
from labels_kit import PRODUCT, blobs_of, declare, id_of, put_directly
from pages_kit import let_in, visitor
from stores import engine

from cloud_sync.hub.labels.coco_export import ANNOTATIONS, PROPOSALS
from cloud_sync.hub.labels.listing import Wanted, list_samples, walk_samples
from cloud_sync.hub.store.writing import StoreWriter
from cloud_sync.hub.web.hub import Hub
from cloud_sync.hub.web.labels_files import _files
from cloud_sync.hub.web.site import make_fleet_pages
from cloud_sync.hub.work_cli import read_config
from cloud_sync.pages.serving import Listen
from cloud_sync.pages.zip_stream import zipped

MOST_BYTES = 12_000_000


def hub_of(folder: Path, name: str) -> Hub:
    (folder / "cloud.toml").write_text(
        f'[cloud]\nstore = "{name}.db"\n[[product]]\nid = "{PRODUCT}"\nbundle = "cells"\n'
    )
    return Hub(read_config(folder / "cloud.toml"))


def many(folder: Path, count: int, side_px: int) -> Hub:
    """A store with so many imported pictures of noise, each `side_px` squared: about as many bytes."""
    place = str(folder / "many.db")
    StoreWriter(place).close()
    declare(place, "crack")
    blobs, chance, named = blobs_of(place, folder), np.random.default_rng(1), []
    for number in range(count):
        noise = chance.integers(0, 256, (side_px, side_px), np.uint8)
        content = cv2.imencode(".png", noise, [cv2.IMWRITE_PNG_COMPRESSION, 0])[1].tobytes()
        named.append((f"{number:032x}", content))
        if len(named) == 50 or number == count - 1:
            put_directly(place, named)
            for _, each in named:
                blobs.put(hashlib.sha256(each).hexdigest(), BytesIO(each))
            named = []
    return hub_of(folder, "many")


def sent(hub: Hub, scratch: Path) -> tuple[int, int, int]:
    """Bytes sent, the most that was held in memory, and the most that lay on the disk meanwhile."""
    size_bytes = on_disk = 0
    tracemalloc.start()
    try:
        for piece in zipped(_files(hub, Wanted(PRODUCT), ["crack"], lambda word, **_: word)):
            size_bytes += len(piece)
            on_disk = max(on_disk, sum(path.stat().st_size for path in scratch.rglob("*") if path.is_file()))
        return size_bytes, tracemalloc.get_traced_memory()[1], on_disk
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("count", "side_px"),
    [
        pytest.param(240, 400, id="38 MB"),
        pytest.param(1000, 500, id="250 MB", marks=pytest.mark.long),
    ],
)
def test_a_large_set_is_sent_with_a_few_megabytes_of_memory_and_no_picture_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, side_px: int
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    size_bytes, in_memory, on_disk = sent(many(tmp_path, count, side_px), scratch)
    said = ", ".join(f"{each / 1e6:.1f} MB" for each in (size_bytes, in_memory, on_disk))
    print(f"{count} pictures; sent, held at most, on the disk at most: {said}")  # noqa: T201 - the figures of a long run
    assert size_bytes > count * side_px**2
    assert in_memory < MOST_BYTES
    assert on_disk < 1000 * count
    assert list(scratch.iterdir()) == []


def test_whoever_leaves_in_the_middle_leaves_nothing_behind(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    stream = zipped(_files(hub_of(cloud.folder, "store"), Wanted(PRODUCT), ["crack"], lambda word, **_: word))
    assert next(stream)
    assert len(list(scratch.iterdir())) == 1
    stream.close()
    assert list(scratch.iterdir()) == []


def test_whoever_takes_long_between_two_samples_holds_no_connection(cloud: Cloud) -> None:
    held = 0

    @contextmanager
    def reading() -> Iterator[sa.Connection]:
        nonlocal held
        with engine(cloud.place).connect() as connection:
            held += 1
            yield connection
            held -= 1

    seen = [(sample, held) for sample in walk_samples(reading, Wanted(PRODUCT))]
    with engine(cloud.place).connect() as connection:
        assert [sample for sample, _ in seen] == list(list_samples(connection, Wanted(PRODUCT)))
    assert {open_now for _, open_now in seen} == {0}


def test_what_is_sent_is_what_the_command_writes_and_says_what_is_left_out(cloud: Cloud) -> None:
    out, _ = cloud.export()
    app = make_fleet_pages(hub_of(cloud.folder, "store").config, Listen())
    let_in(app)
    blob = next(path for path in (cloud.folder / "store.blobs").rglob("*") if path.is_file())
    before = blob.read_bytes()
    whole = archive_of(visitor(app, "engineer").get(f"/labels/files/export?product={PRODUCT}").content)
    written = {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert {name: whole[name] for name in written} == written
    assert json.loads(whole[ANNOTATIONS])["images"] != []
    assert set(whole) == {*written, "left-out.txt"}
    assert "1 samples are left out: their picture is not here" in whole["left-out.txt"].decode()

    blob.write_bytes(b"x" * len(before))
    damaged = archive_of(visitor(app, "engineer").get(f"/labels/files/export?product={PRODUCT}").content)
    lost = next(id_of(seq) for seq in range(1, 6) if not any(id_of(seq) in name for name in damaged))
    assert lost in damaged["left-out.txt"].decode().splitlines()
    assert len(json.loads(damaged[PROPOSALS])["images"]) == len(TRUTHS)


def archive_of(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}
