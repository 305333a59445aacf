"""A challenger beside a running station: real engines, a real line port, the challenger in its own process."""

import os
import signal
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest
from brokers import eventually
from daemon_kit import daemon, line_to, status
from shadow_kit import VERDICTS, begin, challenger, desk, processes, renamed, serve, shadow_station, state
from station_kit import good_frame, make_bundle

from cloud_sync.wire.broker import free_port
from edge.config import load_config
from edge.domain.errors import ConfigError
from edge.domain.inspection import Committed, View
from edge.shadow.apart import EngineApart
from edge.shadow.figures import ShadowFigures
from edge.shadow.lane import order_of
from edge.shadow.preparing import prepared, terms_of
from models.bundle_store import activate, rollback


def standing_back(process: int) -> bool:
    """Whether each of its threads runs only where nobody else wants to."""
    threads = [int(folder.name) for folder in Path(f"/proc/{process}/task").iterdir()]
    return {os.sched_getscheduler(thread) for thread in threads} == {os.SCHED_IDLE}


def test_a_challenger_sees_every_part_and_what_it_says_is_counted(tmp_path: Path) -> None:
    made = shadow_station(tmp_path)
    bundle = challenger(made, blindness=1e6)
    with daemon(made) as running, line_to(made) as line:
        line.hear_ready(ready=True)
        begin(running, bundle)
        assert serve(line, running, 8) == VERDICTS * 2
        assert standing_back(processes()[0])
        figures = desk(running).figures("blob")
        heard = desk(running).standings()
    assert (figures.parts, figures.skipped) == (8, 0)
    assert (figures.disagreements, figures.passes_of_rejects, figures.rejects) == (2, 2, 0)
    assert (figures.champion_rejects, figures.undecided, figures.faults) == (2, 0, 0)
    assert figures.as_figures()["champion_score"] > figures.as_figures()["score"]
    assert figures.slowest_ms > 0
    assert heard == {"blob": figures}
    assert processes() == []


@pytest.mark.long
def test_a_challenger_that_loads_in_a_hurry_stands_back_once_it_looks(tmp_path: Path) -> None:
    made = shadow_station(tmp_path)
    config = load_config(made.config)
    order = order_of(prepared(config, "blob", challenger(made)), terms_of(config))
    with closing(EngineApart(order, hurry=True)) as apart:
        assert not standing_back(processes()[0])
        eventually(lambda: apart.ready(60, 0.1), 60)
        assert standing_back(processes()[0])
        found, took_ms = apart.look(good_frame(), (60, 60), lambda: False)
    assert found.frame_score < 0.5
    assert took_ms > 0
    assert processes() == []


@pytest.mark.long
def test_the_same_model_agrees_with_itself_on_every_part_and_every_score(tmp_path: Path) -> None:
    made = shadow_station(tmp_path)
    bundle = challenger(made)
    with daemon(made) as running, line_to(made) as line:
        line.hear_ready(ready=True)
        begin(running, bundle)
        serve(line, running, 8)
        figures = desk(running).figures("blob").as_figures()
    assert (figures["parts"], figures["disagreements"], figures["rejects"]) == (8, 0, 2)
    assert figures["score_gap"] < 1e-6


@pytest.mark.long
def test_every_pair_is_told_to_who_listens_and_a_listener_that_breaks_harms_nothing(tmp_path: Path) -> None:
    made = shadow_station(tmp_path)
    heard: list[tuple[str, str, str, str]] = []

    def listen(committed: Committed, camera_id: str, champion: View, challenging: View) -> None:
        heard.append((committed.inspection.part.part_id, camera_id, champion.verdict, challenging.verdict))
        raise LookupError("a listener that breaks")

    bundle = challenger(made, blindness=1e6)
    with daemon(made) as running, line_to(made) as line:
        line.hear_ready(ready=True)
        desk(running).on_pair = listen
        begin(running, bundle)
        assert serve(line, running, 4) == VERDICTS
        eventually(lambda: len(heard) == 4)
        assert desk(running).figures("blob").faults == 0
    assert heard == [(f"p-{number}", "top", verdict, "PASS") for number, verdict in enumerate(VERDICTS)]


def test_prometheus_and_the_status_file_say_how_a_shadow_stands(tmp_path: Path) -> None:
    port = free_port()
    made = shadow_station(tmp_path, {"metrics": {"listen": f"127.0.0.1:{port}"}})
    bundle = challenger(made, blindness=1e6)
    with daemon(made) as running, line_to(made) as line:
        line.hear_ready(ready=True)
        assert status(made)["shadows"] == {}
        begin(running, bundle)
        serve(line, running, 4)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
            said = answer.read().decode()
        eventually(lambda: status(made)["shadows"]["blob"]["parts"] == 4)
        shown = status(made)["shadows"]["blob"]
    assert (shown["version"], shown["state"], shown["disagreements"], shown["faults"]) == (2, "looking", 1, 0)
    for wanted in (
        'inspectd_shadow_looking{product="blob"} 1.0',
        'inspectd_shadow_parts_total{outcome="agreed",product="blob"} 3.0',
        'inspectd_shadow_parts_total{outcome="disagreed",product="blob"} 1.0',
        'inspectd_shadow_faults_total{product="blob"} 0.0',
    ):
        assert wanted in said


def test_figures_begin_again_when_another_champion_goes_live(tmp_path: Path) -> None:
    made = shadow_station(tmp_path)
    shadowing = challenger(made)
    champions = [bundle.model_id for bundle in (challenger(made, blindness=1e6), shadowing)]
    with daemon(made) as running, line_to(made) as line:
        line.hear_ready(ready=True)
        begin(running, shadowing)
        assert serve(line, running, 4, "before") == VERDICTS
        activate(made.bundles, "blob", champions[0].version)
        eventually(lambda: running._station.products["blob"].engine.model_id == champions[0])  # noqa: SLF001
        assert serve(line, running, 4, "after") == ["PASS"] * 4
        figures = desk(running).figures("blob")
        rollback(made.bundles, "blob")
    assert (figures.champion, figures.challenger, figures.restarts) == (*champions, 1)
    assert (figures.parts, figures.disagreements, figures.champion_rejects) == (4, 1, 0)


def test_begin_twice_goes_on_counting_and_another_bundle_counts_anew(tmp_path: Path) -> None:
    made = shadow_station(tmp_path)
    first, second = challenger(made), challenger(made, blindness=1e6)
    with daemon(made) as running, line_to(made) as line:
        line.hear_ready(ready=True)
        begin(running, first)
        serve(line, running, 2)
        begin(running, first)
        assert desk(running).figures("blob").parts == 2
        begin(running, second)
        assert desk(running).figures("blob").parts == 0
        serve(line, running, 4, "second")
        figures = desk(running).figures("blob")
        eventually(lambda: len(processes()) == 1)
        desk(running).end("blob")
        desk(running).end("blob")
        eventually(lambda: processes() == [])
        assert desk(running).figures("blob").parts == figures.parts
        assert desk(running).standings() == {}
    assert (figures.challenger, figures.parts, figures.passes_of_rejects) == (second.model_id, 4, 1)


@pytest.mark.long
def test_parts_of_another_product_and_master_parts_are_not_compared(tmp_path: Path) -> None:
    made = shadow_station(tmp_path)
    made.config.write_text(made.config.read_text() + "[[product]]\nid = 'cap'\nbundle = 'cap'\n")
    make_bundle(made.bundles, "cap")
    bundle = challenger(made)
    with daemon(made) as running, line_to(made) as line:
        line.hear_ready(ready=True)
        begin(running, bundle)
        serve(line, running, 2)
        for number in range(4):
            line.trigger(f"cap-{number}", "cap")
            line.hear()
        serve(line, running, 2, "again")
        figures = desk(running).figures("blob")
        assert desk(running).figures("cap") == ShadowFigures()
    assert (figures.parts, figures.skipped) == (4, 0)


def test_a_challenger_with_other_classes_is_refused_at_once(tmp_path: Path) -> None:
    made = shadow_station(tmp_path)
    bundle = renamed(made)
    with daemon(made) as running:
        with pytest.raises(ConfigError, match="class"):
            desk(running).begin("blob", bundle)
        assert state(running) == "none"
        assert processes() == []


def test_a_station_that_stops_takes_its_challenger_along_loading_or_looking(tmp_path: Path) -> None:
    made = shadow_station(tmp_path)
    bundle = challenger(made)
    with daemon(made) as running:
        desk(running).begin("blob", bundle)
        eventually(processes)
    assert processes() == []
    with daemon(made) as running, line_to(made) as line:
        line.hear_ready(ready=True)
        assert state(running) == "none"
        begin(running, bundle)
        os.kill(processes()[0], signal.SIGTERM)  # as a service manager's stop does: to the daemon and its children
        assert serve(line, running, 4, "again") == VERDICTS
        figures = desk(running).figures("blob")
        assert (figures.parts, figures.undecided, figures.faults) == (4, 0, 0)
    assert processes() == []
