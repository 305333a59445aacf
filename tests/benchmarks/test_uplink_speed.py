"""What the uplink alone packs and publishes of a backlog, beside packing the same records and nothing else."""

import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from answering_link import AnsweringLink
from brokers import eventually
from outboxes import EPOCH, STATION, SqliteOutbox, inspection, outcome

from cloud_sync.station.uplink import Uplink
from cloud_sync.wire.envelopes import pack_batch, split
from cloud_sync.wire.outbox import OutboxRow

pytestmark = pytest.mark.benchmark
PARTS = 50_000
WANTED_PER_S = 1440  # 720 verdicts, each with its outcome


def backlog() -> list[OutboxRow]:
    made, told = inspection(1).payload, outcome(1).payload
    rows = [(inspection(1).stream, made), (outcome(1).stream, told)]
    return [
        OutboxRow(stream, seq, payload.replace(b'"seq":1,', b'"seq":%d,' % seq), EPOCH)
        for stream, payload in rows
        for seq in range(1, PARTS + 1)
    ]


def test_the_uplink_drains_a_backlog_many_times_as_fast_as_a_line_fills_it(tmp_path: Path) -> None:
    rows, outbox, link = backlog(), SqliteOutbox(tmp_path / "outbox.db"), AnsweringLink()
    outbox.add(rows)
    started_s = time.process_time()
    for stream in dict.fromkeys(row.stream for row in rows):
        for run in split(row for row in rows if row.stream == stream):
            pack_batch(STATION, EPOCH, run, datetime.now(UTC))
    packing_s = time.process_time() - started_s
    began_s, started_s = time.monotonic(), time.process_time()
    with Uplink(station=STATION, outbox=outbox, link=link) as uplink:
        eventually(lambda: uplink.status().acknowledged >= len(rows), 120)
        took_s, busy_s = time.monotonic() - began_s, time.process_time() - started_s - link.busy_s
        assert uplink.status().resent == 0
    outbox.close()
    sys.stdout.write(
        f"\nuplink alone, {len(rows)} records in {link.batches} batches: {len(rows) / took_s:.0f} a second, "
        f"{len(rows) / busy_s:.0f} for each second of processor time: {busy_s / packing_s:.1f} times what packing "
        f"alone takes; {len(rows) / took_s / WANTED_PER_S:.0f} times what 720 verdicts a second want"
    )
    assert link.records == len(rows)
    assert busy_s < 50 * packing_s
