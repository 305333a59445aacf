"""Master parts are kept whole or not at all, and a picture that is not what was added is found."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import masters_kit
import numpy as np
import pytest
from masters_kit import AT, new, pictures
from station_kit import good_frame

from edge.domain.errors import ConfigError, StorageError
from edge.domain.part import Verdict
from edge.masters.store import MOST, Master, MasterStore


@pytest.fixture
def store(tmp_path: Path) -> MasterStore:
    return MasterStore(tmp_path / "data", "blob")


def test_what_was_added_is_there_again_pixel_by_pixel(store: MasterStore, tmp_path: Path) -> None:
    good, bad = pictures(tmp_path)
    assert not store.exists
    store.add([new(good), new(bad, good=False, expect="anomaly")])
    first, second = MasterStore(tmp_path / "data", "blob").masters()
    assert (first.name, first.expected, first.added_by, first.added_at) == ("fine", Verdict.PASS, "anna", AT)
    assert (second.name, second.expected, second.expected_class) == ("blot", Verdict.REJECT, "anomaly")
    np.testing.assert_array_equal(store.image(second), cv2.imread(str(bad)))
    assert store.path(first).name == f"{first.sha256}.png"


def test_one_that_is_removed_stays_on_record(store: MasterStore, tmp_path: Path) -> None:
    good, bad = pictures(tmp_path)
    store.add([new(good), new(bad, good=False)])
    gone = store.remove("fine", "bert", AT)
    assert [master.name for master in store.masters()] == ["blot"]
    assert not store.path(gone).exists()
    assert '"removed_by": "bert"' in (store.folder / "masters.json").read_text()
    with pytest.raises(ConfigError, match="has no master part 'fine', it has blot"):
        store.remove("fine", "bert", AT)


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _exchange(path: Path) -> None:
    other = next(each for each in path.parent.glob("*.png") if each != path)
    path.write_bytes(other.read_bytes())


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        pytest.param(_flip, "is not what was added", id="a flipped bit"),
        pytest.param(_exchange, "is not what was added", id="another master's picture"),
        pytest.param(lambda path: path.write_bytes(b""), "is not what was added", id="empty"),
        pytest.param(Path.unlink, "cannot read", id="gone"),
    ],
)
def test_a_picture_that_is_not_what_was_added_is_an_error(
    store: MasterStore, tmp_path: Path, harm: Callable[[Path], None], why: str
) -> None:
    good, bad = pictures(tmp_path)
    _, second = store.add([new(good), new(bad, good=False)])
    harm(store.path(second))
    with pytest.raises(StorageError, match=why):
        store.image(second)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("", id="empty"),
        pytest.param("{}", id="no schema"),
        pytest.param('{"schema": "inspectd.masters.v1", "product": "cap"}', id="another product's"),
        pytest.param('{"schema": "inspectd.masters.v2", "product": "blob"}', id="a newer schema"),
    ],
)
def test_a_list_that_cannot_be_used_is_an_error_and_no_empty_list(store: MasterStore, content: str) -> None:
    store.folder.mkdir(parents=True)
    (store.folder / "masters.json").write_text(content)
    with pytest.raises(StorageError, match="cannot be used"):
        store.masters()


def _many(folder: Path) -> list[Path]:
    for number in range(MOST + 1):
        cv2.imwrite(str(folder / f"n{number}.png"), good_frame((32, 32), seed=number))
    return [folder / f"n{number}.png" for number in range(MOST + 1)]


@pytest.mark.parametrize(
    ("files", "why"),
    [
        pytest.param(lambda folder: [folder / "fine.png"], "a master part 'fine' already", id="a name that is taken"),
        pytest.param(lambda folder: [folder / "again.png"], "the same picture as 'fine'", id="a picture that is there"),
        pytest.param(lambda folder: [folder / "gone.png"], "no readable picture", id="no file"),
        pytest.param(lambda folder: [folder / "text.png"], "no readable picture", id="no picture"),
        pytest.param(lambda folder: [folder / "two words.png"], "give one by --name", id="a name that will not do"),
        pytest.param(_many, "64 is the most", id="too many"),
    ],
)
def test_what_cannot_be_added_adds_none_of_its_command(
    store: MasterStore, tmp_path: Path, files: Callable[[Path], list[Path]], why: str
) -> None:
    good, bad = pictures(tmp_path)
    (tmp_path / "again.png").write_bytes(good.read_bytes())
    (tmp_path / "text.png").write_text("hello")
    cv2.imwrite(str(tmp_path / "two words.png"), good_frame(seed=9))
    store.add([new(good)])
    with pytest.raises(ConfigError, match=why):
        store.add([new(bad, good=False), *(new(file) for file in files(tmp_path))])
    assert [master.name for master in store.masters()] == ["fine"]
    assert len(list(store.folder.glob("*.png"))) == 1


def test_an_add_that_is_killed_anywhere_leaves_no_half_master(tmp_path: Path) -> None:
    good, bad = pictures(tmp_path)
    roots = tmp_path / "roots"
    arguments = [sys.executable, "-W", "ignore", masters_kit.__file__, str(roots), str(good), str(bad)]
    path = os.pathsep.join([str(Path(masters_kit.__file__).parent), *sys.path])
    done = subprocess.run(
        arguments, check=True, capture_output=True, text=True, timeout=60, env={**os.environ, "PYTHONPATH": path}
    )
    survived = int(done.stdout)
    assert survived > 6, "two files, each synced, renamed, and its folder synced"
    held: list[tuple[Master, ...]] = []
    for deadly in range(1, survived + 1):
        store = MasterStore(roots / str(deadly), "blob")
        held.append(store.masters())
        for master in held[-1]:
            store.image(master)
        third = tmp_path / "third.png"
        cv2.imwrite(str(third), good_frame(seed=77))
        store.add([new(third)])
        assert {path.name for path in store.folder.glob("*.p*")} == {f"{m.sha256}.png" for m in store.masters()}
    assert {len(masters) for masters in held} == {1, 2}, "the one that was there stays, the other is whole or not there"
    assert len(held[0]) == 1
    assert len(held[-1]) == 2


def test_a_disk_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("in the way")
    good, _ = pictures(tmp_path)
    with pytest.raises(StorageError, match="cannot write master parts"):
        MasterStore(tmp_path / "data", "blob").add([new(good)])
