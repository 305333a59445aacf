"""The passengers of one uplink: each is served in turn, and one's fault harms neither the others nor the records."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cloud_sync.station.passenger import Passenger, Publish
from cloud_sync.wire.backoff import Backoff
from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.link import Limits


@dataclass(slots=True)
class _Seat:
    passenger: Passenger
    backoff: Backoff = field(default_factory=lambda: Backoff(1.0, 60.0))
    again_s: float = 0.0


class Passengers:
    """Those who ride along. All calls come from the uplink's thread.

    Args:
        passengers: in the order in which they are asked and served.
        on_fault: told of every fault.
    """

    def __init__(self, passengers: Sequence[Passenger], on_fault: Callable[[Exception], None]) -> None:
        self._seats = [_Seat(passenger) for passenger in passengers]
        self._on_fault = on_fault

    def begin(self, limits: Limits, now_s: float) -> None:
        """A new connection."""
        for seat in self._seats:
            self._guarded(seat, now_s, lambda seat=seat: seat.passenger.begin(limits))  # type: ignore[misc]

    def hear(self, subject: str, payload: bytes, now_s: float) -> None:
        """Give a message to the first who takes it. What nobody takes, or what is malformed, is reported."""
        for seat in self._seats:
            taken = False
            try:
                taken = seat.passenger.hear(subject, payload)
            except LinkError as error:
                self._on_fault(error)
                return
            except Exception as error:  # noqa: BLE001 - a passenger's fault is its own
                self._pause(seat, now_s, error)
                return
            if taken:
                return
        self._on_fault(LinkError(f"nobody here takes down/{subject[:120]} of {len(payload)} bytes"))

    def work(self, now_s: float, publish: Publish) -> None:
        """Let each send what is due; one that failed waits first, twice as long each time."""
        for seat in self._seats:
            if now_s >= seat.again_s and self._guarded(
                seat,
                now_s,
                lambda seat=seat: seat.passenger.work(now_s, publish),  # type: ignore[misc]
            ):
                seat.backoff.reset()

    def _guarded(self, seat: _Seat, now_s: float, call: Callable[[], None]) -> bool:
        try:
            call()
        except Exception as error:  # noqa: BLE001 - a passenger's fault is its own
            self._pause(seat, now_s, error)
            return False
        return True

    def _pause(self, seat: _Seat, now_s: float, error: Exception) -> None:
        seat.again_s = now_s + seat.backoff.next_s()
        self._on_fault(error)
