"""`edge spool retry-dead`: a short visit to a running station's line port, to have dead letters tried again."""

import json
import time

from cloud_sync.wire.outbox import Stream
from edge.domain.errors import OutputError
from edge.line.connection import LineConnection
from edge.line.protocol import Address, retry_dead_line

_PATIENCE_S = 15.0  # a disk that does not answer is given up after ten
_SLICE_S = 0.5


def retry_dead(address: Address, stream: Stream | None) -> int:
    """Have a running station put its dead letters back into its outbox; says how many, once that is on its disk.

    Raises:
        OutputError: the station is not there, hung up, did not answer in time, or its disk refuses.
    """
    until_s = time.monotonic() + _PATIENCE_S
    with LineConnection(address) as connection:
        connection.say(retry_dead_line(stream))
        while time.monotonic() < until_s:
            for line in connection.hear(_SLICE_S):
                said = json.loads(line)
                if said.get("type") == "error":
                    raise OutputError(f"the station did not try them again: {said.get('why')}")
                if said.get("type") == "retry_dead":
                    return int(said["records"])
    raise OutputError(f"the station at {address} did not answer within {_PATIENCE_S:g} s")
