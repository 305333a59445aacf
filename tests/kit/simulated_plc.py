"""A PLC in a process of its own: a pymodbus server whose program plays the handshake and logs, a JSON line each.

Its memory: coils 0 Trigger, 1 ResultAck, 10 Ready, 11 TriggerAck, 12 Busy, 13 ResultValid, 14 Pass, 15 Fail, 16
Undecided; holding registers 0 part number, 1 product, 10 result number, 11 heartbeat. What comes after its window is a
reject to it, whatever it says.
"""

import asyncio
import json
import logging
import sys
import time
from pathlib import Path
from typing import Any, TextIO

from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

SCAN_S = 0.002
READ_COILS, WRITE_COIL, READ_WORDS, WRITE_WORD = 1, 5, 3, 6
TRIGGER, RESULT_ACK = 0, 1
READY, TRIGGER_ACK, BUSY, VALID, PASS, FAIL, UNDECIDED = range(10, 17)


class Plc:
    """The program: one part after the other."""

    def __init__(self, server: ModbusTcpServer, log: TextIO, options: dict[str, Any]) -> None:
        self.server, self.log, self.options = server, log, options
        self.number = options["first"] - 1
        self.step = self.idle
        self.since_s = 0.0
        self.coils: list[int] = []
        self.words: list[int] = []
        self.standing: tuple[int, ...] | None = None

    async def run(self) -> None:
        while True:
            self.coils = [int(bit) for bit in await self.server.async_getValues(1, READ_COILS, 0, 20)]
            self.words = list(await self.server.async_getValues(1, READ_WORDS, 0, 12))
            self.watch()
            await self.step()
            await asyncio.sleep(SCAN_S)

    def watch(self) -> None:
        """A result that changes while it is valid would be no result."""
        result = (*self.coils[PASS : UNDECIDED + 1], self.words[10])
        if self.coils[VALID] and self.standing is not None and result != self.standing:
            self.write("violation", what=f"{self.standing} became {result} while ResultValid was up")
        if self.coils[PASS] and self.coils[FAIL]:
            self.write("violation", what="Pass and Fail together")
        self.standing = result if self.coils[VALID] else None

    async def idle(self) -> None:
        if not self.coils[READY] or self.number + 1 >= self.options["first"] + self.options["parts"]:
            return
        if time.monotonic() - self.since_s < self.options["pause_s"]:
            return
        self.number += 1
        await self.put_word(0, self.number)
        await self.put_word(1, self.options["product"])
        self.since_s = time.monotonic()
        await self.put(TRIGGER, 1)
        self.write("triggered")
        self.step = self.triggered

    async def triggered(self) -> None:
        if self.coils[TRIGGER_ACK]:
            await self.put(TRIGGER, 0)
            self.step = self.waiting
        await self.window_passed()

    async def waiting(self) -> None:
        if await self.window_passed() or not self.coils[VALID]:
            return
        verdict = {"pass": self.coils[PASS], "fail": self.coils[FAIL], "undecided": self.coils[UNDECIDED]}
        own = self.words[10] == self.number
        self.write("result", result_number=self.words[10], own=own, **verdict)
        if self.options["acknowledges"]:
            await self.put(RESULT_ACK, 1)
        self.step = self.acknowledging

    async def acknowledging(self) -> None:
        if not self.coils[VALID]:
            await self.put(RESULT_ACK, 0)
            self.since_s = time.monotonic()
            self.step = self.idle

    async def window_passed(self) -> bool:
        if time.monotonic() - self.since_s <= self.options["window_s"]:
            return False
        self.write("assumed_reject", coils=self.coils[READY:])
        await self.put(TRIGGER, 0)
        self.step = self.idle
        return True

    async def put(self, coil: int, value: int) -> None:
        await self.server.async_setValues(1, WRITE_COIL, coil, [bool(value)])

    async def put_word(self, address: int, value: int) -> None:
        await self.server.async_setValues(1, WRITE_WORD, address, [value])

    def write(self, event: str, **content: object) -> None:
        now_s = time.monotonic()
        said = {"event": event, "monotonic_s": now_s, "number": self.number, "ms": (now_s - self.since_s) * 1000}
        self.log.write(json.dumps(said | content) + "\n")


async def main(options: dict[str, Any], log: TextIO) -> None:
    logging.disable(logging.CRITICAL)
    coils = [SimData(0, count=32, values=False, datatype=DataType.BITS)]
    words = [SimData(0, count=32, values=0, datatype=DataType.REGISTERS)]
    spare = [SimData(0, count=1, values=False, datatype=DataType.BITS)]
    spare_words = [SimData(0, count=1, values=0, datatype=DataType.REGISTERS)]
    device = SimDevice(1, simdata=(coils, spare, words, spare_words))
    server = ModbusTcpServer(device, address=("127.0.0.1", options["port"]))
    await server.serve_forever(background=True)
    await Plc(server, log, options).run()


if __name__ == "__main__":
    said = json.loads(sys.argv[1])
    with Path(said["log"]).open("a", buffering=1) as opened:
        asyncio.run(main(said, opened))
