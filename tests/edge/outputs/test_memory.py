"""A map of signals as requests to a PLC."""

import pytest
from plc_kit import MAP
from pydantic import ValidationError

from edge.config_outputs import ModbusMap
from edge.line.outputs.memory import Asked, Memory, Shown, Span, spans

WORDS = {
    "trigger": "holding:0.0",
    "result_ack": "holding:0.15",
    "part_number": "holding:1",
    "ready": "holding:10.0",
    "busy": "holding:10.1",
    "result_valid": "holding:10.2",
    "pass_bit": "holding:10.3",
    "fail_bit": "holding:11.0",
    "heartbeat": "holding:12",
}


def test_bits_of_words_are_read_and_written_whole() -> None:
    memory = Memory(ModbusMap(**WORDS))
    assert memory.read == [Span("holding", 0, 2)]
    assert memory.written == [Span("holding", 10, 3)]
    cells = {("holding", 0): 0x8001, ("holding", 1): 77}
    assert memory.asked(cells) == Asked(trigger=True, result_ack=True, part_number=77)  # type: ignore[arg-type]
    shown = Shown(ready=True, result_valid=True, pass_bit=True, heartbeat=0x10002)
    assert memory.cells(shown) == {("holding", 10): 0b1101, ("holding", 11): 0, ("holding", 12): 2}


def test_coils_and_a_heartbeat_that_is_a_bit() -> None:
    memory = Memory(ModbusMap(**MAP | {"heartbeat": "coil:17"}))
    assert memory.written == [Span("coil", 10, 8), Span("holding", 10, 1)]
    assert memory.valid_cell == ("coil", 13)
    assert memory.cells(Shown(heartbeat=3))["coil", 17] == 1
    assert memory.cells(Shown(heartbeat=4))["coil", 17] == 0


@pytest.mark.parametrize(
    ("addresses", "expected"),
    [
        pytest.param([], [], id="none"),
        pytest.param([5, 3, 4], [(3, 3)], id="one run in any order"),
        pytest.param([1, 3], [(1, 1), (3, 1)], id="a hole is not read"),
        pytest.param(list(range(150)), [(0, 100), (100, 50)], id="more than one request holds"),
    ],
)
def test_spans_touch_what_is_mapped_and_nothing_else(addresses: list[int], expected: list[tuple[int, int]]) -> None:
    assert spans(("coil", address) for address in addresses) == [Span("coil", *span) for span in expected]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        pytest.param({"busy": "coil:10"}, "two signals stand at coil:10", id="twice"),
        pytest.param({"ready": "holding:0.1"}, "bit of a word that is a signal|is the PLC's", id="in the PLC's word"),
        pytest.param({"ready": "holding:11.1"}, "bit of a word", id="in a word that is a signal"),
        pytest.param({"ready": "discrete:1"}, "ready", id="a table that cannot be written"),
        pytest.param({"ready": "holding:10.16"}, "ready", id="a bit that no word has"),
        pytest.param({"heartbeat": "coil"}, "heartbeat", id="no address"),
        pytest.param({"trigger": "holding:9"}, "trigger", id="a word where a bit is wanted"),
    ],
)
def test_maps_that_cannot_work_are_refused(changes: dict[str, str], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        ModbusMap(**MAP | changes)


def test_the_trigger_can_be_read_before_all_that_it_speaks_of() -> None:
    memory = Memory(ModbusMap(**WORDS | {"trigger": "holding:200.0", "product": "holding:100"}))
    assert memory.trigger == [Span("holding", 200, 1)]
    assert memory.read[0].address < 200


@pytest.mark.parametrize("place", ["coil:65536", "holding:99999.0"])
def test_an_address_that_no_plc_has_is_refused(place: str) -> None:
    with pytest.raises(ValidationError, match="an address is 0 to 65535"):
        ModbusMap(**WORDS | {"trigger": place})
