"""A store as a large fleet leaves it after a year, on either database: written by the database itself, in seconds."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from fleet_kit import EPOCH, PROOF, add, health
from stores import engine

from cloud_sync.hub.rollout.plan import RolloutPlan, pack_plan
from cloud_sync.hub.store.hour_tables import HOUR_MS
from cloud_sync.hub.store.tables import conditions
from cloud_sync.hub.store.writing import StoreWriter

PRODUCT = "cell"


@dataclass(frozen=True)
class Size:
    """How much of everything; the newest rollout goes to all stations."""

    stations: int = 500
    records: int = 0
    samples: int = 100_000
    labels: int = 10_000
    runs: int = 1_000
    rollouts: int = 200
    days: int = 10


WHOSE = f"CASE WHEN i <= <mine> THEN '{PRODUCT}' ELSE 'lid' END"
NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count) "
WORDS = {
    "sqlite": {
        "name": "printf('press-%03d', {})",
        "id": "printf('%032x', {})",
        "sha": "printf('%064x', {})",
        "none": "x'00'",
    },
    "postgresql": {
        "name": "'press-' || lpad(({})::text, 3, '0')",
        "id": "lpad(to_hex({}), 32, '0')",
        "sha": "lpad(to_hex({}), 64, '0')",
        "none": "'\\x00'::bytea",
    },
}


def name_of(number: int) -> str:
    return f"press-{number:03d}"


def release_of(number: int) -> str:
    return f"cells-v{number}.bundle"


def large_store(place: str, now_ms: int, size: Size = Size()) -> None:
    """Fill a store that is not there yet."""
    StoreWriter(place).close()
    with engine(place).begin() as connection:
        _stations(connection, now_ms, size)
        _hours(connection, now_ms, size)
        _what_went_wrong(connection, now_ms, size)
        _samples(connection, now_ms, size)
        _labels(connection, now_ms, size)
        _runs(connection, now_ms, size)
        _rollouts(connection, now_ms, size)
    add(place, conditions, *(_condition(number, now_ms) for number in range(1, size.stations + 1)))
    with engine(place).connect() as connection:
        if connection.dialect.name == "postgresql":  # its autovacuum does so by itself; nobody does so for SQLite
            connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("ANALYZE")


def bring_records(place: str, count: int, stations: int) -> None:
    """So many inspections, of all stations in turn; of each no more than a page shows."""
    with engine(place).begin() as connection:
        _fill(
            connection,
            count,
            "INSERT INTO records SELECT name[1 + i % <stations>], <epoch>, 'inspections', i, 'p', 'PASS', NULL,"
            " sha[i], :payload, i FROM n",
            stations=stations,
            payload=b'{"triggered_at": "2026-03-01T12:00:00+00:00", "verdict": "PASS"}',
        )


def _fill(connection: sa.Connection, count: int, statement: str, **values: object) -> None:
    """An INSERT of rows numbered `i`.

    `name[i]`, `id[i]` and `sha[i]` are made of a number, `<word>` is what is given as `word` and `:word` a value.
    """
    words = WORDS[connection.dialect.name]
    given: dict[str, object] = {"epoch": f"'{EPOCH}'", "product": f"'{PRODUCT}'", "none": words["none"], "whose": WHOSE}
    for word, value in [*(values | given).items()] * 3:  # a word may be made of others
        statement = statement.replace(f"<{word}>", str(value))
    made = re.sub(r"\b(name|id|sha)\[([^]]*)\]", lambda found: words[found[1]].format(found[2]), statement)
    where, _, query = made.partition(" SELECT ")
    if count:
        bound = {word: value for word, value in values.items() if f":{word}" in query}
        connection.execute(sa.text(f"{where} {NUMBERS}SELECT {query}"), {"count": count, **bound})


def _stations(connection: sa.Connection, now_ms: int, size: Size) -> None:
    _fill(connection, size.stations, "INSERT INTO stations SELECT name[i], 1, :now - i, 0 FROM n", now=now_ms)
    for stream in ("inspections", "outcomes", "images", "samples"):
        _fill(
            connection,
            size.stations,
            "INSERT INTO holdings SELECT name[i], <epoch>, '<stream>', 10000, 10000,"
            " CASE WHEN i % 100 = 0 THEN 2 ELSE 0 END FROM n",
            stream=stream,
        )
    for sign in ("brightness", "focus", "score", "overrule"):
        _fill(
            connection,
            size.stations,
            "INSERT INTO drift_signs (station, product, camera, sign, alarm, statistic, threshold, parts, since_ms,"
            " epoch, said_at_ms, heard_at_ms) SELECT name[i], <product>, 'top', '<sign>',"
            " (i % 50 = 7 AND '<sign>' = 'focus'), 2.5, 5.0, 100, 1, <epoch>, 1, 1 FROM n",
            sign=sign,
        )


def _condition(number: int, now_ms: int) -> Mapping[str, object]:
    """Most stations are ready; some are away, silent, or have a fault."""
    faults = {"camera": "no frame for 12 s"} if number % 83 == 5 else {}
    away = number % 61 == 3
    said_ms = now_ms - (600_000 if number % 97 == 11 else 20_000)
    said = health(said_ms, ready=not faults, waiting=number % 40 // 39 * 800, faults=faults)
    word = {"station": name_of(number), "state": "offline" if away else "online", "since_ms": now_ms - 1000}
    return word | {"epoch": EPOCH, "version": "0.9.1", "resets": 0, "health": said, "health_at_ms": said_ms}


def _hours(connection: sa.Connection, now_ms: int, size: Size) -> None:
    """Days of all stations, today among them."""
    for back in range(24 * size.days):
        hour = now_ms // HOUR_MS - back
        _fill(
            connection,
            size.stations,
            "INSERT INTO inspection_hours SELECT <hour>, name[i], <product>, 'cells-v' || (1 + i % 3),"
            " 3000 + (i * 37) % 500, 20 + i % 9, CASE WHEN i % 71 = 2 THEN 400 ELSE i % 3 END, :at FROM n",
            hour=hour,
            at=hour * HOUR_MS,
        )


def _what_went_wrong(connection: sa.Connection, now_ms: int, size: Size) -> None:
    wrong = size.stations * 4
    _fill(
        connection,
        size.samples * 4 // 10,
        "INSERT INTO quarantine SELECT name[1 + i % 5], <epoch>, 'inspections', i, sha[i], <none>, i FROM n",
    )
    _fill(
        connection,
        wrong,
        "INSERT INTO dead_letters SELECT sha[i], name[1 + i % 3], 'topic', 'no json', <none>, :now - i FROM n",
        now=now_ms,
    )
    _fill(
        connection,
        wrong,
        "INSERT INTO dead_letter_hours SELECT name[1 + i % 9], <hour> - i, 1, 1, 0 FROM n",
        hour=now_ms // HOUR_MS,
    )
    _fill(connection, wrong, "INSERT INTO arrivals SELECT name[1], <epoch>, 'samples', i, NULL FROM n")


def _samples(connection: sa.Connection, now_ms: int, size: Size) -> None:
    _fill(
        connection,
        size.samples,
        "INSERT INTO samples (id, product, station, epoch, seq, camera, part_id, belongs, sha256, size_bytes, dropped,"
        " at_ms, seen_at_ms, label, conflict, usefulness, proposed) SELECT id[i], "
        "<whose>, name[1 + i % <stations>], <epoch>, i, 'top', 'part', '',"
        " sha[i], 1, (1 = 0), :now - i, 1, CASE WHEN i <= <labels> OR i > <mine> THEN i END,"
        " (i <= <labels> AND i % 500 = 1),"
        " 1 << (i % 7), CASE WHEN i % 3 = 0 THEN 'dent' ELSE '' END FROM n",
        now=now_ms,
        stations=size.stations,
        labels=size.labels,
        mine=size.samples * 6 // 10,
    )
    _fill(
        connection,
        size.samples,
        "INSERT INTO files SELECT name[1 + i % <stations>], sha[i], 1, 'image/png', <epoch>, i, 'top',"
        " 'complete', NULL, 1 FROM n",
        stations=size.stations,
    )
    _fill(connection, size.samples, "INSERT INTO sample_reasons SELECT id[i], 'novel' FROM n")


def _labels(connection: sa.Connection, now_ms: int, size: Size) -> None:
    _fill(
        connection,
        size.samples,
        "INSERT INTO labels (seq, sample, product, says, classes, boxes, source, said_by, said_at_ms, written_at_ms,"
        " supersedes) SELECT i, id[i], <whose>, CASE WHEN i % 2 = 0 THEN 'good' ELSE 'defect' END,"
        " CASE WHEN i % 2 = 0 THEN '' ELSE 'dent' END, '', 'review', 'ada', 1, :now - 1000000 + i, 0 FROM n"
        " WHERE i <= <labels> OR i > <mine>",
        now=now_ms,
        labels=size.labels,
        mine=size.samples * 6 // 10,
    )
    connection.execute(sa.text("UPDATE label_counter SET value = :count"), {"count": size.samples})
    _fill(
        connection,
        size.labels,
        "INSERT INTO feedback SELECT name[1 + i % <stations>], <epoch>, i, <epoch>, i, <product>, 1,"
        " 'REJECT', (i % 9 > 0), '', 'Kim', i, i FROM n",
        stations=size.stations,
    )
    _fill(
        connection,
        size.samples,
        "INSERT INTO memberships SELECT <whose>, id[i], 'learned', (1 = 0), 1 FROM n",
        mine=size.labels,
    )
    _fill(connection, 1, "INSERT INTO label_classes SELECT <product>, 'dent', 'ada', 1 FROM n")


def _runs(connection: sa.Connection, now_ms: int, size: Size) -> None:
    _fill(
        connection,
        size.runs,
        'INSERT INTO retraining_runs (run, product, "trigger", why, started_at_ms, step, step_since_ms, labels_seq,'
        " classes, bundle, proof, result, reason, ended_at_ms) SELECT 'cell-' || substr(id[i], 21, 12), "
        "<product>, 'new labels', 'w', :now - (:runs - CAST(i AS BIGINT)) * 3600000, 'prove', 1, <labels> - 100,"
        " '[\"dent\"]', 'cells-v' || i, :proof, 'refused', 'r',"
        " :now - (:runs - CAST(i AS BIGINT)) * 3600000 + 1000 FROM n",
        now=now_ms,
        runs=size.runs,
        labels=size.labels,
        proof=json.dumps(PROOF),
    )
    _fill(
        connection,
        size.runs,
        "INSERT INTO retraining_steps SELECT 'cell-' || substr(id[i], 21, 12), 'snapshot', 1 FROM n",
    )


def _rollouts(connection: sa.Connection, now_ms: int, size: Size) -> None:
    """Each goes to all stations; of the newest half of them decide by it, the others were asked for nothing yet."""
    plan, last = pack_plan(RolloutPlan(live_parts=40)), size.rollouts
    _fill(
        connection,
        last,
        "INSERT INTO rollouts (release, product, attempt, state, stage, stage_since_ms, why, plan, made_at_ms,"
        " changed_at_ms) SELECT 'cells-v' || i || '.bundle', <product>, 1,"
        " CASE WHEN i = <last> THEN 'running' ELSE 'done' END, 2, :now, 'w', :plan, :now - (1000 - i) * 1000, :now"
        " FROM n",
        last=last,
        now=now_ms,
        plan=plan,
    )
    half = size.stations // 2
    given: dict[str, object] = {"stations": size.stations, "not_yet": (last - 1) * size.stations + half, "now": now_ms}
    given |= {"turn": "((i - 1) % <stations>)", "release": "'cells-v' || <number> || '.bundle'"}
    given |= {"at": ":now - (1000 - <number>) * 1000", "number": "(1 + (i - 1) / <stations>)"}
    _fill(
        connection,
        last * size.stations,
        "INSERT INTO rollout_stations SELECT <release>, name[1 + <turn>], <turn>,"
        " CASE WHEN i <= <not_yet> THEN 'live' ELSE '' END,"
        " CASE WHEN i <= <not_yet> THEN 'job-' || i ELSE '' END, CASE WHEN i <= <not_yet> THEN <at> END, '[]' FROM n",
        **given,
    )
    _fill(
        connection,
        last * size.stations - size.stations + half,
        "INSERT INTO jobs (station, job, name, state, why, offered_at_ms, changed_at_ms, figures) SELECT"
        " name[1 + <turn>], 'job-' || i, <release>, 'live', '', <at>, <at>, :figures FROM n",
        figures='{"parts": 50, "undecided": 0}',
        **given,
    )
    _fill(
        connection,
        60,
        "INSERT INTO rollout_decisions (release, number, at_ms, attempt, stage, what, why, facts) SELECT"
        " '<release>', i, i, 1, 'canary', 'ask', 'w', :facts FROM n",
        release=release_of(last),
        facts="[" + ", ".join(['{"station": "press-001"}'] * size.stations) + "]",
    )
