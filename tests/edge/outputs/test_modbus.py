"""A PLC that is a pymodbus server in a process of its own, against a real daemon or a line port."""

import random
import signal
import sqlite3
import threading
from pathlib import Path

import pytest
from brokers import eventually
from daemon_kit import daemon, line_to, status
from outputs_kit import output_status, section, served_output, with_output
from plc_kit import PlcProcess
from station_kit import Station, end, process

from edge.domain.inspection import Outcome
from edge.domain.part import Verdict


@pytest.fixture
def plc(tmp_path: Path) -> PlcProcess:
    return PlcProcess(tmp_path / "plc")


def recorded(made: Station, column: str) -> dict[str, str]:
    """What stands in the station's database for each part: `verdict` or `outcome`."""
    connection = sqlite3.connect(made.database)
    try:
        return dict(connection.execute(f"SELECT part_id, {column} FROM inspections").fetchall())  # noqa: S608 - ours
    finally:
        connection.close()


def check_results(made: Station, plc: PlcProcess) -> None:
    """Whatever happened: a PLC saw Pass only for a part of that number which the station found good."""
    verdicts = recorded(made, "verdict")
    assert plc.events("violation") == []
    for result in plc.results():
        assert result["own"], result
        assert result["pass"] + result["fail"] == 1, result
        if result["pass"]:
            assert verdicts[f"plc-{result['number']}"] == "PASS", result


def test_a_plc_triggers_parts_and_takes_their_verdicts(made: Station, plc: PlcProcess) -> None:
    plc.parts = 40
    with plc, daemon(with_output(made, plc.section(required=True))):
        results = plc.await_results(40)
        eventually(lambda: output_status(made, "plc")["acknowledged"] == 40)
    assert [result["number"] for result in results] == list(range(1, 41))
    assert [result["pass"] for result in results] == [int(number % 5 != 0) for number in range(1, 41)]
    assert set(recorded(made, "outcome").values()) == {"told"}
    check_results(made, plc)
    assert plc.events("assumed_reject") == []


def test_a_plc_that_hangs_delays_nobody_else_and_is_served_again_when_it_goes_on(
    made: Station, plc: PlcProcess
) -> None:
    with plc, daemon(with_output(made, plc.section(required=True))), line_to(made) as line:
        plc.await_results(5)
        plc.pause()
        eventually(lambda: "did not answer" in line.hear_ready(ready=False)["why"])
        for number in range(20):
            line.trigger(f"other-{number}")
            assert line.hear()["verdict"] in {"PASS", "REJECT"}
            line.ack(f"other-{number}")
        eventually(lambda: not status(made)["ready"])
        before = len(plc.results())
        plc.resume()
        plc.await_results(before + 10)
        eventually(lambda: status(made)["ready"])
    check_results(made, plc)
    assert {recorded(made, "outcome")[f"other-{number}"] for number in range(20)} == {"told"}


def test_a_plc_that_hangs_does_not_hold_the_station_at_its_end(plc: PlcProcess) -> None:
    with plc, served_output(section(plc.section()), listens=False) as served:
        served.part()
        plc.pause()


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_whatever_happens_to_a_plc_it_sees_pass_only_for_a_part_that_passed(made: Station, plc: PlcProcess) -> None:
    chance = random.Random(5)
    with plc, daemon(with_output(made, plc.section())), line_to(made) as line:
        for round_ in range(100):
            goal = len(plc.results()) + chance.randint(1, 20)
            eventually(lambda goal=goal: len(plc.results()) >= goal, 30)
            threading.Event().wait(chance.uniform(0, 0.03))
            if chance.random() < 0.5:
                plc.pause()
                line.trigger(f"other-{round_}")
                assert line.hear()["verdict"] in {"PASS", "REJECT"}
                line.ack(f"other-{round_}")
                threading.Event().wait(chance.uniform(0, 1.5))
                plc.resume()
            else:
                plc.kill()
                plc.start()
    check_results(made, plc)


def test_a_plc_that_goes_and_comes_back_is_served_again(made: Station, plc: PlcProcess) -> None:
    with plc, daemon(with_output(made, plc.section())), line_to(made) as line:
        for life in range(2):
            plc.await_results(8 * (life + 1))
            plc.kill()
            eventually(lambda: not output_status(made, "plc")["tells"])
            assert status(made)["ready"], "it was not declared required"
            line.trigger(f"other-{life}")
            assert line.hear()["verdict"] in {"PASS", "REJECT"}
            plc.start()
        plc.await_results(24)
    check_results(made, plc)


def test_a_plc_restarted_in_the_middle_of_a_part_sees_no_pass_of_it(plc: PlcProcess) -> None:
    plc.parts = 1
    with plc, served_output(section(plc.section()), listens=False) as served:
        part = served.part()
        plc.kill()
        served.fails()
        plc.parts = 0
        plc.start()
        served.tells()
        served.tell(Verdict.PASS, part)
        assert served.outcomes.wait_for(1)[0].outcome is Outcome.UNCONFIRMED
        plc.kill()
        served.fails()
        plc.parts, plc.window_s = 1, 0.6
        plc.start()
        again = served.part(2)
        assert (part.part_id, again.part_id) == ("plc-1", "plc-2")
        eventually(lambda: plc.events("result", "assumed_reject"))
        served.tell(Verdict.REJECT, again, 2)
        assert [event["event"] for event in plc.events("result", "assumed_reject")] == ["assumed_reject"]
        assert plc.events("assumed_reject")[0]["coils"][3:7] == [0, 0, 0, 0]


def test_a_part_counts_as_told_only_once_the_plc_acknowledged(plc: PlcProcess) -> None:
    plc.acknowledges = False
    with plc, served_output(section(plc.section(result_hold_ms=300)), listens=False) as served:
        served.tell(Verdict.PASS, served.part())
        assert plc.await_results(1)[0]["pass"] == 1
        outcome = served.outcomes.wait_for(1)[0]
        assert (outcome.outcome, outcome.told_verdict) == (Outcome.UNCONFIRMED, Verdict.PASS)
        served.tell(Verdict.REJECT, served.part(2), 2)
        assert plc.await_results(2)[1]["fail"] == 1
    assert plc.events("violation") == []


def test_without_a_result_ack_told_means_that_the_window_was_written(plc: PlcProcess) -> None:
    plc.acknowledges = False
    text = plc.section(without=("result_ack",), result_hold_ms=200)
    with plc, served_output(section(text), listens=False) as served:
        served.tell(Verdict.PASS, served.part())
        assert served.outcomes.wait_for(1)[0].outcome is Outcome.TOLD
        assert plc.await_results(1)[0]["pass"] == 1
        served.part(2)


def test_a_product_number_that_nobody_knows_is_undecided(made: Station, plc: PlcProcess) -> None:
    plc.product = 8
    with plc, daemon(with_output(made, plc.section())):
        result = plc.await_results(1)[0]
    assert (result["pass"], result["fail"], result["undecided"]) == (0, 1, 1)
    check_results(made, plc)


def test_a_deadline_that_passes_is_undecided_in_time(plc: PlcProcess) -> None:
    with plc, served_output(section(plc.section()), listens=False) as served:
        served.part()
        result = plc.await_results(1)[0]
        assert (result["pass"], result["fail"], result["undecided"]) == (0, 1, 1)


def test_a_station_that_stops_leaves_the_safe_state(plc: PlcProcess) -> None:
    plc.parts, plc.acknowledges = 1, False
    with plc:
        with served_output(section(plc.section(result_hold_ms=60_000)), listens=False) as served:
            served.tell(Verdict.PASS, served.part())
            plc.await_results(1)
            eventually(lambda: plc.coils() == [True, False, False, True, True, False, False])
        assert plc.coils() == [False] * 7


def test_a_pass_that_an_earlier_life_of_the_station_left_is_wiped_out_at_the_start(plc: PlcProcess) -> None:
    plc.parts = 0
    with plc:
        with plc.peer() as client:
            client.write_coils(10, [True] * 7, device_id=1)
        assert plc.coils() == [True] * 7
        with served_output(section(plc.section()), listens=False) as served:
            served.tells()
            eventually(lambda: plc.coils() == [True] + [False] * 6)


def test_somebody_else_who_writes_our_bits_is_noticed_and_a_forced_pass_does_not_stay(plc: PlcProcess) -> None:
    plc.parts = 0
    with plc, served_output(section(plc.section()), listens=False) as served:
        served.tells()
        with plc.peer() as client:
            client.write_coils(14, [True], device_id=1)
        assert "coil:14 should be 0 as written, got 1" in served.fails()
        served.tells()
        assert not plc.coils()[4]


def test_a_station_killed_with_a_pass_standing_wipes_it_out_when_it_is_back(made: Station, plc: PlcProcess) -> None:
    plc.acknowledges = False
    with_output(made, plc.section(result_hold_ms=60_000))
    with plc:
        with process(["edge", "run", "-c", str(made.config)], made.folder / "daemon.log") as station:
            assert plc.await_results(1)[0]["pass"] == 1
            end(station, signal.SIGKILL)
        assert plc.coils()[3:5] == [True, True], "the PLC's own watch over the heartbeat is what helps until then"
        with process(["edge", "run", "-c", str(made.config)], made.folder / "daemon.log"):
            eventually(lambda: plc.coils()[3:5] == [False, False])
            eventually(lambda: "unconfirmed" in recorded(made, "outcome").values())


@pytest.mark.parametrize(
    ("name", "place", "complaint"),
    [
        pytest.param("busy", "coil:99", "refuses coil:99.*check the map", id="a coil that is not there"),
        pytest.param("product", "input:40", "refuses input:40", id="a word that is not there"),
    ],
)
def test_a_map_that_does_not_fit_the_plc_says_which_address(
    plc: PlcProcess, name: str, place: str, complaint: str
) -> None:
    text = plc.section(without=(name,)).replace("[output.map]", f"[output.map]\n{name} = '{place}'")
    text = text if "products" in text else text + "[output.products]\n7 = 'blob'\n"
    with plc, served_output(section(text), listens=False) as served:
        eventually(lambda: "refuses" in served.teller.trouble)
        with pytest.raises(AssertionError, match=complaint):
            raise AssertionError(served.teller.trouble)
