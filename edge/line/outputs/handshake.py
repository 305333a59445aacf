"""The usual handshake between a PLC and an inspection, one part at a time. Pure: what the PLC says and time come in.

    PLC: Trigger up          station: TriggerAck and Busy up, Ready down
    PLC: Trigger down        station: TriggerAck down
                             station: result bits, then ResultValid up and Busy down
    PLC: ResultAck up        station: ResultValid down, then the result bits

Invariants:
- Pass is up only while ResultValid stands or is about to, and only for a PASS of the part that the PLC triggered.
- Result bits change only while ResultValid is down.
- A signal that was up before the station looked is no edge: after a reconnect the PLC must lower Trigger first, and
  Ready says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import count

from edge.domain.part import Verdict
from edge.line.outputs.memory import Asked, Shown
from edge.line.protocol import Ack, Trigger
from edge.line.said import Told

_RESULT = ("pass_bit", "fail_bit", "undecided_bit", "result_number")
_WORD = 0x10000


@dataclass(frozen=True, slots=True)
class HandshakeRules:
    """How a station and its PLC agreed to speak.

    Args:
        name: part ids begin with it.
        products: what the PLC's product numbers mean; empty: all parts are of `product`.
        product: used where there are no numbers.
        numbered: the PLC numbers its parts; else the station does.
        acknowledged: the PLC acknowledges results; else a result counts as told once it stands in the PLC's memory.
        hold_s: a result that nobody acknowledges is withdrawn after this, seconds.
    """

    name: str
    products: Mapping[int, str]
    product: str
    numbered: bool
    acknowledged: bool
    hold_s: float


@dataclass(slots=True)
class _Waiting:
    part_id: str
    number: int


@dataclass(slots=True)
class _Result:
    part_id: str
    number: int
    verdict: Verdict
    since_s: float
    confirmed: bool = False


class Handshake:
    """The handshake with one PLC; `overruns` counts triggers that came while a part waited, over all connections.

    Args:
        rules: what was agreed.
    """

    def __init__(self, rules: HandshakeRules) -> None:
        self.overruns = 0
        self._numbers = count(1)
        self._rules = rules
        self._beat = 0
        self.restart()

    def restart(self) -> None:
        """A new connection: nothing of an earlier one is true of it, but for the numbers of parts."""
        self._ready = False
        self._last = Asked(trigger=True, result_ack=True)
        self._trigger_ack = False
        self._waiting: _Waiting | None = None
        self._result: _Result | None = None

    @property
    def shown(self) -> Shown:
        """What the PLC must be shown now."""
        result = self._result
        return Shown(
            ready=self._ready and self._waiting is None and not self._last.trigger,
            trigger_ack=self._trigger_ack,
            busy=self._waiting is not None,
            result_valid=result is not None,
            pass_bit=result is not None and result.verdict is Verdict.PASS,
            fail_bit=result is not None and result.verdict is not Verdict.PASS,
            undecided_bit=result is not None and result.verdict is Verdict.UNDECIDED,
            result_number=0 if result is None else result.number,
            heartbeat=self._beat,
        )

    def set_ready(self, ready: bool) -> None:  # noqa: FBT001 - ready is what is said
        """Whether the station can inspect."""
        self._ready = ready

    def beat(self) -> None:
        """Count the heartbeat on."""
        self._beat = (self._beat + 1) % _WORD

    def hear(self, told: Told, now_s: float) -> None:
        """A verdict; of any other part than the one that waits it is none of the PLC's."""
        if self._waiting is None or told.part_id != self._waiting.part_id:
            return
        self._result = _Result(told.part_id, self._waiting.number, told.verdict, now_s)
        self._waiting = None

    def see(self, asked: Asked, now_s: float) -> tuple[Trigger | Ack, ...]:
        """Look at what the PLC says; returns what follows for the station."""
        words: list[Trigger | Ack] = []
        before, self._last = self._last, asked
        if not asked.trigger:
            self._trigger_ack = False
        if self._result is not None:
            words += self._check_result(self._result, now_s, acknowledged=asked.result_ack and not before.result_ack)
        if asked.trigger and not before.trigger:
            words += self._take(asked)
        return tuple(words)

    def stands(self) -> tuple[Ack, ...]:
        """All that is shown stands in the PLC's memory; returns the verdict that is told by that alone, if one is."""
        if self._rules.acknowledged or self._result is None or self._result.confirmed:
            return ()
        self._result.confirmed = True
        return (Ack(self._result.part_id),)

    def _check_result(self, result: _Result, now_s: float, *, acknowledged: bool) -> list[Ack]:
        acknowledged = acknowledged and self._rules.acknowledged
        if acknowledged or now_s - result.since_s >= self._rules.hold_s:
            self._result = None
        return [Ack(result.part_id)] if acknowledged else []

    def _take(self, asked: Asked) -> list[Trigger]:
        """A part is there. While another still waits for its verdict nothing is taken: the PLC gets no TriggerAck."""
        if self._waiting is not None:
            self.overruns += 1
            return []
        number = asked.part_number if self._rules.numbered else next(self._numbers) % _WORD
        self._result, self._trigger_ack = None, True
        self._waiting = _Waiting(f"{self._rules.name}-{number}", number)
        return [Trigger(self._waiting.part_id, self._product(asked.product), ())]

    def _product(self, number: int) -> str:
        return self._rules.products.get(number, f"#{number}") if self._rules.products else self._rules.product


def steps(old: Shown, new: Shown) -> list[Shown]:
    """From one state to the next so that result bits never change while ResultValid is up, each step written whole."""
    result = {name: getattr(new, name) for name in _RESULT}
    if all(getattr(old, name) == value for name, value in result.items()) and old.result_valid == new.result_valid:
        return [new]
    down = replace(old, result_valid=False)
    laid = replace(down, **result)
    path = [down, laid, new] if old.result_valid else [laid, new]
    return [step for index, step in enumerate(path) if step != (path[index - 1] if index else old)]
