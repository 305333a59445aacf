"""How a release is to be rolled out, and what stops it. Plain numbers."""

from dataclasses import dataclass
from itertools import pairwise

from pydantic import TypeAdapter, ValidationError

_ALL = 100
_MOST = 1_000_000
_SHARES = ("disagreement_most", "undecided_most", "reject_shift_most", "escape_most")


class PlanError(ValueError):
    """A plan that cannot be followed."""


@dataclass(frozen=True, slots=True)
class RolloutPlan:
    """What each stage asks.

    Args:
        canary: the station that goes first; empty: the one with the fewest parts.
        stations: who shall get it; empty: those that the release names, else all that inspect its product.
        shadow_parts: so many parts each station looks at beside the model in use, before it may decide.
        live_parts: so many parts it decides, before others follow.
        disagreement_most: the highest share of parts on which it may say something else than the model in use.
        undecided_most: the highest share of parts that it may leave undecided.
        reject_shift_most: how far its share of rejects may lie from that of the model in use, either way.
        escape_most: of the parts that the model in use rejects, the highest share that it may pass.
        min_minutes: each stage takes at least so long.
        steps_percent: shares of the stations that decide by it, rising, after the canary; the last is 100.
        patience_minutes: a station of which nothing was heard for so long, or no part, holds up no other.
        watch_hours: for so long after the end a station that goes back, or on which it breaks, still stops it for all.
    """

    canary: str = ""
    stations: tuple[str, ...] = ()
    shadow_parts: int = 200
    live_parts: int = 200
    disagreement_most: float = 0.05
    undecided_most: float = 0.01
    reject_shift_most: float = 0.1
    escape_most: float = 0.5
    min_minutes: float = 10.0
    steps_percent: tuple[int, ...] = (10, 100)
    patience_minutes: float = 60.0
    watch_hours: float = 24.0

    def __post_init__(self) -> None:
        """Raises PlanError."""
        for name in _SHARES:
            if not 0 <= getattr(self, name) <= 1:
                raise PlanError(f"rollout: {name} is a share from 0 to 1, got {getattr(self, name)}")
        for name in ("shadow_parts", "live_parts"):
            if not 1 <= getattr(self, name) <= _MOST:
                raise PlanError(f"rollout: {name} is 1 to {_MOST}, got {getattr(self, name)}")
        for name in ("min_minutes", "patience_minutes"):
            if not 0 <= getattr(self, name) < _MOST:
                raise PlanError(f"rollout: {name} is a number of minutes, got {getattr(self, name)}")
        if not 0 <= self.watch_hours < _MOST:
            raise PlanError(f"rollout: watch_hours is a number of hours, got {self.watch_hours}")
        steps = self.steps_percent
        if not steps or steps[-1] != _ALL or steps[0] < 1 or any(low >= high for low, high in pairwise(steps)):
            raise PlanError(f"rollout: steps_percent rise from 1 or more to 100, got {list(steps)}")


_PLANS = TypeAdapter(RolloutPlan)


def pack_plan(plan: RolloutPlan) -> str:
    """As text, to be kept."""
    return _PLANS.dump_json(plan).decode()


def unpack_plan(text: str) -> RolloutPlan:
    """The plan in the text that `pack_plan` gave. Raises PlanError."""
    try:
        return _PLANS.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise PlanError(f"rollout: the plan in the store is none: {first['msg']}") from error
