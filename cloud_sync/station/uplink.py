"""The station's sending end: one thread between the outbox and the link.

- Nothing is deleted on the broker's word: only the collector's acknowledgement deletes, and only what it names.
- New records are sent as soon as it is notified; without a notice it looks by itself.
- A fault of the outbox is reported and tried again; it ends nothing.
"""

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from cloud_sync.station.connection import OFFLINE, ONLINE
from cloud_sync.station.ledger import Ledger
from cloud_sync.station.sender import Sender
from cloud_sync.wire import topics
from cloud_sync.wire.backoff import Backoff
from cloud_sync.wire.envelopes import unpack_ack
from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.link import Limits, Link, Message
from cloud_sync.wire.outbox import Outbox

_ACKS_KEPT = 1000
_FAULT_WAIT_MOST_S = 10.0
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class UplinkSettings:
    """The uplink's pace.

    Args:
        resend_after_s: an unacknowledged record is sent again after this, then after twice that, and so on.
        resend_most_s: the longest wait of that kind, seconds.
        poll_s: how often the outbox is looked at without a notice, seconds.
        capacity: how many records may wait for their acknowledgement at a time.
    """

    resend_after_s: float = 30.0
    resend_most_s: float = 300.0
    poll_s: float = 0.5
    capacity: int = 2000


@dataclass(frozen=True, slots=True)
class UplinkStatus:
    """How the uplink stands.

    Args:
        connected: whether the broker answers.
        depth: records in the outbox, at most `poll_s` old; None until counted.
        sent: records sent for the first time on their connection.
        resent: records sent again on the same connection, unacknowledged for too long.
        acknowledged: records under way that the collector acknowledged.
        quarantined: acknowledged records of which the collector held other content under the same identity.
        too_large: tries to send a record that fits no message.
        faults: how often something failed and was tried again.
        last_ack_at: when the last acknowledgement came, UTC.
        last_error: the last thing that went wrong, for a human; "" if nothing did.
    """

    connected: bool
    depth: int | None
    sent: int
    resent: int
    acknowledged: int
    quarantined: int
    too_large: int
    faults: int
    last_ack_at: datetime | None
    last_error: str


class Uplink:
    """Sends what the station records until the collector has it; a context manager that starts and stops it.

    Args:
        station: the station's id.
        outbox: its unacknowledged records; called from the uplink's thread only.
        link: not started; the uplink starts and stops it.
        settings: its pace.
        on_failure: told of every fault, also of those that are tried again; called on the uplink's thread.

    Raises:
        LinkError: the station id is none.
    """

    def __init__(
        self,
        *,
        station: str,
        outbox: Outbox,
        link: Link,
        settings: UplinkSettings | None = None,
        on_failure: Callable[[Exception], None] | None = None,
    ) -> None:
        pace = settings or UplinkSettings()
        ledger = Ledger(pace.resend_after_s, pace.resend_most_s, pace.capacity)
        self._poll_s = pace.poll_s
        self._station = topics.checked_station(station)
        self._outbox = outbox
        self._link = link
        self._sender = Sender(station, outbox, link.publish, ledger)
        self._on_failure = on_failure
        self._acks: deque[bytes] = deque(maxlen=_ACKS_KEPT)  # one that falls out comes again after the next resend
        self._limits: Limits | None = None
        self._is_new_connection = False
        self._next_look_s = 0.0
        self._depth: int | None = None
        self._faults = 0
        self._last_ack_at: datetime | None = None
        self._last_error = ""
        self._failure: BaseException | None = None
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"uplink {station}", daemon=True)

    def start(self) -> None:
        """Begin to send; returns at once, an absent broker is no error. Raises LinkError if started before."""
        self._link.start(self)
        self._thread.start()

    def notify(self) -> None:
        """There is something new in the outbox. Cheap, from any thread."""
        self._wake.set()

    def status(self) -> UplinkStatus:
        """How it stands just now; from any thread."""
        counts = self._sender.counts
        return UplinkStatus(
            connected=self._limits is not None,
            depth=self._depth,
            sent=counts.sent,
            resent=counts.resent,
            acknowledged=counts.acknowledged,
            quarantined=counts.quarantined,
            too_large=counts.too_large,
            faults=self._faults,
            last_ack_at=self._last_ack_at,
            last_error=self._last_error,
        )

    def raise_if_failed(self) -> None:
        """Raises LinkError if the uplink's thread has died."""
        if self._failure is not None:
            raise LinkError(f"the uplink of {self._station!r} has died of {self._failure!r}") from self._failure

    def stop(self, timeout_s: float = 5.0) -> bool:
        """Say that the station goes offline, and end; True if all ended in time. What is unsent stays in the outbox."""
        until_s = time.monotonic() + timeout_s
        self._stopping.set()
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s / 2)
        self._link.stop(max(0.1, until_s - time.monotonic()))
        return not self._thread.is_alive()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    def on_connected(self, limits: Limits) -> None:
        """The link's word; see `Listener`."""
        self._is_new_connection = True
        self._limits = limits
        _logger.info("station %s is online", self._station)
        self._wake.set()

    def on_disconnected(self, why: str) -> None:
        """The link's word; see `Listener`."""
        if not self._stopping.is_set() and (self._limits is not None or why != self._last_error):
            _logger.warning("station %s is offline: %s", self._station, why)
        self._limits = None
        self._last_error = why

    def on_message(self, message: Message) -> None:
        """The link's word; see `Listener`."""
        self._acks.append(message.payload)
        self._link.acknowledge(message)
        self._wake.set()

    def on_answer(self, refusal: str | None) -> None:
        """The link's word; see `Listener`."""
        if refusal is not None:
            self._last_error = f"the broker refused a batch: {refusal}"
        self._wake.set()

    def _run(self) -> None:
        backoff = Backoff(self._poll_s, max(self._poll_s, _FAULT_WAIT_MOST_S))
        try:
            while not self._stopping.is_set():
                if self._wake.wait(self._poll_s):
                    self._wake.clear()
                try:
                    self._work()
                    backoff.reset()
                except Exception as error:  # noqa: BLE001 - whatever the outbox raises: report it, and try again
                    self._report(error)
                    self._stopping.wait(backoff.next_s())
            self._link.publish(topics.state(self._station), OFFLINE, retain=True)
        except BaseException as error:  # not even this may go unseen: `raise_if_failed` has it
            self._failure = error
            _logger.exception("the uplink of %s has died", self._station)

    def _work(self) -> None:
        self._settle()
        now_s = time.monotonic()
        looks = now_s >= self._next_look_s
        if looks:
            self._next_look_s = now_s + self._poll_s
            self._depth = sum(self._outbox.depths().values())
        limits = self._limits
        if limits is None:
            return
        if self._is_new_connection:
            self._is_new_connection = False
            self._sender.begin(limits.payload_bytes)
            self._link.publish(topics.state(self._station), ONLINE, retain=True)
        self._send(now_s, looks=looks)

    def _send(self, now_s: float, *, looks: bool) -> None:
        if looks and not self._sender.send_due(now_s):
            return
        if self._sender.send_new(now_s) and looks and self._depth is not None:
            self._sender.send_late(self._depth, now_s)

    def _settle(self) -> None:
        while self._acks:
            try:
                ack = unpack_ack(self._acks[0])
            except LinkError as error:
                self._report(error)
            else:
                self._sender.settle(ack)
                self._last_ack_at = datetime.now(UTC)
            self._acks.popleft()

    def _report(self, error: Exception) -> None:
        self._faults += 1
        self._last_error = f"{type(error).__name__}: {error}"
        _logger.error("the uplink of %s met a fault: %s", self._station, self._last_error)
        if self._on_failure is not None:
            with contextlib.suppress(Exception):
                self._on_failure(error)
