"""No page of the cloud reads a table that grows from end to end, on either database: asserted on plans, not on time."""

import time
from pathlib import Path

import pytest
from large_kit import PRODUCT, Size, large_store, name_of, release_of
from pages_kit import let_in, visitor
from plans_kit import GROWS, Asked, asking, walked_whole
from postgres_kit import postgres
from retraining_kit import write_cloud
from sites_kit import doors

from cloud_sync.hub.retraining.cloud_toml import load_config
from cloud_sync.hub.web.site import make_fleet_pages
from cloud_sync.pages.serving import Listen

__all__ = ["postgres"]

RUN, SAMPLE, BLOB = "cell-000000000001", f"{1:032x}", f"{7:064x}"
PLACES = {"{station}": name_of(1), "{run}": RUN, "{sample}": SAMPLE, "{sha256}": BLOB}
QUERIES = ("", f"?product={PRODUCT}", "?only=disputed", "?name=dent&by=ada", "?station=press-007&reason=audit")
WHOLE = {"/labels/files/export"}  # a download of all of a product
FEW = Size(stations=12, samples=200, labels=60, runs=20, rollouts=4)


def asked_by_pages(place: str, folder: Path, size: Size) -> list[Asked]:
    """Every statement of every page, and of the review queue's answers."""
    large_store(place, time.time_ns() // 1_000_000, size)
    config = write_cloud(folder, place)
    config.write_text(config.read_text().replace('id = "cells"', f'id = "{PRODUCT}"', 1))
    app = make_fleet_pages(load_config(config), Listen())
    let_in(app)
    engineer = visitor(app, "engineer")
    with asking() as asked:
        for door in doors(app):
            if door.method == "GET" and door.path not in WHOLE and "{name}" not in door.path:
                path = door.path.replace("{release}", release_of(size.rollouts))
                for word, value in PLACES.items():
                    path = path.replace(word, value)
                for query in QUERIES:
                    assert engineer.get(path + query).status_code < 500 or "pictures" in path or "report" in path, path
        choice = {"page": "0123456789abcdef", "product": PRODUCT}
        for more in ({}, {"station": name_of(3)}, {"proposed": "dent"}, {"reason": "audit"}):
            claimed = engineer.client.post("/review/claim", json=choice | more, headers={"X-CSRF-Token": engineer.csrf})
            assert claimed.status_code == 200, claimed.text
    app.state.hub.close()
    assert {table for table in GROWS if any(table in one.statement for one in asked)} >= {"samples", "labels", "jobs"}
    return asked


def test_no_page_walks_a_table_that_grows(tmp_path: Path) -> None:
    place = str(tmp_path / "cloud.db")
    asked = asked_by_pages(place, tmp_path, FEW)
    assert len(asked) > 40
    assert not walked_whole(place, asked)


@pytest.mark.long
@pytest.mark.timeout(300)
def test_nor_does_one_on_postgresql_that_chooses_its_ways_by_what_the_tables_hold(
    postgres: object, tmp_path: Path
) -> None:
    place = postgres.new_database()  # type: ignore[attr-defined]
    asked = asked_by_pages(place, tmp_path, Size())
    assert len(asked) > 40
    assert not walked_whole(place, asked)
