"""Looking back: a search finds exactly what is like it, newest first, page by page, and never works without end."""

import itertools
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from history_kit import BEGIN, Made, fill, some

from edge.record.database import open_reader
from edge.record.recorded import read_briefs, read_in_full
from edge.record.search import NEWEST, Search, _query, search

COUNT = 3000


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[sqlite3.Connection, list[Made]]]:
    path = tmp_path_factory.mktemp("history") / "station.db"
    inspections = fill(path, some(COUNT))
    with closing(open_reader(path)) as connection:
        yield connection, inspections


def is_like(one: Made, wanted: Search) -> bool:
    begins = wanted.part.removesuffix("*")
    word = {"": True, "given": one.word is not None, "wrong": one.word is False, "none": one.word is None}
    return (
        (wanted.since is None or one.at >= wanted.since)
        and (wanted.until is None or one.at < wanted.until)
        and (one.part_id.startswith(begins) if wanted.part.endswith("*") else wanted.part in {"", one.part_id})
        and wanted.verdict in {"", one.verdict}
        and wanted.label in {"", one.label}
        and wanted.camera in {"", one.camera}
        and wanted.model in {"", one.model}
        and wanted.version in {None, one.version}
        and wanted.product in {"", one.product}
        and wanted.outcome in {"", one.outcome or "open"}
        and word[wanted.word]
    )


def by_chance(chance: random.Random) -> Search:
    """A search for two or three things."""
    values: dict[str, list[object]] = {
        "since": [BEGIN + timedelta(seconds=chance.randint(-7200, COUNT))],
        "until": [BEGIN + timedelta(seconds=chance.randint(-7200, COUNT))],
        "part": [f"p-{chance.randint(0, COUNT):06d}", "p-0001*", "p-*", "q*"],
        "verdict": ["PASS", "REJECT", "UNDECIDED"],
        "label": ["scratch", 'a "dent"', "Kratzer ß", "none such"],
        "camera": ["top", "side", "to"],
        "model": ["cell", "cells"],
        "version": [1, 2, 11],
        "product": ["cell", "wafer", "none such"],
        "outcome": ["told", "late", "unconfirmed", "open"],
        "word": ["given", "wrong", "none"],
    }
    asked = chance.sample(sorted(values), chance.randint(0, 3))
    return Search(**{name: chance.choice(values[name]) for name in asked})  # type: ignore[arg-type]


def all_pages(connection: sqlite3.Connection, wanted: Search, most: int) -> list[int]:
    found: list[int] = []
    before = NEWEST
    while True:
        hits = search(connection, wanted, before, most)
        found += hits.seqs
        assert hits.looked_to_seq < before
        before = hits.looked_to_seq
        if hits.at_end:
            return found


@pytest.mark.parametrize("seed", range(150))
def test_a_search_finds_exactly_what_is_like_it_newest_first(
    made: tuple[sqlite3.Connection, list[Made]], seed: int
) -> None:
    connection, inspections = made
    wanted = by_chance(random.Random(seed))
    expected = [one.seq for one in reversed(inspections) if is_like(one, wanted)]
    assert all_pages(connection, wanted, 400) == expected, wanted


@pytest.mark.parametrize(
    "wanted",
    [
        pytest.param(Search(), id="everything"),
        pytest.param(Search(verdict="REJECT"), id="verdict"),
        pytest.param(Search(outcome="late"), id="outcome"),
        pytest.param(Search(outcome="open"), id="open"),
        pytest.param(Search(part="p-000007"), id="part"),
        pytest.param(Search(part="p-00001*"), id="few begin so"),
        pytest.param(Search(word="wrong"), id="word"),
        pytest.param(Search(word="none"), id="no word"),
        pytest.param(Search(label="scratch", camera="top", model="cell", version=1), id="in the record"),
        pytest.param(Search(label="scratch", verdict="REJECT"), id="in the record of rejects"),
    ],
)
def test_no_search_reads_a_whole_table(made: tuple[sqlite3.Connection, list[Made]], wanted: Search) -> None:
    query, values = _query(made[0], wanted)
    plan = made[0].execute(f"EXPLAIN QUERY PLAN {query}", {**values, "bottom": 1, "top": 9, "most": 5}).fetchall()
    steps = [step[3] for step in plan]
    assert [step for step in steps if step.startswith("SCAN")] == []
    if not wanted.part.endswith("*"):
        assert [step for step in steps if "TEMP B-TREE" in step] == []


def test_the_first_page_of_everything_reads_no_more_than_it_shows(
    made: tuple[sqlite3.Connection, list[Made]],
) -> None:
    connection, steps = made[0], itertools.count()
    connection.set_progress_handler(lambda: next(steps) > 1000, 10)
    try:
        assert len(search(connection, Search(camera="top"), NEWEST, 50).seqs) == 50
    finally:
        connection.set_progress_handler(None, 0)


def test_a_search_whose_time_is_up_says_where_it_stopped_and_goes_on_from_there(tmp_path: Path) -> None:
    path = tmp_path / "station.db"
    inspections = fill(path, some(12_000))
    with closing(open_reader(path)) as connection:
        clock = itertools.count()
        hits = search(connection, Search(camera="none such"), NEWEST, 50, 0.5, lambda: float(next(clock)))
        assert (hits.seqs, hits.looked_to_seq, hits.at_end) == ((), 2001, False)
        hits = search(connection, Search(part=inspections[0].part_id), NEWEST, 50)
        assert hits.at_end
        assert 1 in hits.seqs


@pytest.mark.long
def test_a_search_by_what_has_an_index_does_little_in_a_long_history(tmp_path: Path) -> None:
    path = tmp_path / "station.db"
    inspections = fill(path, some(100_000))
    asked = [
        Search(),
        Search(verdict="UNDECIDED"),
        Search(outcome="late"),
        Search(part=inspections[0].part_id),
        Search(word="wrong"),
        Search(since=BEGIN + timedelta(seconds=900), until=BEGIN + timedelta(seconds=1000)),
    ]
    with closing(open_reader(path)) as connection:
        for wanted in asked:
            steps = itertools.count()
            connection.set_progress_handler(lambda steps=steps: next(steps) < 0, 100)
            hits = search(connection, wanted, NEWEST, 50, work_s=1e9)
            assert len(hits.seqs) == 50 or hits.at_end
            assert next(steps) < 100, wanted  # hundreds of steps of SQLite's machine; a whole table takes some 10,000


def test_what_was_let_go_of_is_left_out_of_the_lines(made: tuple[sqlite3.Connection, list[Made]]) -> None:
    briefs = read_briefs(made[0], [9, COUNT + 5, 3])
    assert [brief.seq for brief in briefs] == [9, 3]
    assert briefs[0].models == (f"{made[1][8].model} v1",)
    assert read_in_full(made[0], COUNT + 5) is None


def test_of_a_damaged_record_everything_else_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "station.db"
    fill(path, some(3))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE records SET payload = CAST('{' AS BLOB) WHERE seq = 2 AND stream = 'inspections'")
        connection.commit()
    with closing(open_reader(path)) as connection:
        full = read_in_full(connection, 2)
    assert full is not None
    assert (full.brief.record, full.brief.part_id, full.payload) == (None, "p-000002", b"{")
