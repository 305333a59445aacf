"""asyncua clients, some of them in processes of their own, against a real daemon or a line port."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from asyncua import Client, ua
from brokers import eventually
from daemon_kit import daemon, line_to
from edge_kit import LineClient
from opcua_kit import Listener, output
from outputs_kit import ServedOutput, make_station, output_status, section, served_output, with_output

from cloud_sync.wire.broker import free_port
from edge.daemon import Daemon
from edge.domain.part import Verdict
from edge.line.outputs.opcua import OpcUaOutput
from edge.line.outputs.open import make_output

NAMESPACE = "urn:inspectd:machine-vision"


def with_client(port: int, work: Callable[[Client, int], Awaitable[None]], user: str = "") -> None:
    async def run() -> None:
        client = Client(f"opc.tcp://127.0.0.1:{port}/inspectd", timeout=10)
        if user:
            client.set_user(user)
            client.set_password("x")
        async with client:
            await work(client, await client.get_namespace_index(NAMESPACE))

    asyncio.run(run())


def state_and_why(port: int) -> tuple[str, str]:
    seen: list[tuple[str, str]] = []

    async def read(client: Client, index: int) -> None:
        system = await client.nodes.objects.get_child(f"{index}:VisionSystem test-1")
        state = await system.get_child([f"{index}:VisionStateMachine", f"{index}:CurrentState"])
        seen.append(((await state.read_value()).Text, await (await system.get_child(f"{index}:Why")).read_value()))

    with_client(port, read)
    return seen[0]


@pytest.mark.long
def test_clients_and_a_server_that_hang_or_die_delay_nobody_and_are_back(tmp_path: Path) -> None:
    port = free_port()
    driver = make_output(section(output(port)), "test-1")
    assert isinstance(driver, OpcUaOutput)
    with served_output(driver) as served, LineClient(served.where) as line:
        served.tells(within_s=30)
        hung, dead = Listener(port, tmp_path / "hung.jsonl"), Listener(port, tmp_path / "dead.jsonl")
        with Listener(port, tmp_path / "well.jsonl") as well, hung, dead:
            hung.pause()
            dead.kill()
            run_parts(served, line, range(1, 101))
            eventually(lambda: len(well.results()) == 100)
            hung.resume()
            dead.start()
            run_parts(served, line, range(101, 102))
            for client in (hung, dead):
                eventually(lambda client=client: client.results() and client.results()[-1]["PartId"] == "p-101")
            assert not served.teller.trouble
            process = driver._child  # noqa: SLF001 - the process to kill
            assert process is not None
            process.kill()
            assert "its process ended" in served.fails()
            run_parts(served, line, range(102, 112))
            served.tells(within_s=30)
            well.kill()
            well.start()
            run_parts(served, line, range(112, 113))
            eventually(lambda: well.results()[-1]["PartId"] == "p-112")


def run_parts(served: ServedOutput, line: LineClient, numbers: range) -> None:
    """Each is told to the line in its time, whatever the server and its clients do."""
    for number in numbers:
        line.trigger(f"p-{number}")
        served.tell(Verdict.PASS, served.part(number), number)
        assert line.hear()["verdict"] == "PASS"


@dataclass
class Running:
    """A daemon with an OPC UA server, and a line at it."""

    daemon: Daemon
    port: int
    line: LineClient


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One for all that leave it as it was: making a server's nodes takes seconds."""
    port, made = free_port(), make_station(tmp_path_factory.mktemp("ua"))
    with daemon(with_output(made, output(port))) as station, line_to(made) as line:
        eventually(lambda: output_status(made, "ua")["tells"], 30)
        yield Running(station, port, line)


def test_every_verdict_is_an_event_and_the_state_is_a_node(running: Running, tmp_path: Path) -> None:
    with Listener(running.port, tmp_path / "ua.jsonl") as client:
        told = []
        for number in range(10):
            running.line.trigger(f"p-{number}")
            told.append(running.line.hear())
            running.line.ack(f"p-{number}")
        eventually(lambda: len(client.results()) == 10)
        results = client.results()
        eventually(lambda: client.events("state"))
        states = [event["state"] for event in client.events("state")]
    assert [(r["PartId"], r["Verdict"], r["ResultId"], r["RecordSha256"]) for r in results] == [
        (t["part_id"], t["verdict"], t["inspection_id"], t["record_sha256"]) for t in told
    ]
    assert {r["ProductId"] for r in results} == {"blob"}
    assert results[4]["Reasons"] == told[4]["reasons"] == ["anomaly:1"]
    assert states[-1] == "ContinuousExecution"


@pytest.mark.parametrize("user", [pytest.param("", id="anonymous"), pytest.param("admin", id="who says admin")])
def test_clients_may_only_read(running: Running, user: str) -> None:
    async def attack(client: Client, index: int) -> None:
        system = await client.nodes.objects.get_child(f"{index}:VisionSystem test-1")
        ready = await system.get_child(f"{index}:Ready")
        before = await ready.read_value()
        with pytest.raises(ua.UaStatusCodeError):
            await ready.write_value(not before)
        with pytest.raises(ua.UaError):
            await system.add_variable(index, "Mine", 1)
        with pytest.raises(ua.UaError):
            await client.delete_nodes([ready])
        assert await ready.read_value() is before

    with_client(running.port, attack, user)


def test_a_station_that_is_not_ready_has_an_error_that_clients_can_read(running: Running) -> None:
    port, health = running.port, running.daemon._station.health  # noqa: SLF001 - the fault itself
    eventually(lambda: state_and_why(port) == ("ContinuousExecution", ""))
    health.raise_fault("test", "the lens is broken")
    eventually(lambda: state_and_why(port) == ("Error", "the lens is broken"))
    health.clear("test")
    eventually(lambda: state_and_why(port) == ("ContinuousExecution", ""))


def test_it_listens_on_loopback_alone_unless_told_otherwise(running: Running) -> None:
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.2", running.port), 1)


def test_a_port_that_is_taken_is_said() -> None:
    port = free_port()
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        with served_output(section(output(port))) as served:
            eventually(lambda: "is another server running" in served.teller.trouble)
