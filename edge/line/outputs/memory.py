"""A PLC's memory as the handshake sees it: signals to cells, cells to requests. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from itertools import pairwise

from edge.config_outputs import ModbusMap, Place, Table

Cell = tuple[Table, int]
_REQUEST_CELLS = 100


@dataclass(frozen=True, slots=True)
class Asked:
    """What the PLC says; a signal that is not mapped is 0."""

    trigger: bool = False
    result_ack: bool = False
    product: int = 0
    part_number: int = 0


@dataclass(frozen=True, slots=True)
class Shown:
    """What the PLC is shown. The default is the safe state: not ready, no result."""

    ready: bool = False
    trigger_ack: bool = False
    busy: bool = False
    result_valid: bool = False
    pass_bit: bool = False
    fail_bit: bool = False
    undecided_bit: bool = False
    result_number: int = 0
    heartbeat: int = 0


@dataclass(frozen=True, slots=True)
class Span:
    """Neighbouring cells of one table: one request."""

    table: Table
    address: int
    count: int

    def cells(self) -> list[Cell]:
        """Each of them, in order."""
        return [(self.table, self.address + step) for step in range(self.count)]


def spans(cells: Iterable[Cell]) -> list[Span]:
    """The fewest requests that touch these cells and no other: what is not mapped may not exist."""
    ordered = sorted(set(cells))
    starts = [0] + [index + 1 for index, (one, next_) in enumerate(pairwise(ordered)) if not _neighbours(one, next_)]
    runs = [ordered[start:end] for start, end in zip(starts, [*starts[1:], len(ordered)], strict=True)]
    return [
        Span(run[at][0], run[at][1], len(run[at : at + _REQUEST_CELLS]))
        for run in runs
        for at in range(0, len(run), _REQUEST_CELLS)
    ]


def _neighbours(one: Cell, next_: Cell) -> bool:
    return one[0] == next_[0] and one[1] + 1 == next_[1]


class Memory:
    """Which cells a map reads and writes, and what stands in them."""

    def __init__(self, signals: ModbusMap) -> None:
        self._read = signals.read
        self._written = signals.written
        self.read = spans((place.table, place.address) for place in self._read.values())
        self.written = spans((place.table, place.address) for place in self._written.values())
        trigger, valid = self._read["trigger"], self._written["result_valid"]
        self.trigger = spans([(trigger.table, trigger.address)])
        self.valid_cell: Cell = (valid.table, valid.address)

    def asked(self, cells: Mapping[Cell, int]) -> Asked:
        """What the PLC says in these cells."""
        said = {name: _value(place, cells) for name, place in self._read.items()}
        return Asked(
            bool(said["trigger"]), bool(said.get("result_ack")), said.get("product", 0), said.get("part_number", 0)
        )

    def cells(self, shown: Shown) -> dict[Cell, int]:
        """What stands in every cell of ours while this is shown."""
        cells: dict[Cell, int] = {}
        for name in (field.name for field in fields(shown)):
            place = self._written.get(name)
            if place is not None:
                cell: Cell = (place.table, place.address)
                cells[cell] = cells.get(cell, 0) | _laid(place, int(getattr(shown, name)))
        return cells


def _value(place: Place, cells: Mapping[Cell, int]) -> int:
    value = cells[place.table, place.address]
    return value if place.bit is None else value >> place.bit & 1


def _laid(place: Place, value: int) -> int:
    if place.bit is not None:
        return (value & 1) << place.bit
    return value & 1 if place.table == "coil" else value & 0xFFFF
