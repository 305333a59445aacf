"""What a station that was long without its cloud has to send arrives while inspection goes on.

Every part is two records, the inspection and what became of it: a day at 30 parts a second is 2.6 million of each. The
short form drains a 26th and shows that the rate does not fall with what is stored; the long form drains the day.
"""

import json
import sys
import time
from pathlib import Path

import pytest
from backlog_kit import fill
from draining import Drain, arrived_in, size_mb, watch
from line_kit import STATION, Line, make_line

from cloud_sync.wire.broker import LocalBroker, available_kinds, free_port
from edge.config_sync import RetentionSection
from edge.demo.compare import read_told
from edge.domain.inspection import Outcome
from edge.domain.percentile import percentile

DAY = 2_592_000  # parts: 30 a second
RATE_HZ = "5"
SIZES = [
    pytest.param(100_000, 600, id="200-thousand-records", marks=pytest.mark.benchmark),
    pytest.param(DAY, 3 * 3600, id="a-day", marks=[pytest.mark.soak, pytest.mark.timeout(4 * 3600)]),
]


@pytest.mark.parametrize(("parts", "within_s"), SIZES)
def test_a_backlog_drains_while_inspection_goes_on(tmp_path: Path, parts: int, within_s: float) -> None:
    broker = LocalBroker(available_kinds()[0], tmp_path / "broker", free_port(), persistence=True)
    line = make_line(tmp_path, broker, settings={"retention": {"images": "none"}})
    with line.daemon(), line.simulator(100, "--rate", RATE_HZ, "--prefix", "quiet") as simulator:
        simulator.communicate(timeout=60)
    quiet_ms = told_p99_ms(line, "quiet")
    began_s = time.monotonic()
    fill(line.station.database, STATION, parts, Outcome.UNCONFIRMED)  # no log says what a line heard of them
    sys.stderr.write(f"\n{parts} parts written in {time.monotonic() - began_s:.0f} s, ")
    sys.stderr.write(f"{size_mb(line.station.database.parent):.0f} MB\n")
    drain = drain_beside_inspection(line, broker, 2 * parts, within_s)
    show(drain, parts, told_p99_ms(line, "part"), quiet_ms)
    on_disk_mb = size_mb(line.station.database.parent)
    sys.stderr.write(f"{on_disk_mb:.0f} MB on the station's disk\n")
    assert on_disk_mb < RetentionSection().records_bytes / 1e6
    report = line.check()
    assert report.clean, report
    assert report.tally["inspections"] >= parts
    rates = drain.rates(5)
    assert min(rates[2:]) > 0.5 * max(rates[:2])


def told_p99_ms(line: Line, prefix: str) -> float:
    """Trigger to told, of the parts whose name begins so."""
    told = (each for each in read_told(line.log) if each.part_id.startswith(prefix))
    return percentile(sorted(each.latency_ms or 0.0 for each in told), 0.99)


def drain_beside_inspection(line: Line, broker: LocalBroker, records: int, within_s: float) -> Drain:
    """Start everything, and the line with it; until all of the backlog is in the cloud and acknowledged."""
    with broker, line.collector() as collector, line.daemon() as daemon:
        with line.simulator(10_000_000, "--rate", RATE_HZ) as simulator:
            pids = {"station": daemon.pid, "collector": collector.pid, "broker": broker.pid}
            drain = watch(lambda: arrived_in(line.store), records, pids, within_s, every_s=min(5.0, within_s / 300))
            simulator.terminate()
        line.await_acknowledged(60)
    return drain


def show(drain: Drain, parts: int, busy_ms: float, quiet_ms: float) -> None:
    figures = {
        "parts": parts,
        "records_per_s": round(drain.per_s),
        "records_per_s_over_time": [round(rate) for rate in drain.rates(5)],
        "a_day_takes_min": round(2 * DAY / drain.per_s / 60, 1),
        "most_mb": {name: round(mb) for name, mb in drain.most_mb().items()},
        "cores": {name: round(cores, 2) for name, cores in drain.cores().items()},
        "told_p99_ms": {"draining": round(busy_ms, 1), "quiet": round(quiet_ms, 1)},
    }
    sys.stderr.write(f"\n{json.dumps(figures)}\n")
