"""A PLC's Modbus TCP server as an output. The only user of pymodbus.

A request that is not answered in time ends the connection: whatever comes later answers nothing that we would ask next.
What of ours stands in the PLC's memory is read back at every look; where it is not what was written, the PLC was
restarted or somebody else writes there, and everything begins again from the safe state.
"""

import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from pymodbus import ModbusException
from pymodbus.client import ModbusTcpClient
from pymodbus.pdu import ModbusPDU

from edge.config_outputs import ModbusSection
from edge.domain.errors import OutputError
from edge.line.outputs.handshake import Handshake, HandshakeRules, steps
from edge.line.outputs.memory import Cell, Memory, Shown, Span, spans
from edge.line.outputs.output import Turn
from edge.line.protocol import Ack, Trigger
from edge.line.said import Readiness, Told

logging.getLogger("pymodbus").setLevel(logging.CRITICAL)  # what it reports is raised as well, and logged once


class ModbusOutput:
    """One PLC, its handshake served by polling.

    Args:
        section: where the PLC is and what stands where in its memory.
        started_at: makes the ids of parts that the PLC does not number differ from those of an earlier run.
    """

    def __init__(self, section: ModbusSection, started_at: datetime) -> None:
        self._section = section
        self._memory = Memory(section.map)
        self._client = _client(section)
        self._handshake = Handshake(_rules(section, started_at))
        self._shown = Shown()
        self._cells: dict[Cell, int] = {}
        self._next_beat_s = 0.0

    def open(self) -> None:
        """Connect and write the safe state; see `Output.open`."""
        self._client = _client(self._section)
        self._handshake.restart()
        if not self._client.connect():  # type: ignore[no-untyped-call]
            raise OutputError(f"{self._plc} cannot be reached: check host, port and that its Modbus server runs")
        self._make_safe()

    def hear(self, said: Told | Readiness) -> None:
        """Remember it for the next look at the PLC, which follows at once; see `Output.hear`."""
        match said:
            case Told():
                self._handshake.hear(said, time.monotonic())
            case Readiness(ready):
                self._handshake.set_ready(ready)

    def serve(self, now_s: float) -> Turn:
        """Write what changed, look at what the PLC says; see `Output.serve`."""
        if now_s >= self._next_beat_s:
            self._handshake.beat()
            self._next_beat_s = now_s + self._section.heartbeat_ms / 1000
        words: tuple[Trigger | Ack, ...] = self._show()
        words += self._handshake.see(self._memory.asked(self._look()), now_s)
        changed = self._handshake.shown != self._shown
        wait_s = 0.0 if changed else self._section.poll_ms / 1000
        return Turn(wait_s, words, dropped=self._handshake.overruns)

    def close(self) -> None:
        """Write the safe state, also to a PLC that hangs: it stands behind what is under way; see `Output.close`."""
        safe = self._memory.cells(Shown())
        for cells in ({self._memory.valid_cell: safe[self._memory.valid_cell]}, safe):
            if self._client.connected:
                with contextlib.suppress(OutputError):
                    self._write(cells)
        self._client.close()  # type: ignore[no-untyped-call]

    @property
    def _plc(self) -> str:
        return f"PLC {self._section.host}:{self._section.port}"

    def _make_safe(self) -> None:
        """ResultValid falls first, whatever stood there; then everything of ours is the safe state."""
        self._shown = Shown()
        cells = self._memory.cells(self._shown)
        self._write({self._memory.valid_cell: cells[self._memory.valid_cell]})
        self._write(cells)
        self._cells = cells

    def _show(self) -> tuple[Ack, ...]:
        new = self._handshake.shown
        for step in steps(self._shown, new):
            cells = self._memory.cells(step)
            self._write({cell: value for cell, value in cells.items() if self._cells[cell] != value})
            self._cells, self._shown = cells, step
        return self._handshake.stands()

    def _look(self) -> dict[Cell, int]:
        stands = self._read(self._memory.written)
        for cell, value in self._cells.items():
            if stands[cell] != value:
                raise OutputError(
                    f"{self._plc}: {cell[0]}:{cell[1]} should be {value} as written, got {stands[cell]}: "
                    "it was restarted, or something else writes there"
                )
        if len(self._memory.read) == 1:
            return self._read(self._memory.read)
        trigger = self._read(self._memory.trigger)  # first: what it speaks of was written before it, so none is older
        return self._read(self._memory.read) | trigger

    def _read(self, wanted: Iterable[Span]) -> dict[Cell, int]:
        found: dict[Cell, int] = {}
        for span in wanted:
            values = self._read_span(span)
            if len(values) < span.count:
                raise OutputError(
                    f"{self._plc}: {span.count} cells asked for at {span.table}:{span.address}, got fewer"
                )
            found.update(zip(span.cells(), values, strict=False))
        return found

    def _read_span(self, span: Span) -> Sequence[int]:
        client, device = self._client, self._section.device
        match span.table:
            case "coil":
                answer = self._ask(span, lambda: client.read_coils(span.address, count=span.count, device_id=device))
                return [int(bit) for bit in answer.bits]
            case "discrete":
                answer = self._ask(
                    span, lambda: client.read_discrete_inputs(span.address, count=span.count, device_id=device)
                )
                return [int(bit) for bit in answer.bits]
            case "holding":
                return self._ask(
                    span, lambda: client.read_holding_registers(span.address, count=span.count, device_id=device)
                ).registers
            case "input":
                return self._ask(
                    span, lambda: client.read_input_registers(span.address, count=span.count, device_id=device)
                ).registers

    def _write(self, cells: Mapping[Cell, int]) -> None:
        client, device = self._client, self._section.device
        for span in spans(cells):
            values = [cells[cell] for cell in span.cells()]
            if span.table == "coil":
                bits = [bool(value) for value in values]
                self._ask(span, lambda span=span, bits=bits: client.write_coils(span.address, bits, device_id=device))  # type: ignore[misc]
            else:
                self._ask(
                    span,
                    lambda span=span, values=values: client.write_registers(span.address, values, device_id=device),  # type: ignore[misc]
                )

    def _ask(self, span: Span, request: Callable[[], ModbusPDU]) -> ModbusPDU:
        try:
            answer = request()
        except (ModbusException, OSError) as error:
            limit = f"{self._section.timeout_ms:g} ms"
            raise OutputError(f"{self._plc} did not answer within {limit}: {error}") from error
        if answer.isError():
            raise OutputError(
                f"{self._plc} refuses {span.table}:{span.address}, {span.count} cells ({answer}): check the map"
            )
        return answer


def _client(section: ModbusSection) -> ModbusTcpClient:
    return ModbusTcpClient(section.host, port=section.port, timeout=section.timeout_ms / 1000, retries=0)


def _rules(section: ModbusSection, started_at: datetime) -> HandshakeRules:
    numbered = section.map.part_number is not None
    return HandshakeRules(
        name=section.id if numbered else f"{section.id}-{started_at:%Y%m%dT%H%M%S}",
        products={int(number): product for number, product in section.products.items()},
        product=section.product or "",
        numbered=numbered,
        acknowledged=section.map.result_ack is not None,
        hold_s=section.result_hold_ms / 1000,
    )
