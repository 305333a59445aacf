"""Which parts wait for their verdict, and what became of each: told, late or unconfirmed. Pure: time comes in.

Invariants:
- A part that was triggered is told exactly one verdict, by its deadline at the latest.
- After the deadline only UNDECIDED can have been told.
- Every committed inspection gets exactly one outcome.
"""

from collections import OrderedDict
from dataclasses import dataclass

from edge.domain.inspection import Outcome, OutcomeOf
from edge.domain.part import Verdict


@dataclass(slots=True)
class _Slot:
    part_id: str
    peer: int
    triggered_s: float
    told: Verdict | None = None
    told_s: float | None = None
    acked: bool = False
    late: bool = False
    gone: bool = False
    seq: int | None = None


class Ledger:
    """The parts in flight at the line port.

    Args:
        deadline_s: from trigger to told, seconds.
        ack_timeout_s: from told to acknowledged, seconds; later is unconfirmed.
    """

    def __init__(self, deadline_s: float, ack_timeout_s: float) -> None:
        self._deadline_s = deadline_s
        self._ack_timeout_s = ack_timeout_s
        self._waiting: OrderedDict[str, _Slot] = OrderedDict()
        self._told: OrderedDict[str, _Slot] = OrderedDict()
        self._outcomes: list[OutcomeOf] = []

    def open(self, part_id: str, peer: int, triggered_s: float) -> bool:
        """A part was triggered. False: a part of this id still waits, and nothing was opened."""
        if part_id in self._waiting:
            return False
        earlier = self._told.pop(part_id, None)
        if earlier is not None:
            self._close(earlier)
        self._waiting[part_id] = _Slot(part_id, peer, triggered_s)
        return True

    def peer_of(self, part_id: str) -> int | None:
        """Which connection triggered a part that still waits."""
        slot = self._waiting.get(part_id)
        return slot.peer if slot else None

    def tell(self, part_id: str, triggered_s: float, verdict: Verdict, now_s: float, *, sent: bool) -> bool:
        """The line is being told, or could not be (`sent` False). False: it was told before; do not tell again."""
        slot = self._waiting.get(part_id)
        if slot is None or slot.triggered_s != triggered_s:
            return False
        self._move(slot, verdict, now_s, sent=sent)
        return True

    def expire(self, part_id: str, now_s: float, *, sent: bool) -> bool:
        """The part cannot wait any longer: UNDECIDED is being told. False: it does not wait any more."""
        slot = self._waiting.get(part_id)
        if slot is None:
            return False
        slot.late = True
        self._move(slot, Verdict.UNDECIDED, now_s, sent=sent)
        return True

    def commit(self, part_id: str, triggered_s: float, seq: int) -> None:
        """The part's inspection is on disk under this number."""
        slot = self._waiting.get(part_id) or self._told.get(part_id)
        if slot is None or slot.triggered_s != triggered_s:
            self._outcomes.append(OutcomeOf(seq, part_id, Outcome.LATE, None, None))
            return
        slot.seq = seq
        self._settle(slot)

    def acknowledge(self, part_id: str, peer: int) -> bool:
        """The line has the verdict. False: nobody waits for this acknowledgement."""
        slot = self._told.get(part_id)
        if slot is None or slot.acked or slot.peer != peer:
            return False
        slot.acked = True
        self._settle(slot)
        return True

    def disconnect(self, peer: int) -> None:
        """A connection ended: what it did not acknowledge it will not."""
        for slot in [slot for slot in self._told.values() if slot.peer == peer]:
            slot.gone = True
            self._settle(slot)

    def due(self, now_s: float) -> list[str]:
        """Parts whose deadline has come and that were told nothing."""
        return [slot.part_id for slot in self._waiting.values() if now_s >= slot.triggered_s + self._deadline_s]

    def sweep(self, now_s: float) -> None:
        """Settle what waits too long for its acknowledgement; forget what was never committed."""
        for slot in list(self._told.values()):
            since_s = slot.told_s if slot.told_s is not None else slot.triggered_s
            if now_s < since_s + self._ack_timeout_s:
                continue
            slot.gone = True
            self._settle(slot)
            if slot.seq is None and now_s >= since_s + 10 * self._ack_timeout_s:
                del self._told[slot.part_id]

    def next_due_s(self) -> float | None:
        """When the next deadline comes, on the caller's clock; None when no part waits."""
        first = next(iter(self._waiting.values()), None)
        return None if first is None else first.triggered_s + self._deadline_s

    def take_outcomes(self) -> list[OutcomeOf]:
        """The outcomes settled since the last call, each once."""
        outcomes, self._outcomes = self._outcomes, []
        return outcomes

    def waiting(self) -> int:
        """How many parts wait for their verdict."""
        return len(self._waiting)

    def _move(self, slot: _Slot, verdict: Verdict, now_s: float, *, sent: bool) -> None:
        del self._waiting[slot.part_id]
        slot.gone = not sent
        if sent:
            slot.told, slot.told_s = verdict, now_s
        self._told[slot.part_id] = slot
        self._settle(slot)

    def _settle(self, slot: _Slot) -> None:
        if slot.seq is None or slot.part_id in self._waiting or not (slot.acked or slot.gone or slot.late):
            return
        self._told.pop(slot.part_id, None)
        self._close(slot)

    def _close(self, slot: _Slot) -> None:
        if slot.seq is None:
            return
        told_ms = None if slot.told_s is None else (slot.told_s - slot.triggered_s) * 1000
        outcome = Outcome.LATE if slot.late else Outcome.TOLD if slot.acked else Outcome.UNCONFIRMED
        self._outcomes.append(OutcomeOf(slot.seq, slot.part_id, outcome, slot.told, told_ms))
