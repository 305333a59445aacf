"""Challengers that are no good: each is counted for what it does, and no verdict and no record changes."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from brokers import eventually
from daemon_kit import daemon, line_to
from edge_rows import rows
from shadow_kit import VERDICTS, begin, challenger, desk, processes, serve, shadow_station, spinning, state
from station_kit import Station

from models.bundle import Bundle

FAST = {"inference": {"threads": 1, "timeout_ms": 100}}


def versions(made: Station) -> set[int]:
    """Of the models in all records."""
    found = rows(made.database, "SELECT payload FROM records WHERE stream = 'inspections'")
    return {view["model"]["version"] for (payload,) in found for view in json.loads(payload)["views"]}  # type: ignore[arg-type]


def outcomes(made: Station) -> set[str]:
    return {str(outcome) for (outcome,) in rows(made.database, "SELECT coalesce(outcome, 'open') FROM inspections")}


@pytest.mark.parametrize(
    ("make", "counts"),
    [
        pytest.param(
            lambda made: challenger(made, nan_above=130),
            {"undecided": 2, "faults": 2, "disagreements": 2, "rejects": 0, "passes_of_rejects": 0},
            id="NaN where a part is bad",
        ),
        pytest.param(
            lambda made: challenger(made, blindness=1e6),
            {"undecided": 0, "faults": 0, "disagreements": 2, "rejects": 0, "passes_of_rejects": 2},
            id="always PASS",
            marks=pytest.mark.long,
        ),
        pytest.param(
            lambda made: challenger(made, blindness=0.01),
            {"undecided": 0, "faults": 0, "disagreements": 6, "rejects": 8, "passes_of_rejects": 0},
            id="always REJECT",
            marks=pytest.mark.long,
        ),
    ],
)
def test_what_a_bad_challenger_says_is_counted_and_changes_no_verdict_and_no_record(
    tmp_path: Path, make: Callable[[Station], Bundle], counts: dict[str, int]
) -> None:
    made = shadow_station(tmp_path)
    bundle = make(made)
    with daemon(made) as running, line_to(made) as line:
        line.hear_ready(ready=True)
        begin(running, bundle)
        assert serve(line, running, 8) == VERDICTS * 2
        figures = desk(running).figures("blob")
        assert running._station.health.state() == (True, "")  # noqa: SLF001
    assert {name: getattr(figures, name) for name in counts} == counts
    assert (figures.parts, figures.skipped, figures.champion_rejects) == (8, 0, 2)
    assert (versions(made), outcomes(made)) == ({1}, {"told"})


@pytest.mark.long
def test_a_challenger_that_spins_for_ever_is_let_go_three_times_and_then_for_good(tmp_path: Path) -> None:
    made = shadow_station(tmp_path, FAST)
    bundle = spinning(made)
    with daemon(made) as running, line_to(made) as line:
        line.hear_ready(ready=True)
        begin(running, bundle)
        verdicts = []
        while state(running) != "broken":
            eventually(lambda: state(running) != "loading", 60)
            verdicts += serve(line, running, 4, f"p-{len(verdicts)}")
        figures = desk(running).figures("blob")
        eventually(lambda: processes() == [])
    assert verdicts == VERDICTS * (len(verdicts) // 4)
    assert (figures.faults, figures.undecided) == (3, 3)
    assert "hangs" in figures.why
    assert (versions(made), outcomes(made)) == ({1}, {"told"})


@pytest.mark.long
def test_a_challenger_whose_process_stands_still_is_starved_twice_and_then_hangs(tmp_path: Path) -> None:
    made = shadow_station(tmp_path, FAST)
    bundle = challenger(made)
    with daemon(made) as running, line_to(made) as line:
        line.hear_ready(ready=True)
        begin(running, bundle)
        (child,) = processes()
        os.kill(child, signal.SIGSTOP)
        assert serve(line, running, 3) == VERDICTS[:3]
        figures = desk(running).figures("blob")
        eventually(lambda: state(running) == "looking", 60)
        assert serve(line, running, 5, "again") == ["REJECT", *VERDICTS]
        after = desk(running).figures("blob")
    assert (figures.skipped, figures.faults, figures.parts) == (2, 1, 1)
    assert (after.faults, after.parts, after.undecided) == (1, 6, 1)


@pytest.mark.long
def test_a_challenger_that_is_killed_comes_back_twice(tmp_path: Path) -> None:
    made = shadow_station(tmp_path)
    bundle = challenger(made)
    with daemon(made) as running, line_to(made) as line:
        line.hear_ready(ready=True)
        begin(running, bundle)
        verdicts = []
        for turn in range(3):
            eventually(lambda: state(running) == "looking", 60)
            verdicts += serve(line, running, 3, f"sound-{turn}")
            (child,) = processes()
            os.kill(child, signal.SIGKILL)
            verdicts += serve(line, running, 1, f"killed-{turn}")
        figures = desk(running).figures("blob")
    assert verdicts == VERDICTS * 3
    assert (figures.state, figures.faults, figures.parts, figures.undecided) == ("broken", 3, 12, 3)
    assert (versions(made), outcomes(made)) == ({1}, {"told"})


@pytest.mark.long
def test_a_challenger_whose_files_change_after_it_was_opened_never_looks(tmp_path: Path) -> None:
    made = shadow_station(tmp_path)
    bundle = challenger(made)
    (bundle.path / "model.bin").write_bytes(b"something else")
    with daemon(made) as running, line_to(made) as line:
        line.hear_ready(ready=True)
        begin(running, bundle)
        assert serve(line, running, 4) == VERDICTS
        figures = desk(running).figures("blob")
        assert processes() == []
    assert (figures.state, figures.faults, figures.parts) == ("broken", 1, 0)
    assert "cannot be loaded" in figures.why
