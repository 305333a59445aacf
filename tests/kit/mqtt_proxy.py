"""A TCP proxy that knows MQTT's packets: it loses, repeats, swaps, delays and throttles them, by chance.

TCP itself loses and swaps nothing within a connection; brokers, bridges and clients do, above all around a reconnect.
"""

import asyncio
import random
import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from cloud_sync.wire.link import Address

_PUBLISH, _PUBACK = 3, 4
_HELD_S = 0.3
_PIECE_BYTES = 4096


@dataclass
class Faults:
    """What happens to packets of one direction; shares are of 1. `seen` counts what was done.

    Args:
        drop: of PUBLISH packets.
        drop_acks: of PUBACK packets.
        duplicate: of PUBLISH packets, sent a second time at once.
        hold: of PUBLISH packets, sent after the next one, or after 0.3 s.
        delay_s: that everything takes longer.
        bytes_per_s: how fast the direction is; 0: as fast as it goes.
        only: a PUBLISH packet is touched only where its topic holds this.
    """

    drop: float = 0.0
    drop_acks: float = 0.0
    duplicate: float = 0.0
    hold: float = 0.0
    delay_s: float = 0.0
    bytes_per_s: int = 0
    only: str = ""
    seen: Counter[str] = field(default_factory=Counter)

    def clear(self) -> None:
        """Nothing happens any more."""
        self.drop = self.drop_acks = self.duplicate = self.hold = self.delay_s = 0.0
        self.bytes_per_s = 0


class MqttProxy:
    """Listens on loopback, and speaks to the broker for whoever connects; its loop runs in a thread of its own.

    Args:
        broker: where the broker is, or will be.
        seed: of the chance.
    """

    def __init__(self, broker: Address, seed: int = 7) -> None:
        self.up = Faults()
        self.down = Faults()
        self.connections = 0
        self._broker = broker
        self._dice = random.Random(seed)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = Address("127.0.0.1", self._listener.getsockname()[1])
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._flows = asyncio.Event()
        self._flows.set()
        self._thread = threading.Thread(target=self._run, name="mqtt proxy", daemon=True)
        self._thread.start()

    def stall(self) -> None:
        """Half open: connections are taken and stay, nothing is passed on; what comes meanwhile comes later."""
        self._do(self._flows.clear)

    def flow(self) -> None:
        """Everything passes again."""
        self._do(self._flows.set)

    def reset(self) -> None:
        """Tear every connection, as a NAT that has forgotten them."""
        self._do(self._abort)

    def close(self) -> None:
        """End all of it."""
        self._do(self._abort)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        assert not self._thread.is_alive()

    def _do(self, what: object) -> None:
        done = threading.Event()
        self._loop.call_soon_threadsafe(lambda: (what(), done.set()))  # type: ignore[operator]
        assert done.wait(20)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._accept, sock=self._listener))
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*asyncio.all_tasks(self._loop), return_exceptions=True))
        self._loop.close()

    def _abort(self) -> None:
        for writer in self._writers:
            sock = writer.get_extra_info("socket")
            with suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        self._writers.clear()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        await self._flows.wait()
        try:
            far_reader, far_writer = await asyncio.open_connection(self._broker.host, self._broker.port)
        except OSError:
            writer.transport.abort()
            return
        self.connections += 1
        self._writers.add(far_writer)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pump(reader, far_writer, self.up))
                both.create_task(self._pump(far_reader, writer, self.down))
        except* (OSError, asyncio.IncompleteReadError):
            pass  # either end has hung up
        for end in (writer, far_writer):
            self._writers.discard(end)
            end.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, faults: Faults) -> None:
        """One direction, until either end hangs up; that ends the other direction as well."""
        lane = _Lane(writer, faults, self._dice, self._flows)
        sending = asyncio.get_running_loop().create_task(lane.send_all())
        try:
            while True:
                lane.take(await _packet(reader))
        except (OSError, asyncio.IncompleteReadError):
            lane.end()
            await sending
            writer.close()
            raise
        finally:
            sending.cancel()


class _Lane:
    """Packets of one direction on their way."""

    def __init__(self, writer: asyncio.StreamWriter, faults: Faults, dice: random.Random, flows: asyncio.Event) -> None:
        self._writer = writer
        self._faults = faults
        self._dice = dice
        self._flows = flows
        self._held: bytes | None = None
        self._queue: asyncio.Queue[tuple[float, bytes] | None] = asyncio.Queue()

    def take(self, packet: bytes) -> None:
        """Decide what becomes of it."""
        kind = packet[0] >> 4
        if kind == _PUBACK and self._happens(self._faults.drop_acks, "acks dropped"):
            return
        if kind != _PUBLISH or self._faults.only not in _topic(packet):
            self._put(packet)
        elif not self._happens(self._faults.drop, "dropped"):
            self._publish(packet)

    def end(self) -> None:
        """No more comes."""
        self._release()
        self._queue.put_nowait(None)

    async def send_all(self) -> None:
        """Write what is due, in its order and at the direction's pace."""
        loop = asyncio.get_running_loop()
        with suppress(OSError):
            while (item := await self._queue.get()) is not None:
                due_s, packet = item
                await asyncio.sleep(max(0.0, due_s - loop.time()))
                await self._flows.wait()
                for start in range(0, len(packet), _PIECE_BYTES):
                    piece = packet[start : start + _PIECE_BYTES]
                    self._writer.write(piece)
                    await self._writer.drain()
                    if self._faults.bytes_per_s:
                        await asyncio.sleep(len(piece) / self._faults.bytes_per_s)

    def _publish(self, packet: bytes) -> None:
        if self._held is None and self._happens(self._faults.hold, "swapped"):
            self._held = packet
            asyncio.get_running_loop().call_later(_HELD_S, self._release)
            return
        self._put(packet)
        if self._happens(self._faults.duplicate, "doubled"):
            self._put(packet)
        self._release()

    def _release(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            self._put(held)

    def _put(self, packet: bytes) -> None:
        self._queue.put_nowait((asyncio.get_running_loop().time() + self._faults.delay_s, packet))

    def _happens(self, share: float, what: str) -> bool:
        if self._dice.random() >= share:
            return False
        self._faults.seen[what] += 1
        return True


async def _packet(reader: asyncio.StreamReader) -> bytes:
    """One whole packet: its first byte, its length as MQTT writes it, its body."""
    head = await reader.readexactly(1)
    length = shift = 0
    while True:
        byte = await reader.readexactly(1)
        head += byte
        length |= (byte[0] & 0x7F) << shift
        shift += 7
        if byte[0] < 0x80:
            return head + await reader.readexactly(length)


def _topic(publish: bytes) -> str:
    at = 1
    while publish[at] >= 0x80:
        at += 1
    (size,) = struct.unpack_from("!H", publish, at + 1)
    return publish[at + 3 : at + 3 + size].decode(errors="replace")


@contextmanager
def mqtt_proxy(broker: Address, seed: int = 7) -> Iterator[MqttProxy]:
    """A proxy that passes everything on; closed afterwards."""
    proxy = MqttProxy(broker, seed)
    try:
        yield proxy
    finally:
        proxy.close()
