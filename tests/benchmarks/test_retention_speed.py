"""What looking after the disk costs the line: hand-over to on-disk of inspections while records go, and do not."""

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from edge_kit import Collected, inspection
from spool_kit import Spool, execute, fill, spool

from cloud_sync.wire.outbox import Stream
from edge.record.eviction import Limits
from edge.record.outbox import SqliteOutbox

pytestmark = pytest.mark.benchmark
BACKLOG = 40_000
PARTS = 300
PACE_S = 0.02
NO_LIMIT = 1 << 50


@contextmanager
def turning(made: Spool) -> Iterator[list[bool]]:
    """The retention's turns one after the other, as fast as the images' thread takes them when it is behind."""
    stop, turns = threading.Event(), list[bool]()

    def turn() -> None:
        while not stop.wait(0.05):
            turns.append(made.retention.tidy())

    thread = threading.Thread(target=turn)
    thread.start()
    yield turns
    stop.set()
    thread.join(10)


def written_ms(made: Spool, committed: Collected) -> list[float]:
    """Of each inspection the milliseconds until it was on disk, ascending."""
    times = []
    for _ in range(PARTS):
        count, started_s = len(committed.items), time.monotonic()
        made.recorder.record(inspection())
        committed.wait_for(count + 1)
        times.append((time.monotonic() - started_s) * 1000)
        time.sleep(PACE_S)
    return sorted(times)


def measured(folder: Path, limits: Limits) -> dict[str, float]:
    with spool(folder, limits) as made, turning(made) as turns:
        times = written_ms(made, made.committed)
        busy = sum(turns)
    names = {"p50 ms": 0.5, "p99 ms": 0.99, "p99.9 ms": 0.999}
    return {name: round(times[int(share * len(times))], 2) for name, share in names.items()} | {"turns": busy}


def test_a_verdict_that_is_written_while_records_go(tmp_path: Path) -> None:
    found: dict[str, dict[str, float]] = {}
    path = tmp_path / "station.db"
    fill(path, BACKLOG)
    found["nothing goes"] = measured(tmp_path, Limits(NO_LIMIT))
    found["unsent records go, with tombstones"] = measured(tmp_path, Limits(NO_LIMIT, 1000))
    execute(path, "DELETE FROM outbox")
    found["acknowledged records go, pages are given back"] = measured(tmp_path, Limits(NO_LIMIT, 1000))
    quiet = found["nothing goes"]
    for name, times in found.items():
        times["p99 over quiet"] = round(times["p99 ms"] / quiet["p99 ms"], 2)
        assert name == "nothing goes" or times["turns"] > 30
    print(json.dumps(found, indent=1))  # noqa: T201 - a benchmark's output


def test_how_many_wait_is_known_as_soon_however_many_they_are(tmp_path: Path) -> None:
    asked_us: dict[int, float] = {}
    for rows in (1000, 1_000_000):
        folder = tmp_path / str(rows)
        with spool(folder, Limits(NO_LIMIT)) as made:
            made.recorder.write_and_wait(
                lambda connection, rows=rows: connection.execute(  # type: ignore[misc]
                    "WITH RECURSIVE n (seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM n WHERE seq < ?)"
                    " INSERT INTO outbox SELECT 'outcomes', seq, 1 FROM n",
                    (rows,),
                )
            )
            outbox = SqliteOutbox(made.recorder)
            assert outbox.depths()[Stream.OUTCOMES] == rows
            started_s = time.monotonic()
            for _ in range(200):
                outbox.depths()
            asked_us[rows] = (time.monotonic() - started_s) / 200 * 1e6
            outbox.close()
    ratio = asked_us[1_000_000] / asked_us[1000]
    print(json.dumps({"us": {str(rows): round(us, 1) for rows, us in asked_us.items()}, "ratio": round(ratio, 2)}))  # noqa: T201
    assert ratio < 3, os.getloadavg()
