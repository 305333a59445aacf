"""How fast verdicts reach the cloud, from one station and from a thousand, beside what paho and mosquitto alone carry.

- One station is the real recorder's database and the real uplink in a process of its own, without camera and model.
- A thousand stations are one process that publishes real batches under a thousand stations' topics (`flood.py`).
- Alone: the same bytes in the same messages, published by paho at QoS 1, counted by a paho subscriber: no check of
  a record, no database, no acknowledgement from the far end.
- Lag is from the making of a record to the beginning of the transaction that stores it, on one machine's clock.
"""

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from backlog_kit import fill
from brokers import local_broker
from clouds import CloudProcess
from draining import arrived_in, cpu_s, peak_mb, watch
from flood import Publishers, messages

from cloud_sync.wire import topics
from cloud_sync.wire.broker import LocalBroker, available_kinds
from cloud_sync.wire.envelopes import BATCH_LIMIT_BYTES, pack_batch, split
from cloud_sync.wire.outbox import OutboxRow, Stream
from edge.domain.percentile import percentile

pytestmark = pytest.mark.benchmark
KIT = Path(__file__).parents[1] / "kit"
STATIONS = 1000
Messages = Sequence[tuple[str, bytes]]


@contextmanager
def cloud(folder: Path) -> Iterator[tuple[LocalBroker, CloudProcess]]:
    with local_broker(available_kinds()[0], folder) as broker:
        collector = CloudProcess(broker.address, folder / "cloud.db")
        collector.start()
        try:
            yield broker, collector
        finally:
            collector.stop()


def alone_per_s(folder: Path, every: Messages) -> float:
    """Messages a second from a paho publisher through mosquitto to a paho subscriber."""
    with local_broker(available_kinds()[0], folder / "alone") as broker:
        command = [sys.executable, str(KIT / "counting.py"), str(broker.address), str(len(every))]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as counter:
            assert counter.stdout is not None
            assert counter.stdout.readline() == "ready\n"
            began_s = time.monotonic()
            with Publishers(str(broker.address)) as publishers:
                publishers.send(every)
                ended_s = float(counter.stdout.readline())
    return len(every) / (ended_s - began_s)


def small_station(folder: Path, broker: LocalBroker, name: str, parts: int, per_s: int = 0) -> list[str]:
    words = (name, folder / f"{name}.db", broker.address, folder / f"{name}.jsonl", parts, per_s)
    return [sys.executable, str(KIT / "small_station.py"), *map(str, words)]


def batches_of(database: Path, station: str, limit_bytes: int = BATCH_LIMIT_BYTES) -> list[tuple[str, bytes]]:
    """The messages in which a station's uplink sends what waits in its database; by a limit of 0 one record in each."""
    query = "SELECT stream, seq, payload, epochs.epoch FROM records JOIN epochs ON epochs.id = records.epoch"
    with closing(sqlite3.connect(database)) as connection:
        rows = [OutboxRow(Stream(stream), *rest) for stream, *rest in connection.execute(query + " ORDER BY 1, 2")]
    at = datetime.now(UTC)
    runs = [run for stream in Stream for run in split((row for row in rows if row.stream is stream), limit_bytes)]
    return [(topics.inspections(station), pack_batch(station, run[0].epoch, run, at)) for run in runs]


def lags_ms(store: Path, station_like: str) -> list[float]:
    query = "SELECT payload, received_at_ms FROM records WHERE stream = 'inspections' AND station LIKE ?"
    with closing(sqlite3.connect(store)) as connection:
        found = connection.execute(query, (station_like,)).fetchall()
    made = (datetime.fromisoformat(json.loads(payload)["triggered_at"]).timestamp() * 1000 for payload, _ in found)
    return sorted(at_ms - made_ms for (_, at_ms), made_ms in zip(found, made, strict=True))


def show(name: str, **figures: object) -> None:
    plain = {key: round(value, 3) if isinstance(value, float) else value for key, value in figures.items()}
    sys.stderr.write(f"\n{name}: {json.dumps(plain)}\n")


def test_one_station(tmp_path: Path) -> None:
    parts = 20_000
    fill(tmp_path / "full.db", "full", parts)
    every = batches_of(tmp_path / "full.db", "full")
    alone = alone_per_s(tmp_path, every) * 2 * parts / len(every)
    singly = alone_per_s(tmp_path, batches_of(tmp_path / "full.db", "full", 0)[:10_000])
    with cloud(tmp_path) as (broker, collector):
        before_s = cpu_s(collector.pid)
        with subprocess.Popen(small_station(tmp_path, broker, "full", parts)) as station:
            drain = watch(
                lambda: arrived_in(tmp_path / "cloud.db"),
                2 * parts,
                {"station": station.pid, "collector": collector.pid, "broker": broker.pid},
                within_s=120,
                every_s=0.1,
            )
            assert station.wait(60) == 0
        used_s = cpu_s(collector.pid) - before_s
        subprocess.run(small_station(tmp_path, broker, "live", 300, 30), check=True, timeout=60)
        peak = peak_mb(collector.pid)
    lag = lags_ms(tmp_path / "cloud.db", "live")
    began_s = next(moment.at_s for moment in drain.moments if moment.arrived)
    per_s = (2 * parts) / (drain.moments[-1].at_s - began_s)
    show(
        "one station",
        records_per_s=per_s,
        messages=len(every),
        alone_records_per_s=alone,
        of_alone=per_s / alone,
        alone_one_record_a_message_per_s=singly,
        of_alone_one_record_a_message=per_s / singly,
        collector_cpu_ms_a_record=used_s * 1000 / (2 * parts),
        collector_mb=peak,
        most_mb=drain.most_mb(),
        lag_ms_p50=percentile(lag, 0.5),
        lag_ms_p99=percentile(lag, 0.99),
    )
    assert len(lag) == 300


@pytest.mark.parametrize(
    ("records", "batches"), [pytest.param(1, 20, id="1-a-message"), pytest.param(20, 5, id="20-a-message")]
)
def test_a_thousand_stations(tmp_path: Path, records: int, batches: int) -> None:
    every = list(messages(STATIONS, records, batches))
    alone = alone_per_s(tmp_path, every)
    with cloud(tmp_path) as (broker, collector), Publishers(str(broker.address), records) as publishers:
        before_s, began_s = cpu_s(collector.pid), time.monotonic()
        publishers.send(every)
        publishers.await_settled(records * len(every))
        seconds, used_s = time.monotonic() - began_s, cpu_s(collector.pid) - before_s
        memory = {"collector": peak_mb(collector.pid), "broker": peak_mb(broker.pid)}
    per_s = len(every) / seconds
    with cloud(tmp_path / "paced") as (broker, _collector), Publishers(str(broker.address), records) as publishers:
        sent = publishers.send(messages(STATIONS, records, 5), per_s / 2)
        publishers.await_settled(records * sent)
    lag = lags_ms(tmp_path / "paced" / "cloud.db", "sim-%")
    show(
        f"{STATIONS} simulated stations, {records} records a message",
        messages_per_s=per_s,
        records_per_s=per_s * records,
        alone_messages_per_s=alone,
        of_alone=per_s / alone,
        collector_cores=used_s / seconds,
        collector_cpu_ms_a_record=used_s * 1000 / (len(every) * records),
        most_mb=memory,
        at_half_speed_lag_ms_p50=percentile(lag, 0.5),
        at_half_speed_lag_ms_p99=percentile(lag, 0.99),
    )
    assert len(lag) == STATIONS * records * 5
