"""A link inside one process, to a `MemoryBroker` that loses, repeats and delays on demand."""

import queue
import threading
from collections.abc import Callable

from cloud_sync.wire.connection import Connection
from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.link import Listener, Message
from cloud_sync.wire.memory_broker import MemoryBroker

_TICK_S = 0.02


class MemoryLink:
    """A `Link` to a `MemoryBroker`: one thread, which tries every 20 ms while the broker is closed."""

    def __init__(
        self,
        broker: MemoryBroker,
        client_id: str,
        subscriptions: tuple[str, ...] = (),
        *,
        keep_session: bool = False,
        will: Message | None = None,
        receive_limit: int = 100,
    ) -> None:
        self.client_id = client_id
        self.subscriptions = subscriptions
        self.keep_session = keep_session
        self.will = will
        self.receive_limit = receive_limit
        self._broker = broker
        self._listener: Listener | None = None
        self._connection = Connection(0.0)
        self._events: queue.SimpleQueue[Callable[[Listener], None] | None] = queue.SimpleQueue()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=f"memory {client_id}", daemon=True)

    def start(self, listener: Listener) -> None:
        """Begin to connect; see `Link.start`."""
        if self._listener is not None:
            raise LinkError(f"the link of {self.client_id!r} was started before: make a new one")
        self._listener = listener
        self._thread.start()

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        """Give the message to its fate; see `Link.publish`."""
        connection = self._connection
        limit_bytes = self._broker.limits.payload_bytes
        if len(payload) > limit_bytes:
            raise LinkError(f"{topic}: expected at most {limit_bytes} bytes, got {len(payload)}: split it")
        if not connection.take_place():
            return False
        self._broker.deliver(Message(topic, payload), retain=retain)
        self._events.put(lambda listener: self._answered(connection, listener))
        return True

    def acknowledge(self, message: Message) -> None:
        """The message will not come again; see `Link.acknowledge`."""
        self._broker.acknowledge(self, message)

    def stop(self, timeout_s: float) -> bool:
        """Leave; see `Link.stop`."""
        clean = self._connection.limits is not None
        self._stopping = True
        self.wake()
        if self._listener is None:
            return True
        self._thread.join(timeout_s)
        return clean and not self._thread.is_alive()

    def wake(self) -> None:
        """There is something to do."""
        self._events.put(None)

    def break_off(self, why: str) -> None:
        """The connection is over."""
        self._connection.broken = why
        self.wake()

    def _run(self) -> None:
        while not self._stopping:
            if self._connection.limits is None:
                self._connect()
            self._work()
            if (why := self._connection.broken) is not None:
                self._broker.detach(self, farewell=False)
                self._connection = Connection(0.0)
                self._tell(lambda listener, why=why: listener.on_disconnected(why))  # type: ignore[misc]
        self._broker.detach(self, farewell=True)

    def _connect(self) -> None:
        if self._broker.attach(self):
            limits = self._connection.limits = self._broker.limits
            self._tell(lambda listener: listener.on_connected(limits))

    def _work(self) -> None:
        try:
            event = self._events.get(timeout=_TICK_S)
        except queue.Empty:
            self._broker.release_late()
            event = None
        if event is not None:
            self._tell(event)
        while self._connection.broken is None and (message := self._broker.next_for(self)) is not None:
            self._tell(lambda listener, message=message: listener.on_message(message))  # type: ignore[misc]

    def _tell(self, tell: Callable[[Listener], None]) -> None:
        assert self._listener is not None  # noqa: S101 - started
        try:
            tell(self._listener)
        except Exception as error:  # noqa: BLE001 - told as the reason of the break
            self._connection.broken = f"starts over after {type(error).__name__}: {error}"

    def _answered(self, connection: Connection, listener: Listener) -> None:
        connection.give_place()
        if connection is self._connection:
            listener.on_answer(None)
