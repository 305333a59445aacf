"""Fleet, runs, rollouts, triggers and the cloud's health: what is shown, who may change what, what comes of it."""

import hashlib
import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import pytest
from fleet_kit import RELEASE, RUN, drifts, health, rollout, run, station
from pages_kit import Visitor, let_in, visitor
from retraining_kit import write_cloud
from stores import ask

from cloud_sync.hub.files.blobs import open_blobs
from cloud_sync.hub.retraining.cloud_toml import load_config
from cloud_sync.hub.rollout.plan import RolloutPlan
from cloud_sync.hub.rollout.stages import Asked, Counts, Standing, What, decide
from cloud_sync.hub.store.writing import StoreWriter
from cloud_sync.hub.trust.kept import read_state
from cloud_sync.hub.web.health import signed_until
from cloud_sync.hub.web.rollout_stations import gates
from cloud_sync.hub.web.site import make_fleet_pages
from cloud_sync.hub.web.standing import SILENT_MS
from cloud_sync.pages.audit import AuditLog
from cloud_sync.pages.serving import Listen
from cloud_sync.pages.store import PagesStore


@dataclass
class Cloud:
    """A store as it stands in the middle of a week, and its pages."""

    place: str
    config: Path
    operator: Visitor
    engineer: Visitor


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Cloud:
    folder = tmp_path_factory.mktemp("cloud")
    place, now_ms = str(folder / "cloud.db"), time.time_ns() // 1_000_000
    StoreWriter(place).close()
    station(place, "press-1", now_ms, judged=(90, 8, 2))
    station(place, "press-2", now_ms, said=health(now_ms, ready=False, waiting=7, faults={"camera": "no frame"}))
    station(place, "press-3", now_ms, state="offline", seen_ago_ms=900_000)
    station(place, "press-4", now_ms, seen_ago_ms=SILENT_MS + 60_000)
    station(place, "press-5", now_ms, judged=(10, 0, 30), model="cells-v2")
    drifts(place, "press-5")
    run(place, now_ms)
    rollout(place, now_ms, ("press-1", "press-2", "press-3"))
    config = write_cloud(folder, place)
    app = make_fleet_pages(load_config(config), Listen())
    let_in(app)
    return Cloud(place, config, visitor(app, "operator"), visitor(app, "engineer"))


def order(text: str) -> list[str]:
    """The stations of a page, from the top."""
    names = [f"press-{number}" for number in range(1, 6) if f'id="s-press-{number}"' in text]
    return sorted(names, key=lambda name: text.index(f'id="s-{name}"'))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param("", ["2", "4", "3", "5", "1"], id="all-the-worst-first"),
        pytest.param("?order=station", ["1", "2", "3", "4", "5"], id="all-by-name"),
        pytest.param("?show=offline", ["4", "3"], id="away-or-silent"),
        pytest.param("?show=attention", ["2", "4", "3", "5"], id="needs-a-look"),
        pytest.param("?show=drift", ["5"], id="drift"),
        pytest.param("?show=backlog", ["2"], id="backlog"),
        pytest.param("?show=not_ready", ["2"], id="not-ready"),
        pytest.param("?order=state", ["2", "4", "3", "5", "1"], id="worst-state-first"),
        pytest.param("?order=undecided", ["5", "1", "2", "3", "4"], id="most-undecided-first"),
        pytest.param("?order=yield", ["5", "1", "2", "3", "4"], id="lowest-yield-first"),
        pytest.param("?text=CELLS-V2", ["5"], id="by-model"),
        pytest.param("?text=press-3", ["3"], id="by-name"),
        pytest.param("?first=500", ["2", "4", "3", "5", "1"], id="past-the-end"),
    ],
)
def test_stations_are_found_and_ordered(cloud: Cloud, query: str, expected: list[str]) -> None:
    answer = cloud.operator.get(f"/{query}")
    assert answer.status_code == 200
    assert order(answer.text) == [f"press-{number}" for number in expected]


@pytest.mark.parametrize("query", ["?show=nothing", "?order=price", "?first=-1", f"?text={'x' * 101}"])
def test_what_cannot_be_asked_of_the_fleet_is_refused(cloud: Cloud, query: str) -> None:
    assert cloud.operator.get(f"/{query}").status_code == 422


def test_a_station_is_said_by_word_and_shape_with_its_yield_and_its_faults(cloud: Cloud) -> None:
    text = cloud.operator.get("/").text
    for word in ("state-ready", "state-not_ready", "state-offline", "state-silent", "state-alarm"):
        assert f'class="state {word}"' in text
    assert "90.0 %" in text
    assert "no frame" in text
    assert "cells top focus" in text


def test_a_stations_page_shows_all_of_it_and_one_that_is_unknown_is_not_found(cloud: Cloud) -> None:
    text = cloud.operator.get("/stations/press-5").text
    for said in ("focus", "25.0 %", "75.00 %", "cells-v2"):
        assert said in text
    assert f'href="/rollouts/{RELEASE}"' in cloud.operator.get("/stations/press-1").text
    assert cloud.operator.get("/stations/press-9").status_code == 404


def test_a_run_shows_both_models_with_their_intervals_and_why_it_was_refused(cloud: Cloud) -> None:
    assert RUN in cloud.operator.get("/runs").text
    text = cloud.operator.get(f"/runs/{RUN}").text
    for said in ("4 / 30", "1 / 30", "13.3 % (3.8 % to 30.7 %)", "3 / 20", "0.375", "a rule of a later version"):
        assert said in text, said
    assert "3 of 20 good images are rejected" in text
    assert text.count("state-not_met") >= 2
    assert cloud.operator.get("/runs/cells-ffffffffffff").status_code == 404


def test_a_runs_report_comes_as_a_file_and_opens_nothing_here(cloud: Cloud) -> None:
    assert cloud.operator.get(f"/runs/{RUN}/report").status_code == 404
    content = b"<!doctype html><style>body { color: red }</style>"
    digest = put(cloud, content)
    with_report = "cells-0123456789ac"
    run(cloud.place, 1, run=with_report, report_sha256=digest)
    answer = cloud.operator.get(f"/runs/{with_report}/report")
    assert answer.content == content
    assert answer.headers["content-disposition"].startswith("attachment")


def put(cloud: Cloud, content: bytes) -> str:
    digest = hashlib.sha256(content).hexdigest()
    blobs = open_blobs(load_config(cloud.config).blobs)
    blobs.put(digest, BytesIO(content))
    assert blobs.size(digest) == len(content)
    return digest


def test_a_training_asked_for_by_hand_is_held_as_on_the_command_line_and_noted(cloud: Cloud) -> None:
    assert cloud.operator.post("/runs", {"product": "cells"}).status_code == 403
    held = cloud.engineer.post("/runs", {"product": "cells"})
    assert held.status_code == 409
    assert "nothing to learn from" in held.text
    assert cloud.engineer.post("/runs", {"product": "plates"}).status_code == 409
    entries = AuditLog(PagesStore(load_config(cloud.config).web.database)).newest()
    rows = [(entry.name, entry.action, entry.outcome) for _, entry in entries]
    assert ("engineer", "retrain", "cells: no image of it has a label: nothing to learn from") in rows


def test_a_run_under_way_is_ended_by_an_engineer_after_it_was_said_what_that_means(cloud: Cloud) -> None:
    going = "plates-0123456789ab"
    run(cloud.place, 1, run=going, product="plates", result=None, reason=None, ended_at_ms=None, proof=None)
    assert f"/runs/{going}/end" in cloud.engineer.get(f"/runs/{going}").text
    assert f"/runs/{going}/end" not in cloud.operator.get(f"/runs/{going}").text
    assert "plates" in cloud.engineer.get(f"/runs/{going}/end").text
    assert cloud.operator.post(f"/runs/{going}/end", {"why": "x"}).status_code == 403
    assert cloud.engineer.post(f"/runs/{going}/end", {"why": "stuck"}).status_code == 303
    assert ask(cloud.place, "SELECT result, reason FROM retraining_runs WHERE product = 'plates'") == [
        ("ended", "ended by engineer: stuck")
    ]
    assert cloud.engineer.post(f"/runs/{going}/end").status_code == 409


def test_a_rollout_shows_each_gate_and_what_it_waits_for(cloud: Cloud) -> None:
    assert "asked it" in cloud.operator.get("/rollouts").text
    text = cloud.operator.get(f"/rollouts/{RELEASE}").text
    assert "4 of 30 judged otherwise" in text
    assert "state-not_met" in text
    assert "No worker" in text
    assert cloud.operator.get("/rollouts/nothing-v1.bundle").status_code == 404


def test_a_stop_names_whom_it_calls_back_and_does_what_the_command_does(cloud: Cloud) -> None:
    asked = cloud.engineer.get(f"/rollouts/{RELEASE}/stop").text
    assert "press-1" in asked
    assert "press-2" not in asked
    assert cloud.operator.get(f"/rollouts/{RELEASE}/stop").status_code == 403
    assert cloud.operator.post(f"/rollouts/{RELEASE}/stop").status_code == 403
    assert cloud.engineer.post(f"/rollouts/{RELEASE}/stop", {"why": "scratches pass"}).status_code == 303
    assert ask(cloud.place, "SELECT state, why FROM rollouts") == [("stopped", "engineer stopped it: scratches pass")]
    assert ask(cloud.place, "SELECT asked FROM rollout_stations WHERE station = 'press-1'") == [("back",)]
    assert "press-1" in cloud.engineer.get(f"/rollouts/{RELEASE}/resume").text
    assert cloud.operator.post(f"/rollouts/{RELEASE}/resume").status_code == 403
    assert cloud.engineer.post(f"/rollouts/{RELEASE}/resume").status_code == 303
    assert ask(cloud.place, "SELECT state, attempt FROM rollouts") == [("waiting", 2)]
    assert cloud.engineer.post("/rollouts/nothing-v1.bundle/stop").status_code == 409


def test_a_gate_that_is_shown_as_not_kept_is_one_that_stops_the_rollout() -> None:
    dice, plan, stopped = random.Random(7), RolloutPlan(shadow_parts=50, live_parts=40), 0
    for _ in range(500):
        parts = dice.randint(0, 200)
        counts = Counts(
            parts=parts,
            disagreements=dice.randint(0, parts // 8),
            undecided=dice.randint(0, 3),
            rejects=dice.randint(0, parts // 4),
            champion_rejects=dice.randint(0, parts // 4),
            passes_of_rejects=dice.randint(0, 12),
            faults=dice.choice([0, 0, 0, 1]),
        )
        state, asked = dice.choice([("shadow", Asked.SHADOW), ("live", Asked.LIVE)])
        one = Standing("press-1", asked, state, counts=counts)
        broken = any(not gate.is_kept for gate in gates(plan, one))
        assert broken == (decide(plan, 0, 0, [one]).what is What.STOP), counts
        stopped += broken
    assert 50 < stopped < 450


def test_triggers_say_what_each_has_and_waits_for(cloud: Cloud) -> None:
    text = cloud.operator.get("/triggers").text
    assert "0 of 50 new labels" in text
    assert "0 of 20 judged parts" in text
    assert "cells top focus" not in text or "press-5" in text
    assert text.count("state-off") == 1  # the schedule


def test_the_cloud_says_that_its_collector_is_silent_and_what_is_signed(cloud: Cloud) -> None:
    text = cloud.operator.get("/health").text
    for said in ("timestamp", "365.0", "No dead letter", "Nothing is in quarantine"):
        assert said in text, said
    assert "No worker ever ran" in text


@pytest.mark.parametrize(
    ("days", "word"),
    [pytest.param(1, "good", id="fresh"), pytest.param(6, "soon", id="late"), pytest.param(8, "expired", id="over")],
)
def test_what_is_signed_is_warned_of_before_it_ends(cloud: Cloud, days: int, word: str) -> None:
    found = {one.role: one for one in signed_until(read_state(cloud.place), datetime.now(UTC) + timedelta(days=days))}
    assert found["timestamp"].state == word
    assert found["root"].state == "good"


def test_each_page_speaks_chinese_and_is_whole_in_it(cloud: Cloud) -> None:
    chinese = {"accept-language": "zh-CN,zh;q=0.9"}
    pages = (
        "/",
        "/stations/press-5",
        "/runs",
        f"/runs/{RUN}",
        "/rollouts",
        f"/rollouts/{RELEASE}",
        "/triggers",
        "/health",
    )
    for path in pages:
        answer = cloud.operator.get(path, headers=chinese)
        assert answer.status_code == 200, path
        assert '<html lang="zh"' in answer.text


def test_what_a_station_sends_is_text_and_never_markup(cloud: Cloud) -> None:
    now_ms = time.time_ns() // 1_000_000
    evil = "<script>alert(1)</script>"
    station(cloud.place, "press-6", now_ms, said=health(now_ms, faults={"x": evil}), judged=(1, 0, 0), model=evil)
    for path in ("/", "/stations/press-6", "/rollouts"):
        text = cloud.operator.get(path).text
        assert evil not in text
        assert "&lt;script&gt;" in text
