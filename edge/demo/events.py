"""Where the loop is, from what the cloud says of its run and its rollout. Pure: lines and times come in."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_STEPS = {
    "snapshot": "snapshot: the labelled images are frozen, a part of them held out for ever",
    "champion": "champion: the model in use is found",
    "train": "train: in a process of its own; quantized, through the INT8 gate",
    "prove": "prove: both models on the held-out images",
    "publish": "sign and publish",
    "roll out": "roll out",
}


@dataclass(frozen=True, slots=True)
class Step:
    """Something happened at `at_s`, by the caller's clock."""

    name: str
    text: str
    at_s: float


@dataclass(slots=True)
class Course:
    """One way around.

    Args:
        started_s: since when a trigger is waited for, by the caller's clock.
    """

    started_s: float
    fired_s: float = 0.0
    ended_s: float = 0.0
    trigger: str = ""
    release: str = ""
    why: str = ""
    live: bool = False
    over: bool = False
    steps: list[Step] = field(default_factory=list)
    _rollout: tuple[str, str] = ("", "")

    def heard(self, line: str, now_s: float) -> list[Step]:
        """Take a line of `cloud work --json`; what is new."""
        event = json.loads(line)
        match event["event"]:
            case "begun":
                self.fired_s, self.trigger = now_s, f"{event['trigger']}: {event['why']}"
                return self._note("trigger", f"trigger fired: {self.trigger}", now_s)
            case "step":
                return self._note("step", _STEPS.get(event["step"], event["step"]), now_s)
            case "ended":
                return self._run_ended(event, now_s)
        return []

    def rolled(self, told: Mapping[str, Any], now_s: float) -> list[Step]:
        """Take what `cloud rollout show --json` says; what is new."""
        state, stage = str(told["state"]), str(told["stage"])
        if (state, stage) == self._rollout:
            return []
        self._rollout = state, stage
        if state in {"done", "stopped"}:
            self.live, self.why = state == "done", str(told["why"])
            self._end(now_s)
        return self._note("rollout stage", f"{stage}, {state}: {told['why']}", now_s)

    def _run_ended(self, event: Mapping[str, Any], now_s: float) -> list[Step]:
        self.release = event["release"] or ""
        if self.release:
            return self._note("rollout", f"release {self.release} is signed and on its way", now_s)
        self.why = f"the run ended, {event['result']}: {event['reason']}"
        self._end(now_s)
        return self._note("refused", self.why, now_s)

    def _end(self, now_s: float) -> None:
        self.over, self.ended_s = True, now_s

    def _note(self, name: str, text: str, now_s: float) -> list[Step]:
        step = Step(name, text, now_s)
        self.steps.append(step)
        return [step]
