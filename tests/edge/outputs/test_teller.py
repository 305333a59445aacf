"""The thread of an output: whatever its driver does, the port goes on and the output is tried again."""

from collections.abc import Callable

import pytest
from brokers import eventually
from edge_kit import LineClient
from outputs_kit import served_output

from edge.domain.errors import OutputError
from edge.domain.part import Verdict
from edge.line.outputs.output import Turn
from edge.line.outputs.vision_states import CONTINUOUS, ERROR, HALTED, INITIALIZED, PREOPERATIONAL, READY, states_on
from edge.line.protocol import ready_line, told_line, verdict_line
from edge.line.said import Readiness, Told, parse_said, said_line


class Faulty:
    """An output one of whose methods fails while `fails` says so; it keeps what it heard."""

    def __init__(self, method: str, error: Exception) -> None:
        self.method, self.error = method, error
        self.fails = True
        self.heard: list[Told | Readiness] = []

    def _do(self, method: str) -> None:
        if self.fails and method == self.method:
            raise self.error

    def open(self) -> None:
        self._do("open")

    def hear(self, said: Told | Readiness) -> None:
        self._do("hear")
        self.heard.append(said)

    def serve(self, _now_s: float) -> Turn:
        self._do("serve")
        return Turn(0.05)

    def close(self) -> None:
        self._do("close")


@pytest.mark.parametrize("method", [pytest.param(name, id=name) for name in ("open", "hear", "serve")])
@pytest.mark.parametrize(
    ("make", "why"),
    [
        pytest.param(lambda: OutputError("the peer is gone"), "the peer is gone", id="a lost peer"),
        pytest.param(lambda: ZeroDivisionError("oh"), "ZeroDivisionError: oh", id="a defect"),
    ],
)
def test_a_driver_that_fails_is_said_and_opened_again(method: str, make: Callable[[], Exception], why: str) -> None:
    driver = Faulty(method, make())
    with served_output(driver) as served, LineClient(served.where) as line:
        eventually(lambda: why in served.teller.trouble)
        line.trigger("p-1")
        served.tell(Verdict.PASS, served.part())
        assert line.hear()["verdict"] == "PASS"
        driver.fails = False
        served.tells()
        line.trigger("p-2")
        served.tell(Verdict.PASS, served.part(2), 2)
        eventually(lambda: [said.part_id for said in driver.heard if isinstance(said, Told)] == ["p-2"])


def test_a_driver_that_fails_at_its_end_ends_nothing_else() -> None:
    with served_output(Faulty("close", ZeroDivisionError("oh"))) as served:
        served.tells()


def test_what_a_port_says_is_understood_and_can_be_handed_on() -> None:
    line = verdict_line("p-1", Verdict.REJECT, ("anomaly:1",), "s/e/1", "a" * 64)
    told = Told("p-1", Verdict.REJECT, ("anomaly:1",), "s/e/1", "a" * 64, "blob")
    assert parse_said(told_line("blob", line, in_turn=True)) == told == parse_said(said_line(told))
    assert parse_said(line) == Told("p-1", Verdict.REJECT, ("anomaly:1",), "s/e/1", "a" * 64)
    readiness = Readiness(ready=False, why="stopping")
    assert parse_said(ready_line(False, "stopping")) == readiness == parse_said(said_line(readiness))
    assert parse_said(b'{"type": "heartbeat", "ready": true}') is None


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        pytest.param(b"", "expected a word of a station", id="empty"),
        pytest.param(b"[]", "expected a word of a station", id="no object"),
        pytest.param(b'{"type": "verdict", "part_id": "p"}', "expected a word of a station", id="half a verdict"),
        pytest.param(b'{"type": "told", "verdict": "FINE"}', "expected a word of a station", id="no verdict of ours"),
        pytest.param(b'{"type": "error", "why": "no such product"}', "no such product", id="a complaint"),
    ],
)
def test_what_no_port_says_is_refused(line: bytes, complaint: str) -> None:
    with pytest.raises(OutputError, match=complaint):
        parse_said(line)


@pytest.mark.parametrize(
    ("now", "ready", "why", "then"),
    [
        pytest.param(PREOPERATIONAL, False, "no image yet", (), id="starting"),
        pytest.param(PREOPERATIONAL, True, "", (INITIALIZED, READY, CONTINUOUS), id="ready"),
        pytest.param(CONTINUOUS, True, "", (), id="still ready"),
        pytest.param(CONTINUOUS, False, "camera lost", (ERROR,), id="a fault"),
        pytest.param(ERROR, False, "disk full", (), id="another fault"),
        pytest.param(ERROR, True, "", (INITIALIZED, READY, CONTINUOUS), id="ready again"),
        pytest.param(CONTINUOUS, False, "stopping", (HALTED,), id="stopping"),
    ],
)
def test_states(now: str, ready: bool, why: str, then: tuple[str, ...]) -> None:  # noqa: FBT001 - a table's column
    assert states_on(now, why, ready=ready) == then
