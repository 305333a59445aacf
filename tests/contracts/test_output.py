"""What every output promises, whatever its peer: pymodbus's server, asyncua, a broker, a chip that writes down."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from brokers import eventually, local_broker
from outputs_kit import GPIO, WrittenDown, section
from plc_kit import PlcProcess

from cloud_sync.wire.broker import available_kinds, free_port
from edge.config_outputs import GpioSection
from edge.domain.errors import OutputError
from edge.domain.part import Verdict
from edge.line.outputs.gpio import GpioOutput
from edge.line.outputs.gpiochip import GpioChip
from edge.line.outputs.open import make_output
from edge.line.outputs.output import Output, Turn
from edge.line.said import Readiness, Told

SAID = [
    Readiness(ready=True),
    *(Told(f"p-{verdict}", verdict, ("why",)) for verdict in Verdict),
    Readiness(ready=False),
]


@contextmanager
def modbus(folder: Path) -> Iterator[Output]:
    with PlcProcess(folder, parts=0) as plc:
        driver = make_output(section(plc.section()), "s-1")
        yield driver


@contextmanager
def opcua(_folder: Path) -> Iterator[Output]:
    yield make_output(section(f"[[output]]\nid = 'ua'\nkind = 'opcua'\nport = {free_port()}\n"), "s-1")


@contextmanager
def gpio(_folder: Path) -> Iterator[Output]:
    lamp = section(GPIO)
    assert isinstance(lamp, GpioSection)
    yield GpioOutput(lamp, WrittenDown())


@contextmanager
def mqtt(folder: Path) -> Iterator[Output]:
    with local_broker(available_kinds()[0], folder) as broker:
        text = f"[[output]]\nid = 'bus'\nkind = 'mqtt'\nbroker = 'mqtt://{broker.address}'\ntopic = 'verdicts'\n"
        yield make_output(section(text), "s-1")


def served(driver: Output) -> Turn:
    """Serve it until its peer gets what it is told."""
    turns: list[Turn] = []

    def serve() -> bool:
        turns.append(driver.serve(0.0))
        return not turns[-1].trouble

    eventually(serve)
    return turns[-1]


LIVES = {modbus: 2, opcua: 1, gpio: 2, mqtt: 2}  # a second life of an OPC UA server takes seconds: it has its own test


@pytest.mark.parametrize(("make", "lives"), [pytest.param(*pair, id=pair[0].__name__) for pair in LIVES.items()])
def test_it_opens_hears_serves_closes_and_opens_again(
    make: Callable[[Path], AbstractContextManager[Output]], lives: int, tmp_path: Path
) -> None:
    with make(tmp_path) as driver:
        driver.close()
        for _ in range(lives):
            driver.open()
            assert served(driver).wait_s >= 0
            for said in SAID:
                driver.hear(said)
                assert served(driver).words == ()
            driver.close()
            driver.close()


def absent(kind: str, folder: Path) -> Output:
    """An output whose peer is not there."""
    port = free_port()
    match kind:
        case "modbus":
            return make_output(section(PlcProcess(folder, port).section()), "s-1")
        case "opcua":
            return make_output(section("[[output]]\nid = 'ua'\nkind = 'opcua'\nhost = '192.0.2.1'\n"), "s-1")
        case "mqtt":
            text = f"[[output]]\nid = 'bus'\nkind = 'mqtt'\nbroker = 'mqtt://127.0.0.1:{port}'\ntopic = 't'\n"
            return make_output(section(text), "s-1")
    lamp = section(GPIO)
    assert isinstance(lamp, GpioSection)
    return GpioOutput(lamp, GpioChip(folder / "gpiochip0", active_low=False))


@pytest.mark.parametrize("kind", [pytest.param(kind, id=kind) for kind in ("modbus", "opcua", "gpio", "mqtt")])
def test_a_peer_that_is_not_there_is_said_and_left_again(kind: str, tmp_path: Path) -> None:
    driver = absent(kind, tmp_path)
    for _ in range(2):
        assert "cannot" in why_not(driver)
        driver.close()


def why_not(driver: Output) -> str:
    """Why the output does not reach its peer, whichever way it says so."""
    said: list[str] = []

    def cannot() -> bool:
        said.append(driver.serve(0.0).trouble)
        return "cannot" in said[-1]

    try:
        driver.open()
        eventually(cannot)
    except OutputError as error:
        return str(error)
    return said[-1]
