"""Stores that an older program made, and programs that start at once."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from outboxes import EPOCH, STATION, inspection
from stores import engine, everything

from cloud_sync.hub.labels.usefulness import usefulness_of
from cloud_sync.hub.store import (
    StoreError,
    file_tables,
    hour_tables,
    label_tables,
    migrations,
    retraining_tables,
    review_tables,
    rollout_tables,
    trust_tables,
)
from cloud_sync.hub.store.reading import StoreReader
from cloud_sync.hub.store.tables import SCHEMA_VERSION, meta, metadata
from cloud_sync.hub.store.writing import Key, NewRecord, StoreWriter
from cloud_sync.wire.outbox import Stream
from cloud_sync.wire.records import content_hash

# What the first released program made, word for word as SQLAlchemy had written it.
VERSION_1 = """
CREATE TABLE meta (name VARCHAR(64) NOT NULL, value TEXT NOT NULL, PRIMARY KEY (name));
CREATE TABLE records (station VARCHAR(63) NOT NULL, epoch VARCHAR(32) NOT NULL, stream VARCHAR(32) NOT NULL,
 seq BIGINT NOT NULL, part_id TEXT NOT NULL, verdict VARCHAR(16), outcome VARCHAR(16), sha256 VARCHAR(64) NOT NULL,
 payload {bytes} NOT NULL, received_at_ms BIGINT NOT NULL, PRIMARY KEY (station, epoch, stream, seq));
CREATE TABLE quarantine (station VARCHAR(63) NOT NULL, epoch VARCHAR(32) NOT NULL, stream VARCHAR(32) NOT NULL,
 seq BIGINT NOT NULL, sha256 VARCHAR(64) NOT NULL, payload {bytes} NOT NULL, received_at_ms BIGINT NOT NULL,
 PRIMARY KEY (station, epoch, stream, seq, sha256));
CREATE TABLE dead_letters (sha256 VARCHAR(64) NOT NULL, station VARCHAR(63), topic TEXT NOT NULL, reason TEXT NOT NULL,
 payload {bytes} NOT NULL, received_at_ms BIGINT NOT NULL, PRIMARY KEY (sha256));
CREATE TABLE stations (station VARCHAR(63) NOT NULL, first_seen_at_ms BIGINT NOT NULL, last_seen_at_ms BIGINT NOT NULL,
 duplicates BIGINT NOT NULL, PRIMARY KEY (station));
INSERT INTO meta VALUES ('schema_version', '1');
"""
ROWS = [inspection(seq) for seq in range(1, 4)]
BESIDE = (
    file_tables,
    hour_tables,
    label_tables,
    trust_tables,
    retraining_tables,
    rollout_tables,
    review_tables,
)  # these add to the metadata


def old_store(place: str) -> None:
    with engine(place).begin() as connection:
        blob = "BYTEA" if connection.dialect.name == "postgresql" else "BLOB"
        for statement in VERSION_1.format(bytes=blob).strip().rstrip(";").split(";"):
            connection.exec_driver_sql(statement)
        connection.execute(sa.text("INSERT INTO stations VALUES (:name, 1, 2, 5)"), {"name": STATION})
        for row in ROWS:
            connection.execute(
                sa.text(
                    "INSERT INTO records VALUES"
                    " (:station, :epoch, 'inspections', :seq, 'part', 'PASS', NULL, :sha256, :payload, 1)"
                ),
                {
                    "station": STATION,
                    "epoch": EPOCH,
                    "seq": row.seq,
                    "sha256": content_hash(row.payload),
                    "payload": row.payload,
                },
            )


def test_a_store_of_version_1_is_brought_forward_with_every_row(place: str) -> None:
    old_store(place)
    before = everything(place)

    with StoreWriter(place) as writer:
        record = NewRecord(Key(STATION, EPOCH, Stream.INSPECTIONS, 1), ROWS[0].payload, "part", "PASS")
        assert writer.insert([record], [], 3).duplicates == 1

    after = everything(place)
    assert [after[name] for name in ("records", "quarantine", "dead_letters")] == [
        before[name] for name in ("records", "quarantine", "dead_letters")
    ]
    assert after["meta"] == [("schema_version", str(SCHEMA_VERSION))]
    assert after["holdings"] == [(STATION, EPOCH, "inspections", 3, 3, 0)]


def store_of_version(place: str, version: int) -> None:
    """A store as the program of a schema version had made it."""
    with engine(place).begin() as connection:
        meta.create(connection)
        config = Config()
        config.set_main_option("script_location", str(Path(migrations.__file__).parent))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.upgrade(config, f"{version:04d}")
        connection.execute(sa.insert(meta).values(name="schema_version", value=str(version)))


def test_samples_of_version_7_are_weighed_whatever_a_station_called_its_classes(place: str) -> None:
    store_of_version(place, 7)
    labels = {"1" * 32: "scratch", "2" * 32: "a\0b", "3" * 32: "x" * 128, "4" * 32: None}
    with engine(place).begin() as connection:
        for sample, label in labels.items():
            found = [] if label is None else [{"box_xyxy": [0, 0, 1, 1], "score": 0.5, "label": label}]
            connection.execute(
                sa.text(
                    "INSERT INTO samples (id, product, station, epoch, seq, camera, part_id, belongs, dropped,"
                    " champion, at_ms, seen_at_ms, conflict, sha256)"
                    " VALUES (:id, 'p', 's', 'e', 1, 'c', 'x', '', :no, :champion, 1, 1, :no, 'f')"
                ),
                {"id": sample, "champion": json.dumps({"detections": found}), "no": False},
            )
        reasons = "INSERT INTO sample_reasons (sample, reason) VALUES (:sample, :reason)"
        connection.execute(
            sa.text(reasons), [{"sample": "1" * 32, "reason": each} for each in ("novel", "overruled", "later")]
        )

    StoreWriter(place).close()

    with engine(place).connect() as connection:
        rows = connection.execute(sa.text("SELECT id, usefulness, proposed FROM samples ORDER BY id")).all()
    assert [tuple(row) for row in rows] == [
        ("1" * 32, usefulness_of(["novel", "overruled"]), "scratch"),
        ("2" * 32, 0, "a\ufffdb"),
        ("3" * 32, 0, "x" * 128),
        ("4" * 32, 0, ""),
    ]


def test_the_steps_lead_to_the_tables_that_the_program_works_with(place: str) -> None:
    StoreWriter(place).close()

    with engine(place).connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)

    assert [found for found in differences if "alembic_version" not in str(found)] == []
    assert {table for module in BESIDE for table in module.ALL} <= set(metadata.tables.values())


def test_a_step_is_named_by_the_version_that_it_leads_to() -> None:
    scripts = ScriptDirectory(str(Path(migrations.__file__).parent))

    assert scripts.get_heads() == [f"{SCHEMA_VERSION:04d}"]


def test_programs_that_start_at_once_bring_a_store_forward_once(place: str) -> None:
    old_store(place)
    program = (
        "import sys; from cloud_sync.hub.store.writing import StoreWriter\n"
        "sys.stdin.read(1); StoreWriter(sys.argv[1]).close()"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", program, place], stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    for process in started:
        assert process.stdin is not None
        process.stdin.write(b"x")
        process.stdin.flush()
    said = [process.communicate(timeout=60)[1] for process in started]

    assert [(process.returncode, text) for process, text in zip(started, said, strict=True)] == [(0, b"")] * 3
    assert everything(place)["holdings"] == [(STATION, EPOCH, "inspections", 3, 3, 0)]


def test_a_step_that_is_cut_off_leaves_the_old_store(place: str) -> None:
    old_store(place)
    before = everything(place)
    with engine(place).begin() as connection:  # in the way of the last of the new tables
        connection.exec_driver_sql("CREATE TABLE dead_letter_hours (x INTEGER)")
    with pytest.raises(StoreError, match="dead_letter_hours"):
        StoreWriter(place)
    with engine(place).begin() as connection:
        connection.exec_driver_sql("DROP TABLE dead_letter_hours")

    assert everything(place) == before
    StoreWriter(place).close()


def test_a_newer_store_is_refused_untouched(place: str) -> None:
    StoreWriter(place).close()
    with engine(place).begin() as connection:
        connection.execute(sa.text("UPDATE meta SET value = '99'"))
    before = everything(place)

    for use in (StoreWriter, StoreReader):
        with pytest.raises(StoreError, match=f"schema version 99, this program knows {SCHEMA_VERSION}: install"):
            use(place)

    assert everything(place) == before


def test_a_reader_brings_nothing_forward_and_says_who_does(place: str) -> None:
    old_store(place)
    before = everything(place)

    with pytest.raises(StoreError, match="`cloud collect --store"):
        StoreReader(place)

    assert everything(place) == before
