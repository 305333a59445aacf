"""`edge feedback`: a short visit to a running station's line port, to say what a part really was."""

import json
import time
from typing import Any

from edge.domain.errors import ConfigError, OutputError
from edge.domain.feedback import Feedback
from edge.line.connection import LineConnection
from edge.line.protocol import NOT_KEPT, Address, FeedbackAnswer, feedback_line

_PATIENCE_S = 15.0  # a disk that does not answer is given up after ten
_SLICE_S = 0.5


def give_feedback(address: Address, said: Feedback) -> FeedbackAnswer:
    """Have a running station keep it; it is on its disk when this returns.

    Raises:
        ConfigError: the station refuses: it knows no such part.
        OutputError: the station is not there, hung up, did not answer in time, or its disk refuses.
    """
    until_s = time.monotonic() + _PATIENCE_S
    with LineConnection(address) as connection:
        connection.say(feedback_line(said))
        while time.monotonic() < until_s:
            for line in connection.hear(_SLICE_S):
                answer = _answer(line, said)
                if answer is not None:
                    return answer
    raise OutputError(f"the station at {address} did not answer within {_PATIENCE_S:g} s")


def _answer(line: bytes, said: Feedback) -> FeedbackAnswer | None:
    heard: dict[str, Any] = json.loads(line)
    if heard.get("type") == "error":
        why = str(heard.get("why"))
        raise (OutputError if why.startswith(NOT_KEPT) else ConfigError)(f"the station did not take it: {why}")
    if heard.get("type") != "feedback" or heard.get("part_id") != said.part_id:
        return None
    kept = FeedbackAnswer(
        said.part_id,
        str(heard["verdict"]),
        str(heard["inspection_id"]),
        int(heard["number"]),
        int(heard.get("boxes", 0)),
    )
    if said.inspection_id not in {"", kept.inspection_id} or kept.boxes != len(said.boxes):
        raise OutputError("the station that runs is of an earlier version and kept only a part: start it again")
    return kept
