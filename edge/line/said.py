"""What a station says at its line port, read at the line's end. Pure: bytes in, nouns out."""

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

from edge.domain.errors import OutputError
from edge.domain.part import Verdict


@dataclass(frozen=True, slots=True)
class Told:
    """The verdict of a part; `product` is empty where the one who hears it triggered the part itself.

    It is not `in_turn` where a part triggered earlier still waits, or one triggered later was told before it.

    Without `inspection_id` there is no record of the part yet.
    """

    part_id: str
    verdict: Verdict
    reasons: tuple[str, ...] = ()
    inspection_id: str | None = None
    record_sha256: str | None = None
    product: str = ""
    in_turn: bool = True


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether the station can inspect, and why not."""

    ready: bool
    why: str = ""


def parse_said(line: bytes) -> Told | Readiness | None:
    """One line of a station's; None for what needs no answer (heartbeat, pong).

    Raises:
        OutputError: it is no word of a station, or it complains.
    """
    try:
        said = json.loads(line)
        match said["type"]:
            case "verdict" | "told":
                return _told(said)
            case "ready":
                return Readiness(bool(said["ready"]), str(said["why"]))
            case "error":
                raise OutputError(f"the line port refused a word: {said['why']}")
    except (ValueError, LookupError, TypeError) as error:
        raise OutputError(f"expected a word of a station's line port, got {line[:120]!r}: {error}") from None
    return None


def said_line(said: Told | Readiness) -> bytes:
    """A line that `parse_said` reads."""
    match said:
        case Told():
            content = {"type": "told", **dataclasses.asdict(said)}
        case Readiness():
            content = {"type": "ready", **dataclasses.asdict(said)}
    return json.dumps(content, separators=(",", ":")).encode() + b"\n"


def _told(said: dict[str, Any]) -> Told:
    return Told(
        str(said["part_id"]),
        Verdict(str(said["verdict"])),
        tuple(said["reasons"] or ()),
        said["inspection_id"],
        said["record_sha256"],
        said.get("product") or "",
        said.get("in_turn") is not False,
    )
