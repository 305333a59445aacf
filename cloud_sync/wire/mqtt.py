"""A link over MQTT 5, QoS 1. The only user of paho.

What paho does not do for us, and each has cost somebody messages or a line:
- It keeps unsent messages in memory and, after a reconnect, sends them all at once, whatever the broker's Receive
  Maximum. So its queue is emptied before each connection, and our own window bounds what it is given.
- It acknowledges what it received before a reconnect under numbers that now mean other messages. So each receipt
  carries the connection it came by.
- Its own thread dies of an exception in a callback and is joined without a limit. So the thread is ours, and what paho
  reports is dealt with after paho has returned and holds no lock.
"""

import logging
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from cloud_sync.wire.backoff import Backoff
from cloud_sync.wire.connection import Connection
from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.identity import Identity
from cloud_sync.wire.link import Limits, Listener, Message
from cloud_sync.wire.mqtt_settings import MqttSettings
from cloud_sync.wire.tls import FreshContext

WINDOW = 20
HANDSHAKE_TIMEOUT_S = 5.0
FAREWELL_S = 1.0

_LOOP_S = 0.5
_PACKET_LIMIT_BYTES = 256 * 1024
_PACKET_HEADER_BYTES = 512
_RECEIVE_MAXIMUM = 65535
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Receipt:
    connection: Connection
    mid: int


class MqttLink:
    """A `Link` to an MQTT 5 broker: one thread, exponential back-off between 0.5 and 10 s."""

    def __init__(self, settings: MqttSettings) -> None:
        self._settings = settings
        self._client = _client(settings)
        self._stopping = threading.Event()
        self._tls = self._secured(settings.identity)
        self._hear()
        self._listener: Listener | None = None
        self._connection = Connection(0.0)
        self._limits = Limits(0, 0)
        self._heard: deque[Callable[[Listener], None]] = deque()
        self._gate = threading.Lock()  # publish and acknowledge against the change of connections
        self._thread = threading.Thread(target=self._run, name=f"mqtt {settings.client_id}", daemon=True)

    def start(self, listener: Listener) -> None:
        """Begin to connect; see `Link.start`."""
        if self._listener is not None:
            raise LinkError(f"the link of {self._settings.client_id!r} was started before: make a new one")
        self._listener = listener
        self._thread.start()

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        """Hand a message to the broker if connected and the window has room; see `Link.publish`."""
        with self._gate:
            limits = self._connection.limits
            if limits is not None and len(payload) > limits.payload_bytes:
                raise LinkError(f"{topic}: expected at most {limits.payload_bytes} bytes, got {len(payload)}: split it")
            if not self._connection.take_place():
                return False
            return self._client.publish(topic, payload, qos=1, retain=retain).rc == MQTTErrorCode.MQTT_ERR_SUCCESS

    def acknowledge(self, message: Message) -> None:
        """Send the message's PUBACK, if its connection still lives; see `Link.acknowledge`."""
        receipt = message.receipt
        with self._gate:
            if isinstance(receipt, _Receipt) and receipt.connection is self._connection:
                self._client.ack(receipt.mid, qos=1)

    def stop(self, timeout_s: float) -> bool:
        """Say farewell and end the thread, within the limit; see `Link.stop`."""
        clean = self._connection.limits is not None
        self._stopping.set()
        if self._listener is None:
            return True
        with self._gate:
            self._client.disconnect()
        self._thread.join(timeout_s)
        return clean and not self._thread.is_alive()

    def _run(self) -> None:
        backoff = Backoff()
        while not self._stopping.is_set():
            why = self._live()
            if self._connection.limits is not None:
                backoff.reset()
            self._replace_connection()
            self._heard.append(lambda listener, why=why: listener.on_disconnected(why))  # type: ignore[misc]
            self._dispatch()
            self._stopping.wait(backoff.next_s())
        self._leave()

    def _live(self) -> str:
        """One connection from its first byte to its end; says why it ended."""
        self._replace_connection()
        try:
            self._connect()
            while not self._stopping.is_set():
                self._client.loop(_LOOP_S)
                self._dispatch()
                if self._connection.is_overdue(time.monotonic(), HANDSHAKE_TIMEOUT_S):
                    return f"{self._settings.address} did not answer within {HANDSHAKE_TIMEOUT_S} s"
                if self._connection.broken is not None:
                    return self._connection.broken
                if self._connection.is_unanswered(time.monotonic(), self._settings.answer_timeout_s):
                    return f"{self._settings.address} answered no publish for {self._settings.answer_timeout_s} s"
        except (LinkError, OSError) as error:
            return self._unreachable(error)
        except Exception as error:  # paho met what it did not expect: no reason for the link to end
            _logger.exception("the link of %s starts over", self._settings.client_id)
            return f"starts over after {type(error).__name__}: {error}"
        return "stopped"

    def _unreachable(self, error: LinkError | OSError) -> str:
        way = "no TLS with" if isinstance(error, LinkError) else "cannot reach"
        return f"{way} {self._settings.address}: {error}"

    def _replace_connection(self) -> None:
        with self._gate:
            self._connection = Connection(time.monotonic())
            self._client.drop_out_messages()

    def _connect(self) -> None:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = self._settings.session_expiry_s
        properties.ReceiveMaximum = self._settings.receive_limit
        properties.MaximumPacketSize = _PACKET_LIMIT_BYTES  # else whoever may publish to us fills our memory
        self._client.connect(
            self._settings.address.host,
            self._settings.address.port,
            keepalive=self._settings.keepalive_s,
            clean_start=self._settings.session_expiry_s == 0,
            properties=properties,
        )

    def _secured(self, identity: Identity | None) -> FreshContext | None:
        if identity is None:
            return None
        made = FreshContext.of(identity, HANDSHAKE_TIMEOUT_S, self._stopping.is_set)
        self._client.tls_set_context(made)
        return made

    def _hung_up(self, reason: ReasonCode) -> str:
        """Why the connection ended, as far as anybody can know."""
        if self._tls is not None and (fault := self._tls.fault()):
            return f"no TLS with {self._settings.address}: {fault}"
        said = f"{self._settings.address} hung up: {reason}"
        if self._connection.limits is not None:
            return said
        if self._tls is None:
            return f"{said}, before it said a word: is it a port for TLS?"
        return f"{said}, before it said a word: its log says whether it refused our certificate"

    def _dispatch(self) -> None:
        """Tell the listener what paho reported; its fault breaks the connection, so that everything comes again."""
        assert self._listener is not None  # noqa: S101 - started
        while self._heard:
            tell = self._heard.popleft()
            try:
                tell(self._listener)
            except Exception as error:
                _logger.exception("the link of %s starts over", self._settings.client_id)
                self._connection.broken = f"starts over after {type(error).__name__}: {error}"
                self._heard.clear()

    def _leave(self) -> None:
        """Send what is queued and the farewell while there is time, then close."""
        self._client.disconnect()
        until_s = time.monotonic() + FAREWELL_S
        try:
            while self._client.socket() is not None and time.monotonic() < until_s:
                self._client.loop(0.05)
        finally:
            if (silent := self._client.socket()) is not None:
                silent.close()

    def _hear(self) -> None:
        client = self._client
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        client.on_socket_open = _send_at_once
        client.on_socket_register_write = lambda *_: (
            None
        )  # only our thread writes: paho would write from the publisher's

    def _on_connect(
        self, _c: object, _u: object, _f: object, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if reason.is_failure:
            self._connection.broken = f"{self._settings.address} refused us: {reason}"
            return
        self._limits = _limits(properties)
        if self._settings.subscriptions:
            self._client.subscribe([(topic, SubscribeOptions(qos=1)) for topic in self._settings.subscriptions])
        else:
            self._ready()

    def _on_subscribe(self, _c: object, _u: object, _m: int, reasons: list[ReasonCode], _p: object) -> None:
        refused = [str(reason) for reason in reasons if reason.is_failure]
        if refused:
            wanted = ", ".join(self._settings.subscriptions)
            self._connection.broken = f"{self._settings.address} refused {wanted}: {refused[0]}"
        else:
            self._ready()

    def _ready(self) -> None:
        limits = self._limits
        self._connection.limits = limits
        self._heard.append(lambda listener: listener.on_connected(limits))

    def _on_disconnect(self, _c: object, _u: object, _f: object, reason: ReasonCode, _p: object) -> None:
        self._connection.broken = self._connection.broken or self._hung_up(reason)

    def _on_message(self, _c: object, _u: object, message: paho.MQTTMessage) -> None:
        receipt = _Receipt(self._connection, message.mid) if message.qos else None
        try:
            came = Message(message.topic, bytes(message.payload), receipt)
        except UnicodeDecodeError:
            came = Message("", bytes(message.payload), receipt)
        self._heard.append(lambda listener: listener.on_message(came))

    def _on_publish(self, _c: object, _u: object, _m: int, reason: ReasonCode, _p: object) -> None:
        self._connection.give_place()
        refusal = str(reason) if reason.is_failure else None
        self._heard.append(lambda listener: listener.on_answer(refusal))


def _client(settings: MqttSettings) -> paho.Client:
    client = paho.Client(
        CallbackAPIVersion.VERSION2,
        client_id=settings.client_id,
        protocol=paho.MQTTv5,
        manual_ack=True,
        reconnect_on_failure=False,
    )
    client.max_inflight_messages = 0  # ours is the window
    client.connect_timeout = 3.0
    if settings.will is not None:
        client.will_set(settings.will.topic, settings.will.payload, qos=1, retain=True)
    return client


def _limits(properties: Properties | None) -> Limits:
    packet_bytes = min(_PACKET_LIMIT_BYTES, getattr(properties, "MaximumPacketSize", _PACKET_LIMIT_BYTES))
    receive_maximum = getattr(properties, "ReceiveMaximum", _RECEIVE_MAXIMUM)
    return Limits(max(0, packet_bytes - _PACKET_HEADER_BYTES), min(WINDOW, receive_maximum))


def _send_at_once(_client: object, _userdata: object, opened: object) -> None:
    if isinstance(opened, socket.socket):
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
