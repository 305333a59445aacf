"""The figures of a real daemon over HTTP, and the log of its link, while a real broker dies and comes back."""

import json
import re
import time
import urllib.request
from pathlib import Path

import pytest
from brokers import eventually
from daemon_kit import daemon
from line_kit import Line, make_line
from pki_kit import authority, enrolled
from prometheus_client.parser import text_string_to_metric_families
from station_kit import Station, make_bundle, write_frames
from wiretap import wiretap

from cloud_sync.wire import topics
from cloud_sync.wire.broker import LocalBroker, available_kinds, free_port
from cloud_sync.wire.messages import StateMessage
from edge.domain.errors import OutputError
from edge.domain.inspection import Outcome, OutcomeOf
from edge.domain.part import Verdict
from edge.metrics import HELP, MetricsServer
from edge.tally import BOUNDS_S, NOT_TOLD, Tally

mosquitto_only = pytest.mark.skipif("mosquitto" not in available_kinds(), reason="mosquitto is not on this machine")
UNITS = ("_seconds", "_bytes", "_total", "_records", "_waiting", "_info")
STATES = ("ready", "looking", "lost", "fault", "alarm", "readable", "connected", "denied")


def scrape(port: int) -> dict[str, dict[tuple[str, ...], float]]:
    """Samples by name, each by the values of its labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
        text = answer.read().decode()
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


def scraped(port: int, name: str, *labels: str) -> float | None:
    try:
        return scrape(port).get(name, {}).get(labels)
    except OSError:
        return None


def link_lines(line: Line) -> list[str]:
    log = (line.station.folder / "daemon.log").read_text()
    return re.findall(r"the link is (?:lost|back|there)[^\n]*", log)


@mosquitto_only
def test_a_running_station_tells_prometheus_all_and_its_log_the_links_loss_and_return_once(tmp_path: Path) -> None:
    made, port = LocalBroker("mosquitto", tmp_path / "broker", free_port()), free_port()
    line = make_line(tmp_path, made, settings={"metrics": {"listen": f"127.0.0.1:{port}"}, "sync": {"images": "none"}})
    with line.daemon():
        eventually(lambda: scraped(port, "inspectd_ready") == 1)
        assert scraped(port, "inspectd_link_connected") == 0
        assert scraped(port, "inspectd_last_ack_age_seconds") is None
        with made, line.collector():
            assert line.run_parts(10)["untold"] == 0
            eventually(lambda: (scraped(port, "inspectd_records_acknowledged_total") or 0) >= 30)
            eventually(lambda: scraped(port, "inspectd_outbox_records", "inspections") == 0)
            figures = scrape(port)
        eventually(lambda: scraped(port, "inspectd_link_connected") == 0)
        failed = [json.loads((line.station.folder / "data" / "status.json").read_text())["written_at"]]
        eventually(lambda: _seen(line, failed) >= 3)  # seconds in which the link tries again and fails
        assert line.run_parts(2, "--prefix", "alone")["untold"] == 0
        assert (scraped(port, "inspectd_outbox_records", "inspections") or 0) == 2
        with made, line.collector(), wiretap(made.address, topics.ANY_STATE) as heard:
            eventually(lambda: scraped(port, "inspectd_outbox_records", "inspections") == 0)
            eventually(lambda: heard)
            lines = link_lines(line)
    state = StateMessage.unpack(heard[-1].payload)
    assert (state.state, state.next_seq) == ("online", 13)

    parts = figures["inspectd_parts_total"]
    assert {labels: count for labels, count in parts.items() if count} == {("told", "PASS"): 8, ("told", "REJECT"): 2}
    assert parts["late", NOT_TOLD] == 0  # known before the first: an increase is seen from 0
    assert figures["inspectd_told_latency_seconds_count"][()] == 10
    assert figures["inspectd_told_latency_seconds_bucket"]["+Inf",] == 10
    assert figures["inspectd_camera_lost"] == {("top",): 0}
    assert figures["inspectd_link_connected"][()] == 1
    assert figures["inspectd_disk_free_bytes"][()] > 0
    assert [text.split(",")[0].split(":")[0].split(" after")[0] for text in lines] == [
        "the link is lost",
        "the link is back",
        "the link is lost",
        "the link is back",
    ]
    assert re.search(r"back after \d+\.\d s, \d+ records wait", lines[-1])
    names = {re.sub(r"_(bucket|sum|count)$", "", name) for name in figures}
    assert names - set(HELP) == set()
    shadow = {name for name in HELP if name.startswith("inspectd_shadow_")}
    absent = {"inspectd_fault", "inspectd_alarm", "inspectd_certificate_left_seconds"} | shadow
    assert set(HELP) - names == absent  # nothing was wrong, the broker is on this machine, and no challenger looks


def _seen(line: Line, written: list[str]) -> int:
    now = json.loads((line.station.folder / "data" / "status.json").read_text())["written_at"]
    if now != written[-1]:
        written.append(now)
    return len(written)


@pytest.mark.parametrize("name", HELP)
def test_a_figures_name_says_its_unit_or_is_a_state(name: str) -> None:
    assert re.fullmatch(r"inspectd_[a-z_]+", name)
    assert name.endswith(UNITS) or name.endswith(STATES)
    assert HELP[name][0] == HELP[name][0].upper()
    assert HELP[name].endswith(".")


def test_the_tally_counts_by_verdict_and_outcome_and_where_in_time_a_part_was_told() -> None:
    tally = Tally()
    tally.note([OutcomeOf(1, "a", Outcome.TOLD, Verdict.PASS, 10.0), OutcomeOf(2, "b", Outcome.LATE, None, None)])
    tally.note([OutcomeOf(3, "c", Outcome.TOLD, Verdict.PASS, 60_000.0)])
    assert tally.parts == {("PASS", "told"): 2, (NOT_TOLD, "late"): 1}
    assert tally.within == [0, 1, *[0] * (len(BOUNDS_S) - 2), 1]
    assert tally.told_s == pytest.approx(60.01)


def test_an_address_that_is_taken_is_a_fault_of_the_outside_world(tmp_path: Path) -> None:
    with LocalBroker(available_kinds()[0], tmp_path, free_port()) as taken, pytest.raises(OutputError, match="metrics"):
        MetricsServer(None, str(taken.address))  # type: ignore[arg-type] - it never comes to be asked


def test_prometheus_learns_how_long_the_stations_certificate_is_good(tmp_path: Path) -> None:
    identity, port = enrolled(authority(tmp_path / "pki"), "test-1", tmp_path / "identity"), free_port()
    sync = {"broker": f"localhost:{free_port()}", "identity": str(identity.folder)}
    made = Station(tmp_path, settings={"sync": sync, "metrics": {"listen": f"127.0.0.1:{port}"}})
    made.write_config()
    make_bundle(made.bundles)
    write_frames(tmp_path / "frames", 1)
    with daemon(made):
        eventually(lambda: scraped(port, "inspectd_certificate_left_seconds"))
        assert scrape(port)["inspectd_certificate_left_seconds"][()] == pytest.approx(90 * 86400, rel=0.01)
        assert scrape(port)["inspectd_start_time_seconds"][()] == pytest.approx(time.time(), abs=60)
        identity.pem.unlink()
        assert scraped(port, "inspectd_certificate_left_seconds") is None
