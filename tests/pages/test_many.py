"""What pages do where there is much of everything, or something is away: decided without a database."""

import io
from hashlib import sha256
from pathlib import Path

import pytest

from cloud_sync.hub.files.blobs import FolderBlobs
from cloud_sync.hub.rollout.plan import RolloutPlan
from cloud_sync.hub.rollout.stages import Asked, Counts, Standing
from cloud_sync.hub.store.errors import BlobError
from cloud_sync.hub.store.overview import HELD_COUNTED
from cloud_sync.hub.web.board import page_from
from cloud_sync.hub.web.counted import Counted
from cloud_sync.hub.web.figures import held
from cloud_sync.hub.web.quick_blobs import AWAY_S, QuickBlobs
from cloud_sync.hub.web.rollout_stations import LOOK, MOST, stations_page
from cloud_sync.hub.web.turns import GAP_S, Turns

PLAN = RolloutPlan(shadow_parts=50, live_parts=40)


class Clock:
    def __init__(self) -> None:
        self.s = 100.0

    def __call__(self) -> float:
        return self.s


class OneFile:
    """A store that holds one file, while it is there; counts how often it was asked."""

    def __init__(self) -> None:
        self.asked, self.is_away = 0, False

    def put(self, sha256: str, content: io.BufferedIOBase) -> None:
        raise BlobError(f"{sha256} is not to be put: {content}")

    def read(self, sha256: str, first: int, end: int) -> bytes:
        self.size(sha256)
        return b"file"[first:end]

    def holds(self, sha256: str) -> bool:
        return bool(self.size(sha256))

    def size(self, sha256: str) -> int:
        self.asked += 1
        cause: OSError = ConnectionError("refused") if self.is_away else FileNotFoundError(sha256)
        if self.is_away or sha256 != "here":
            raise BlobError("cannot") from cause
        return 4


def test_a_store_that_is_away_is_asked_once_in_some_seconds_and_again_when_these_are_over() -> None:
    clock, store = Clock(), OneFile()
    quick = QuickBlobs(store, clock)  # type: ignore[arg-type]
    store.is_away = True
    for _ in range(48):
        with pytest.raises(BlobError, match="cannot"):
            quick.read("here", 0, 4)
    assert store.asked == 1
    store.is_away = False
    clock.s += AWAY_S
    assert quick.read("here", 0, 4) == b"file"


def test_a_file_that_is_missing_keeps_nobody_from_the_others() -> None:
    quick = QuickBlobs(OneFile(), Clock())  # type: ignore[arg-type]
    with pytest.raises(BlobError):
        quick.read("gone", 0, 4)
    assert quick.read("here", 0, 4) == b"file"


def test_a_file_that_cannot_be_read_keeps_nobody_from_the_others(tmp_path: Path) -> None:
    quick, here, broken = QuickBlobs(FolderBlobs(tmp_path), Clock()), sha256(b"file").hexdigest(), "ab" * 32
    quick.put(here, io.BytesIO(b"file"))
    (tmp_path / "ab" / broken).mkdir(parents=True)
    with pytest.raises(BlobError, match="IsADirectoryError"):
        quick.read(broken, 0, 4)
    assert quick.read(here, 0, 4) == b"file"


def test_what_takes_a_look_at_every_label_is_counted_once_a_minute_at_most_and_not_for_ever_kept() -> None:
    clock, looks = Clock(), []
    counted = Counted(clock)

    def count() -> int:
        looks.append(clock.s)
        return len(looks)

    assert [counted.of("all", "cell", 1, count), counted.of("all", "cell", 2, count)] == [1, 1]
    clock.s += 61
    assert [counted.of("all", "cell", 1, count), counted.of("all", "lid", 1, count)] == [1, 2]
    assert counted.of("all", "cell", 2, count) == 3
    clock.s += 601
    assert counted.of("all", "cell", 2, count) == 4


def test_writers_of_the_pages_take_turns_and_leave_room_between_two() -> None:
    clock, waited = Clock(), []

    def wait(length_s: float) -> None:
        waited.append(round(length_s, 6))
        clock.s += length_s

    turns = Turns(clock, wait)
    for pause_s in (0.0, GAP_S / 2, GAP_S * 3):
        with turns.one():
            clock.s += 1.0
        clock.s += pause_s
    with turns.one():
        clock.s += 1.0
    assert waited == [GAP_S, GAP_S / 2]


def standing(number: int, **more: object) -> Standing:
    return Standing(f"press-{number:03d}", Asked.LIVE, "live", **more)  # type: ignore[arg-type]


def test_of_five_hundred_stations_of_a_rollout_the_one_that_fails_comes_first_and_is_found_by_name_and_state() -> None:
    fine = [standing(number, counts=Counts(parts=50)) for number in range(500)]
    bad = standing(437, counts=Counts(parts=50, undecided=40))
    all_of_them = [*fine[:437], bad, *fine[438:490], *[Standing(f"press-{number}") for number in range(490, 500)]]

    page = stations_page(PLAN, all_of_them, "", "", 0)
    assert [one.standing.station for one in page.stations][:2] == ["press-437", "press-000"]
    assert (len(page.stations), page.total) == (MOST, 500)
    assert dict(page.counts) == {"live": 490, "not_asked": 10, LOOK: 1}
    assert [one.standing for one in stations_page(PLAN, all_of_them, LOOK, "", 0).stations] == [bad]
    assert stations_page(PLAN, all_of_them, "not_asked", "", 0).total == 10
    assert next(one.standing.station for one in stations_page(PLAN, all_of_them, "", "S-49", 0).stations) == "press-490"
    assert len(stations_page(PLAN, all_of_them, "", "", 450).stations) == 50


def test_a_page_whose_stations_became_fewer_shows_the_last_of_them() -> None:
    less = [standing(number, online=False) for number in range(100)]
    page = stations_page(PLAN, less, LOOK, "", 100)
    assert (page.first, len(page.stations), page.total) == (0, 100, 100)
    assert [page_from(first, 101, 100) for first in (0, 100, 200)] == [0, 100, 100]
    assert page_from(100, 0, 100) == 0


def test_a_count_that_ended_at_its_limit_says_so() -> None:
    assert [held(0), held(HELD_COUNTED), held(HELD_COUNTED + 1)] == ["0", "100", "100+"]
