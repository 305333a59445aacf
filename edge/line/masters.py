"""`edge verify-masters`: a visit to a running station's line port, to have a product's master parts checked."""

import json
import time
from typing import Any

from edge.domain.errors import ConfigError, OutputError
from edge.line.connection import LineConnection
from edge.line.protocol import Address, MastersAnswer, VerifyMasters, verify_masters_line

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


def _answer(line: bytes, product: str) -> MastersAnswer | None:
    said: dict[str, Any] = json.loads(line)
    if said.get("type") == "error":
        raise ConfigError(f"the station did not check the master parts of {product!r}: {said.get('why')}")
    if said.get("type") != "masters" or said.get("product") != product:
        return None
    return MastersAnswer(product, str(said["outcome"]), str(said["why"]), said["check_id"], str(said["at"]))
