"""Prometheus's own tools judge the alerts: each fires for what it is about, and is silent for what is near it."""

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

PROMETHEUS = Path(__file__).parents[2] / "deploy" / "prometheus"
RULES = PROMETHEUS / "inspectd.rules.yml"
STATION, HUB = '{job="inspectd-station",instance="line-1"}', '{job="inspectd-collector",instance="hub-1"}'
PARTS = 'inspectd_parts_total{instance="line-1",verdict="%s",outcome="%s"}'
TOLD, LATE = PARTS % ("PASS", "told"), PARTS % ("UNDECIDED", "late")
LAG = 'inspectd_collector_lag_seconds_bucket{instance="hub-1",le="%s"}'
Series = dict[str, str]


@dataclass(frozen=True)
class Case:
    """An alert, minute by minute: what makes it fire, what is near that and does not, and when both are looked at."""

    alert: str
    fires: Series
    silent: Series
    at: str = "90m"


def one(name: str, labels: str, fires: str, silent: str, at: str = "90m") -> tuple[Series, Series, str]:
    return {name + labels: fires}, {name + labels: silent}, at


OF_STATION = '{instance="line-1"}'
OF_STREAM = '{instance="line-1",stream="inspections"}'
OF_SIGN = '{instance="line-1",product="cell",camera="top",sign="brightness"}'
OF_HUB = '{instance="hub-1"}'
STEADY = "0+60x120"
CASES = [
    Case("InspectdStationDown", *one("up", STATION, "1x60 0x60", "1x60 0 1x59")),
    Case("InspectdStationNotReady", *one("inspectd_ready", OF_STATION, "1x60 0x60", "1x88 0 1x30")),
    Case("InspectdStationRestarts", *one("inspectd_start_time_seconds", OF_STATION, "1x80 2 3 4 5x60", "1x80 2x60")),
    Case("InspectdStationHangs", {'inspectd_fault{instance="line-1",fault="hung"}': "1x120"},
         {'inspectd_fault{instance="line-1",fault="storage"}': "1x120"}),
    Case("InspectdPartsUntold", {PARTS % ("none", "late"): "0x85 1x60"}, {LATE: "0x85 1x60"}),
    Case("InspectdVerdictAfterDeadline", {PARTS % ("PASS", "late"): "0x60 1x60"}, {LATE: "0x60 1x60"}),
    Case("InspectdPartsLate", {TOLD: STEADY, LATE: "0+1x120"}, {TOLD: STEADY, LATE: "0x60 1x60"}),
    Case("InspectdVerdictsUnconfirmed", {TOLD: STEADY, PARTS % ("PASS", "unconfirmed"): "0+1x120"},
         {TOLD: STEADY, PARTS % ("PASS", "unconfirmed"): "0x80 1x60"}),
    Case("InspectdManyUndecided", {TOLD: STEADY, PARTS % ("UNDECIDED", "told"): "0+6x120"},
         {TOLD: STEADY, PARTS % ("UNDECIDED", "told"): "0+2x120"}),
    Case("InspectdManyRejects", {TOLD: STEADY, PARTS % ("REJECT", "told"): "0x65 0+20x120"},
         {TOLD: STEADY, PARTS % ("REJECT", "told"): "0+20x120"}),
    Case("InspectdCameraLost", *one("inspectd_camera_lost", '{instance="line-1",camera="top"}', "0x60 1x60", "0x120")),
    Case("InspectdStationAlarm", *one("inspectd_alarm", '{instance="line-1",alarm="disk"}', "1x120", "_x85 1x9")),
    Case("InspectdStationAlarm", {'inspectd_alarm{instance="line-1",alarm="disk"}': "1x120"},
         {'inspectd_alarm{instance="line-1",alarm="drift"}': "1x120"}),
    Case("InspectdDrift", *one("inspectd_drift_alarm", OF_SIGN, "0x60 1x60", "0x86 1x2 0x40")),
    Case("InspectdDiskFillsUp", *one("inspectd_disk_free_bytes", OF_STATION, "9e10-1e8x120", "9e10-1e5x120")),
    Case("InspectdDiskFillsUp", *one("inspectd_disk_free_bytes", OF_STATION, "1.9e9x120", "2.1e9x120")),
    Case("InspectdSpoolUnreadable", *one("inspectd_spool_readable", OF_STATION, "0x120", "1x120")),
    Case("InspectdBrokerAway", *one("inspectd_link_connected", OF_STATION, "0x120", "1x80 0x40")),
    Case("InspectdBrokerRefuses", *one("inspectd_link_denied", OF_STATION, "1x120", "0x120")),
    Case("InspectdRecordsWait", *one("inspectd_outbox_records", OF_STREAM, "0+100x120", "12000-100x120")),
    Case("InspectdNothingAcknowledged",
         {"inspectd_last_ack_age_seconds" + OF_STATION: STEADY, "inspectd_outbox_records" + OF_STREAM: "5x120"},
         {"inspectd_last_ack_age_seconds" + OF_STATION: STEADY, "inspectd_outbox_records" + OF_STREAM: "0x120"}),
    Case("InspectdDeadLetters", *one("inspectd_dead_letter_records", OF_STREAM, "1x120", "0x120")),
    Case("InspectdRecordsLost", *one("inspectd_lost_records_total", OF_STREAM, "0x60 9x60", "9x120")),
    Case("InspectdCertificateEnds", *one("inspectd_certificate_left_seconds", OF_STATION, "1e6x120", "2e6x120")),
    Case("InspectdCollectorDown", *one("up", HUB, "0x120", "1x89 0x30")),
    Case("InspectdCollectorWithoutBroker", *one("inspectd_collector_link_connected", OF_HUB, "0x120", "1x87 0x30")),
    Case("InspectdStoreFails", *one("inspectd_collector_store_faults_total", OF_HUB, "0+1x120", "0x85 1x60")),
    Case("InspectdCollectorLags", {LAG % "300.0": "0x120", LAG % "1800.0": STEADY, LAG % "+Inf": STEADY},
         {LAG % "1.0": STEADY, LAG % "1800.0": STEADY, LAG % "+Inf": STEADY}),
    Case("InspectdQuarantine", {'inspectd_collector_records_total{instance="hub-1",fate="quarantined"}': "0x60 1x60"},
         {'inspectd_collector_records_total{instance="hub-1",fate="again"}': STEADY}),
    Case("InspectdCollectorDeadLetters",
         *one("inspectd_collector_dead_letters_total", '{instance="hub-1",fate="kept"}', "0x60 1x60", "7x120")),
    Case("InspectdStationsAway", *one("inspectd_collector_stations_online", OF_HUB, "9x60 8x60", "8x60 9x60")),
    Case("InspectdStationTwice", *one("inspectd_collector_stations_doubled", OF_HUB, "0x60 1x60", "0x120")),
    Case("InspectdFilesFail", *one("inspectd_collector_file_faults", OF_HUB, "0+1x120", "0x80 1x60")),
    Case("InspectdSignedExpires",
         *one("inspectd_collector_signed_timestamp_left_seconds", OF_HUB, "1e5x120", "5e5x120")),
    Case("InspectdSignedExpires", *one("inspectd_collector_signed_root_left_seconds", OF_HUB, "5e6x120", "6e6x120")),
    Case("InspectdReleaseFails", *one("inspectd_collector_release_stations_against", OF_HUB, "0x60 1x60", "0x120")),
    Case("InspectdReleaseUnproven",
         *one("inspectd_collector_release_stations_unproven", OF_HUB, "2x1500", "2x1400 0x100", "1500m")),
    Case("InspectdRolloutStopped", *one("inspectd_collector_rollouts_stopped", OF_HUB, "1x120", "0x120")),
]  # fmt: skip


def rules() -> list[dict[str, object]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def promtool(*words: str) -> tuple[int, str]:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is not on this machine (Debian package prometheus)")
    done = subprocess.run([found, *words], capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout + done.stderr


def unit_test(cases: dict[str, tuple[Case, bool]]) -> str:
    """All cases in promtool's own words, each with an instance of its own: whether its alert fires."""
    series, asked = [], []
    for instance, (case, fires) in cases.items():
        given = case.fires if fires else case.silent
        for name, values in given.items():
            renamed = re.sub(r'instance="[^"]*"', f'instance="{instance}"', name)
            series.append({"series": renamed, "values": values})
        firing = f'ALERTS{{alertname="{case.alert}",alertstate="firing",instance="{instance}"}}'
        expected = [{"labels": "{}", "value": int(fires)}]
        asked.append({"expr": f"count({firing}) or vector(0)", "eval_time": case.at, "exp_samples": expected})
    tests = [{"interval": "1m", "input_series": series, "promql_expr_test": asked}]
    return json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests})


def test_every_alert_fires_for_what_it_is_about_and_not_for_what_is_near(tmp_path: Path) -> None:
    cases = {f"fires-{number}": (case, True) for number, case in enumerate(CASES)}
    cases |= {f"silent-{number}": (case, False) for number, case in enumerate(CASES)}
    path = tmp_path / "test.yml"
    path.write_text(unit_test(cases))
    code, said = promtool("test", "rules", str(path))
    assert code == 0, said
    assert {case.alert for case in CASES} == {rule["alert"] for rule in rules()}


def test_promtool_takes_rules_and_the_example_of_a_configuration(tmp_path: Path) -> None:
    code, said = promtool("check", "rules", str(RULES))
    assert code == 0, said
    text = (PROMETHEUS / "prometheus.yml").read_text()
    named = re.search(r"/\S+rules\.yml", text)
    assert named is not None
    assert Path(named.group()).name == RULES.name
    (tmp_path / "prometheus.yml").write_text(text.replace(named.group(), str(RULES)))
    code, said = promtool("check", "config", str(tmp_path / "prometheus.yml"))
    assert code == 0, said


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: str(rule["alert"]))
def test_an_alert_says_what_is_wrong_where_and_what_to_do(rule: dict[str, dict[str, str]]) -> None:
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert "{{ $labels.instance }}" in rule["annotations"]["summary"]
    assert len(rule["annotations"]["action"]) > 40
    assert rule["annotations"]["action"].endswith(".")


def test_an_alert_that_would_not_fire_is_found(tmp_path: Path) -> None:
    quiet = Case(CASES[0].alert, CASES[0].silent, CASES[0].silent)
    path = tmp_path / "test.yml"
    path.write_text(unit_test({"line-1": (quiet, True)}))
    assert promtool("test", "rules", str(path))[0] == 1
