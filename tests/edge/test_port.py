import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from brokers import eventually
from edge_kit import Collected, LineClient, committed

from cloud_sync.wire.broker import free_port
from edge.domain.errors import OutputError
from edge.domain.inspection import Outcome, OutcomeOf
from edge.domain.part import Verdict
from edge.line.port import LinePort, PortTimes
from edge.line.protocol import Address

TIMES = PortTimes(0.6, 0.5, 0.2)


@dataclass
class Served:
    port: LinePort
    where: int | Path
    parts: Collected
    outcomes: Collected

    def part(self, count: int = 1) -> object:
        return self.parts.wait_for(count)[count - 1]


@contextmanager
def serve(where: int | Path, times: PortTimes = TIMES) -> Iterator[Served]:
    parts, outcomes = Collected(), Collected()
    address = Address(where, None) if isinstance(where, int) else Address(None, where)
    port = LinePort(address, times, parts, lambda settled: [outcomes(one) for one in settled] and None)
    try:
        port.start()
        yield Served(port, where, parts, outcomes)
    finally:
        port.stop(5)


@pytest.fixture(params=[pytest.param("tcp", id="tcp"), pytest.param("unix", id="unix")])
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Served]:
    with serve(free_port() if request.param == "tcp" else tmp_path / "line.sock") as made:
        yield made
        assert made.port.failure is None


def test_a_connection_is_greeted_with_ready_and_hears_every_change(served: Served) -> None:
    with LineClient(served.where) as line:
        assert line.hear("ready") == {"type": "ready", "ready": False, "why": "starting"}
        served.port.set_ready(True, "")
        assert line.hear("ready")["ready"] is True
        eventually(lambda: line.hear("heartbeat")["ready"] is True)
        line.send({"type": "ping"})
        assert line.hear("pong") == {"type": "pong"}


def test_who_connects_while_the_station_becomes_ready_hears_it_once(tmp_path: Path) -> None:
    between_rounds, go_on = threading.Event(), threading.Event()
    parts = Collected()

    def hold(_settled: Sequence[OutcomeOf]) -> None:
        between_rounds.set()
        go_on.wait(5)

    port = LinePort(Address(None, tmp_path / "line.sock"), TIMES, parts, hold)
    port.start()
    try:
        with LineClient(tmp_path / "line.sock") as first:
            first.trigger("p-1")
            port.tell(committed(Verdict.PASS, parts.wait_for(1)[0]))
            first.ack("p-1")
            assert between_rounds.wait(20)
            with LineClient(tmp_path / "line.sock") as line:
                port.set_ready(True, "")
                go_on.set()
                while not line.hear("heartbeat")["ready"]:
                    pass
                said = [message["ready"] for message in line.heard if message["type"] == "ready"]
                assert said == [False, True], "what all were told before, then the change"
    finally:
        go_on.set()
        port.stop(5)


def test_a_committed_verdict_is_told_with_its_record_and_acknowledged(served: Served) -> None:
    with LineClient(served.where) as line:
        line.trigger("p-1", cameras=["top"])
        part = served.part()
        assert (part.part_id, part.product, part.cameras) == ("p-1", "blob", ("top",))
        served.port.tell(committed(Verdict.PASS, part))
        told = line.hear()
        assert (told["verdict"], told["record_sha256"], told["image"]) == ("PASS", "a" * 64, "pending")
        line.ack("p-1")
        (outcome,) = served.outcomes.wait_for(1)
        assert (outcome.outcome, outcome.told_verdict) == (Outcome.TOLD, Verdict.PASS)


def test_whatever_hangs_behind_the_port_undecided_is_told_by_the_deadline(served: Served) -> None:
    with LineClient(served.where) as line:
        line.trigger("p-1")
        part = served.part()
        told = line.hear()
        assert (told["verdict"], told["reasons"], told["inspection_id"]) == ("UNDECIDED", ["deadline_passed"], None)
        served.port.tell(committed(Verdict.PASS, part))
        (outcome,) = served.outcomes.wait_for(1)
        assert (outcome.outcome, outcome.told_verdict) == (Outcome.LATE, Verdict.UNDECIDED)
        assert outcome.told_ms <= 600
        line.send({"type": "ping"})
        assert line.hear("pong")
        assert served.port.counters.told == 0


def test_a_port_held_up_past_the_deadline_does_not_tell_the_pass_that_waited_in_its_queue() -> None:
    """The thread was held (here by its own callback) while verdict and deadline both came."""
    held, held_up = threading.Event(), threading.Event()
    with serve(free_port(), PortTimes(0.3, 5, 5)) as served, LineClient(served.where) as line:
        line.trigger("p-1")
        part = served.part()
        served.port._on_trigger = lambda _part: (held_up.set(), held.wait(5))  # noqa: SLF001 - the fault itself
        line.trigger("p-2")
        assert held_up.wait(20)
        served.port.tell(committed(Verdict.PASS, part))
        assert not held.wait(0.4)
        held.set()
        assert {line.hear()["verdict"], line.hear()["verdict"]} == {"UNDECIDED"}


def test_a_part_that_could_not_be_recorded_is_told_undecided_with_the_reason(served: Served) -> None:
    with LineClient(served.where) as line:
        line.trigger("p-1")
        served.port.tell_unrecorded(served.part(), ("storage_failed",))
        assert line.hear()["reasons"] == ["storage_failed"]


def test_who_listens_hears_of_every_part_and_the_line_only_of_its_own(served: Served) -> None:
    with LineClient(served.where) as line, LineClient(served.where) as listener:
        listener.send({"type": "listen"}, {"type": "ping"})
        assert listener.hear("pong")
        line.trigger("p-1")
        served.port.tell(committed(Verdict.PASS, served.part()))
        told, heard = line.hear(), listener.hear("told")
        assert {name: heard[name] for name in told if name not in {"type", "image"}} == {
            name: told[name] for name in told if name not in {"type", "image"}
        }
        assert heard["in_turn"] is True
        assert heard["product"] == "blob"
        line.ack("p-1")
        line.trigger("p-2")
        assert listener.hear("told")["reasons"] == ["deadline_passed"]
        assert listener.heard == [message for message in listener.heard if message["type"] != "verdict"]
        assert line.hear()["part_id"] == "p-2"
        assert "told" not in {message["type"] for message in line.heard}


def test_a_listener_is_told_who_overtook_whom(served: Served) -> None:
    with LineClient(served.where) as line, LineClient(served.where) as listener:
        listener.send({"type": "listen"}, {"type": "ping"})
        listener.hear("pong")
        for name in ("p-1", "p-2", "p-3"):
            line.trigger(name)
        first, second, third = (served.part(number) for number in (1, 2, 3))
        for number, part in enumerate((second, first, third), 1):
            served.port.tell(committed(Verdict.PASS, part, number))
        heard = [listener.hear("told") for _ in range(3)]
        assert [(told["part_id"], told["in_turn"]) for told in heard] == [("p-2", False), ("p-1", False), ("p-3", True)]


def test_a_listener_that_is_gone_or_does_not_read_holds_no_verdict(served: Served) -> None:
    with LineClient(served.where) as line, LineClient(served.where) as deaf:
        deaf.send({"type": "listen"})
        with LineClient(served.where) as gone:
            gone.send({"type": "listen"}, {"type": "ping"})
            assert gone.hear("pong")
        for number in range(200):
            line.trigger(f"p-{number}")
            served.port.tell(committed(Verdict.PASS, served.part(number + 1), number + 1))
            assert line.hear()["verdict"] == "PASS"


def test_two_parts_in_flight_under_one_id_never_pass(served: Served) -> None:
    with LineClient(served.where) as line:
        line.trigger("p-1")
        part = served.part()
        line.trigger("p-1")
        told = line.hear()
        assert (told["verdict"], told["reasons"]) == ("UNDECIDED", ["duplicate_trigger"])
        served.port.tell(committed(Verdict.PASS, part))
        assert served.outcomes.wait_for(1)[0].outcome is Outcome.LATE
        line.send({"type": "ping"})
        line.hear("pong")
        assert len(served.parts.items) == 1
        assert served.port.counters.duplicate_triggers == 1


def test_two_connections_that_trigger_one_id_are_both_told_undecided(served: Served) -> None:
    with LineClient(served.where) as first, LineClient(served.where) as second:
        first.trigger("p-1")
        served.part()
        second.trigger("p-1")
        assert first.hear()["reasons"] == second.hear()["reasons"] == ["duplicate_trigger"]


def test_a_line_that_never_acknowledges_leaves_unconfirmed(served: Served) -> None:
    with LineClient(served.where) as line:
        line.trigger("p-1")
        served.port.tell(committed(Verdict.REJECT, served.part()))
        assert line.hear()["verdict"] == "REJECT"
        outcome = served.outcomes.wait_for(1)[0]
        assert (outcome.outcome, outcome.told_verdict) == (Outcome.UNCONFIRMED, Verdict.REJECT)


def test_a_line_that_left_before_its_verdict_was_told_nothing(served: Served) -> None:
    with LineClient(served.where) as line:
        line.trigger("p-1")
        part = served.part()
    with LineClient(served.where) as other:
        eventually(lambda: len(served.port._peers._peers) == 1)  # noqa: SLF001 - that the loss was noticed
        served.port.tell(committed(Verdict.PASS, part))
        outcome = served.outcomes.wait_for(1)[0]
        assert (outcome.outcome, outcome.told_verdict) == (Outcome.UNCONFIRMED, None)
        other.send({"type": "ping"})
        assert other.hear("pong")


def test_a_line_that_never_reads_is_dropped_and_hurts_no_other(served: Served) -> None:
    with LineClient(served.where) as deaf, LineClient(served.where) as other:
        deaf.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.trigger("p-1")
        served.port.tell(committed(Verdict.PASS, served.part()))
        eventually(lambda: served.port.counters.told == 1)
        junk = b"x\n" * 4000
        with pytest.raises(OSError, match=r"reset|[Bb]roken"):
            deaf.sock.sendall(junk * 4000)
        assert served.outcomes.wait_for(1)[0].outcome is Outcome.UNCONFIRMED
        other.trigger("p-2")
        served.port.tell(committed(Verdict.PASS, served.part(2)))
        assert other.hear()["part_id"] == "p-2"


def test_a_message_in_pieces_is_one_message_and_a_malformed_one_is_answered(served: Served) -> None:
    with LineClient(served.where) as line:
        line.sock.sendall(b'{"type": "pi')
        line.sock.sendall(b'ng"}\nnonsense\n{"type": "ping"}\n')
        assert line.hear("pong")
        assert "one JSON object" in line.hear("error")["why"]
        assert line.hear("pong")
        assert served.port.counters.malformed == 1


@pytest.mark.parametrize("end", [pytest.param(b"\n", id="a whole line"), pytest.param(b"", id="a line without end")])
def test_an_overlong_line_is_refused(served: Served, end: bytes) -> None:
    with LineClient(served.where) as line:
        line.sock.sendall(b'{"type": "ping", "x": "' + b"x" * 8000 + b'"}' + end)
        assert "at most 4096 bytes" in line.hear("error")["why"]


def test_more_connections_than_a_line_can_have_are_refused_and_the_first_still_served(served: Served) -> None:
    with LineClient(served.where) as first, ExitStack() as crowd:
        first.hear("ready")
        others = [crowd.enter_context(LineClient(served.where)) for _ in range(70)]
        assert others[-1].hear_end() == b""
        first.send({"type": "ping"})
        assert first.hear("pong")


def test_a_socket_left_by_a_killed_daemon_is_taken_over(tmp_path: Path) -> None:
    left = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    left.bind(str(tmp_path / "line.sock"))
    left.close()
    with serve(tmp_path / "line.sock") as served, LineClient(served.where) as line:
        assert line.hear("ready")


@pytest.mark.parametrize("kind", [pytest.param("tcp", id="tcp"), pytest.param("unix", id="unix")])
def test_a_second_daemon_cannot_take_the_port_of_the_first(tmp_path: Path, kind: str) -> None:
    where = free_port() if kind == "tcp" else tmp_path / "line.sock"
    with serve(where) as first:
        with pytest.raises(OutputError, match="is another daemon running"), serve(where):
            pass
        with LineClient(first.where) as line:
            assert line.hear("ready")


def test_a_file_that_is_no_socket_is_never_removed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("kept")
    with pytest.raises(OutputError), serve(tmp_path / "precious"):
        pass
    assert (tmp_path / "precious").read_text() == "kept"


def test_a_callback_that_fails_ends_the_thread_loudly_and_every_connection() -> None:
    with serve(free_port()) as served, LineClient(served.where) as line:
        served.port._on_trigger = lambda _part: 1 // 0  # noqa: SLF001 - the fault itself
        line.trigger("p-1")
        line.hear_end()
        eventually(lambda: isinstance(served.port.failure, ZeroDivisionError))


def test_a_part_of_the_production_under_a_waiting_masters_id_is_told_to_who_listens(served: Served) -> None:
    with LineClient(served.where) as output, LineClient(served.where) as person, LineClient(served.where) as line:
        output.send({"type": "listen"}, {"type": "ping"})
        output.hear("pong")
        person.trigger("p-1", master="fine")
        served.part()
        line.trigger("p-1")
        assert line.hear()["reasons"] == ["duplicate_trigger"]
        told = output.hear("told")
        assert (told["part_id"], told["product"], told["verdict"]) == ("p-1", "blob", "UNDECIDED")


def test_a_port_that_was_never_started_leaves_nothing_open(tmp_path: Path) -> None:
    def open_sockets() -> int:
        return sum("socket:" in str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.is_symlink())

    before = open_sockets()
    ports = [LinePort(Address(None, tmp_path / "line.sock"), TIMES, Collected(), Collected()) for _ in range(20)]
    assert open_sockets() == before, ports
