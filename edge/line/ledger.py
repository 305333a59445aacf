"""Which parts wait for their verdict, and what became of each: told, late or unconfirmed. Pure: time comes in.

Invariants:
- A part that was triggered is told exactly one verdict, by its deadline at the latest.
- Once the deadline has come, only UNDECIDED can be told.
- Every committed inspection gets exactly one outcome, however late its commit comes.
"""

from collections import OrderedDict
from dataclasses import dataclass

from edge.domain.inspection import Outcome, OutcomeOf
from edge.domain.part import Verdict

_UNCOMMITTED_LIMIT = 20_000


@dataclass(slots=True, eq=False)
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

    A part waits until a verdict is told; what was told then waits for its acknowledgement and, where the verdict came
    before the record, for its commit.

    Args:
        deadline_s: from trigger to told, seconds.
        ack_timeout_s: from told to acknowledged, seconds; later is unconfirmed.
    """

    def __init__(self, deadline_s: float, ack_timeout_s: float) -> None:
        self._deadline_s = deadline_s
        self._ack_timeout_s = ack_timeout_s
        self._waiting: OrderedDict[str, _Slot] = OrderedDict()
        self._unacked: OrderedDict[str, _Slot] = OrderedDict()
        self._uncommitted: OrderedDict[tuple[str, float], _Slot] = OrderedDict()
        self._outcomes: list[OutcomeOf] = []

    def open(self, part_id: str, peer: int, triggered_s: float) -> bool:
        """A part was triggered. False: a part of this id still waits, and nothing was opened."""
        if part_id in self._waiting:
            return False
        earlier = self._unacked.get(part_id)
        if earlier is not None:
            self._give_up(earlier)
        self._waiting[part_id] = _Slot(part_id, peer, triggered_s)
        return True

    def peer_of(self, part_id: str) -> int | None:
        """Which connection triggered a part that still waits."""
        slot = self._waiting.get(part_id)
        return slot.peer if slot else None

    def tell(self, part_id: str, triggered_s: float, verdict: Verdict, now_s: float, *, sent: bool) -> bool:
        """The line is being told, or could not be (`sent` False).

        False: do not tell; it was told before, or its deadline has come and `expire` is the way.
        """
        slot = self._waiting.get(part_id)
        if slot is None or slot.triggered_s != triggered_s or self._is_due(slot, now_s):
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
        slot = self._waiting.get(part_id)
        if slot is None or slot.triggered_s != triggered_s:
            slot = self._uncommitted.pop((part_id, triggered_s), None)
        if slot is None or slot.seq is not None:
            self._outcomes.append(OutcomeOf(seq, part_id, Outcome.LATE, None, None))
            return
        slot.seq = seq
        self._settle(slot)

    def acknowledge(self, part_id: str, peer: int) -> bool:
        """The line has the verdict. False: nobody waits for this acknowledgement."""
        slot = self._unacked.get(part_id)
        if slot is None or slot.peer != peer:
            return False
        del self._unacked[part_id]
        slot.acked = True
        self._settle(slot)
        return True

    def disconnect(self, peer: int) -> None:
        """A connection ended: what it did not acknowledge it will not."""
        for slot in [slot for slot in self._unacked.values() if slot.peer == peer]:
            self._give_up(slot)

    def due(self, now_s: float) -> list[str]:
        """Parts whose deadline has come and that were told nothing."""
        return [slot.part_id for slot in self._waiting.values() if self._is_due(slot, now_s)]

    def sweep(self, now_s: float) -> None:
        """Give up the acknowledgements that are overdue."""
        for slot in list(self._unacked.values()):
            since_s = slot.told_s if slot.told_s is not None else slot.triggered_s
            if now_s >= since_s + self._ack_timeout_s:
                self._give_up(slot)

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

    def unacknowledged(self) -> int:
        """How many told verdicts wait for their acknowledgement."""
        return len(self._unacked)

    def _is_due(self, slot: _Slot, now_s: float) -> bool:
        return now_s >= slot.triggered_s + self._deadline_s

    def _move(self, slot: _Slot, verdict: Verdict, now_s: float, *, sent: bool) -> None:
        del self._waiting[slot.part_id]
        slot.gone = not sent
        if sent:
            slot.told, slot.told_s = verdict, now_s
            self._unacked[slot.part_id] = slot
        if slot.seq is None:
            self._uncommitted[slot.part_id, slot.triggered_s] = slot
            if len(self._uncommitted) > _UNCOMMITTED_LIMIT:
                self._uncommitted.popitem(last=False)
        self._settle(slot)

    def _give_up(self, slot: _Slot) -> None:
        del self._unacked[slot.part_id]
        slot.gone = True
        self._settle(slot)

    def _settle(self, slot: _Slot) -> None:
        if slot.seq is None or self._waiting.get(slot.part_id) is slot or not (slot.acked or slot.gone or slot.late):
            return
        if self._unacked.get(slot.part_id) is slot:
            del self._unacked[slot.part_id]
        told_ms = None if slot.told_s is None else (slot.told_s - slot.triggered_s) * 1000
        outcome = Outcome.LATE if slot.late else Outcome.TOLD if slot.acked else Outcome.UNCONFIRMED
        self._outcomes.append(OutcomeOf(slot.seq, slot.part_id, outcome, slot.told, told_ms))
