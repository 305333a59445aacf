"""`edge verify-masters`: visits to a running station's line port, to show it master parts and have them checked."""

import json
import time
from typing import Any

from edge.domain.errors import ConfigError, OutputError
from edge.line.connection import LineConnection
from edge.line.protocol import (
    Ack,
    Address,
    MastersAnswer,
    Trigger,
    VerifyMasters,
    ack_line,
    trigger_line,
    verify_masters_line,
)
from edge.line.said import Told, parse_said

PATIENCE_S = 150.0  # a check ends within a minute; another may run before it
_SLICE_S = 0.5


def ask_station(address: Address, asked: VerifyMasters, patience_s: float = PATIENCE_S) -> MastersAnswer:
    """Have a running station check its master parts.

    Raises:
        ConfigError: the station refuses: it knows no such product, or that one has no master parts.
        OutputError: the station is not there, hung up, or did not answer within `patience_s` seconds.
    """
    until_s = time.monotonic() + patience_s
    with LineConnection(address) as connection:
        connection.say(verify_masters_line(asked))
        while time.monotonic() < until_s:
            for line in connection.hear(_SLICE_S):
                answer = _answer(line, asked.product)
                if answer is not None:
                    return answer
    raise OutputError(f"the station at {address} did not answer within {patience_s:g} s")


def show_master(address: Address, trigger: Trigger, patience_s: float) -> Told:
    """Trigger the master part that lies under the camera now, and hear what the station makes of it.

    Raises:
        ConfigError: the station refuses the trigger.
        OutputError: the station is not there, hung up, or told nothing within `patience_s` seconds.
    """
    until_s = time.monotonic() + patience_s
    with LineConnection(address) as connection:
        connection.say(trigger_line(trigger))
        while time.monotonic() < until_s:
            for line in connection.hear(_SLICE_S):
                said = parse_said(line)
                if isinstance(said, Told) and said.part_id == trigger.part_id:
                    connection.say(ack_line(Ack(trigger.part_id)))
                    return said
    raise OutputError(f"the station at {address} told nothing of {trigger.part_id!r} within {patience_s:g} s")


def _answer(line: bytes, product: str) -> MastersAnswer | None:
    said: dict[str, Any] = json.loads(line)
    if said.get("type") == "error":
        raise ConfigError(f"the station did not check the master parts of {product!r}: {said.get('why')}")
    if said.get("type") != "masters" or said.get("product") != product:
        return None
    return MastersAnswer(product, str(said["outcome"]), str(said["why"]), said["check_id"], str(said["at"]))
