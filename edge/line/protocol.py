"""The line port's messages: newline-delimited JSON, one object a line. Pure: bytes in, nouns out.

In:  {"type": "trigger", "part_id", "product"?, "cameras"?, "master"?}   {"type": "ack", "part_id"}   {"type": "ping"}
     {"type": "product", "product"}: what a trigger that names no product means from now on
     {"type": "listen"}   {"type": "verify_masters", "product", "asked_by"?, "shown"?}: check the product's master parts
     {"type": "feedback", "part_id", "is_right", "by", "label"?, "note"?, "boxes"?, "inspection_id"?}: what a person
      says of a part's verdict; a box is {"camera", "label", "box_xyxy"}
     {"type": "retry_dead", "stream"?}: send again what could never be sent, of one stream or of all
Out: {"type": "verdict", "part_id", "verdict", "reasons", "inspection_id", "record_sha256", "image", "code"?,
      "master"?}
     {"type": "product", "product"}
     {"type": "ready", "ready", "why"}   {"type": "pong"}   {"type": "heartbeat", "ready"}   {"type": "error", "why"}
     {"type": "masters", "product", "outcome", "why", "check_id", "at"}: to whoever asked
     {"type": "feedback", "part_id", "verdict", "inspection_id", "number", "boxes"}: it is on record; to whoever said it
     {"type": "retry_dead", "records"}: so many are back in the outbox; to whoever asked
     {"type": "told", "part_id", "product", "verdict", "reasons", "inspection_id", "record_sha256", "code"?, "in_turn"}

A verdict goes to the connection that triggered the part. One that sent `listen` hears `told` of every part besides, but
for those triggered as a master part: those are no production, and no output hears of them.
"""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.outbox import Stream
from cloud_sync.wire.strict_json import loads
from edge.domain.errors import ConfigError, OutputError
from edge.domain.feedback import Feedback
from edge.domain.part import PART_ID_LIMIT, Verdict
from edge.line.said_boxes import boxes_from

LINE_LIMIT_BYTES = 4096
NOTE_LIMIT = 500  # of up to 4 bytes each
_INSPECTION_ID_LIMIT = 128
NOT_KEPT = "not on record, say it again"  # how the error begins that is the disk's fault
_MAX_PORT = 65_535


@dataclass(frozen=True, slots=True)
class Trigger:
    """The line says: this part is in front of the cameras now; an empty product is the one that was chosen.

    With `master` it is no production, but the master part of that name.
    """

    part_id: str
    product: str
    cameras: tuple[str, ...]
    master: str = ""


@dataclass(frozen=True, slots=True)
class Ack:
    """The line says: I have this part's verdict."""

    part_id: str


@dataclass(frozen=True, slots=True)
class Choose:
    """The line, or a person, says: a trigger that names no product means this one from now on."""

    product: str


@dataclass(frozen=True, slots=True)
class Ping:
    """The line asks: are you there?"""


@dataclass(frozen=True, slots=True)
class Listen:
    """Somebody says: let me hear of every part, whoever triggered it."""


@dataclass(frozen=True, slots=True)
class VerifyMasters:
    """Somebody asks: does the station still tell the product's known good from its known bad parts?

    With `shown` they were put under the cameras, each triggered as `master_part_id(shown, name)`: those inspections
    are judged. Without, the stored pictures are looked at.
    """

    product: str
    asked_by: str = ""
    shown: str = ""


@dataclass(frozen=True, slots=True)
class MastersAnswer:
    """What came of it; without `check_id` there is no record, and the outcome cannot be `passed`."""

    product: str
    outcome: str
    why: str
    check_id: int | None
    at: str


@dataclass(frozen=True, slots=True)
class FeedbackAnswer:
    """What a person said is on disk: of which inspection, the number that the word has, and how many boxes."""

    part_id: str
    verdict: str
    inspection_id: str
    number: int
    boxes: int = 0


@dataclass(frozen=True, slots=True)
class RetryDead:
    """Somebody asks: try the dead letters of a stream again, or of all."""

    stream: Stream | None


FromLine = Trigger | Ack | Choose | Ping | Listen | VerifyMasters | Feedback | RetryDead


@dataclass(frozen=True, slots=True)
class Address:
    """Where a line port listens: a loopback TCP port, or a Unix socket's path."""

    tcp_port: int | None
    unix_path: Path | None


def master_part_id(shown: str, name: str) -> str:
    """The part id under which a master part is put under the cameras, in the session of that name."""
    return f"master:{shown}:{name}"


def parse_address(text: str) -> Address:
    """From `tcp://127.0.0.1:PORT` or `unix://PATH`. Raises ConfigError."""
    if text.startswith("unix://"):
        return Address(None, Path(text.removeprefix("unix://")))
    host, _, port = text.removeprefix("tcp://").partition(":")
    if not text.startswith("tcp://") or host not in {"127.0.0.1", "localhost"} or not port.isdecimal():
        raise ConfigError(f"line port must be tcp://127.0.0.1:PORT or unix://PATH, got {text!r}")
    if not 1 <= int(port) <= _MAX_PORT:
        raise ConfigError(f"line port {text!r}: a TCP port is 1 to {_MAX_PORT}")
    return Address(int(port), None)


def parse_line(line: bytes) -> FromLine:
    """One message from the line.

    Raises:
        OutputError: it is no message of this protocol; says what was expected.
    """
    if len(line) > LINE_LIMIT_BYTES:
        raise OutputError(f"a line is at most {LINE_LIMIT_BYTES} bytes")
    try:
        message = loads(line, unambiguous=True)
    except LinkError as error:
        raise OutputError(f"expected one JSON object a line, got {line[:80]!r}: {error}") from None
    if not isinstance(message, dict):
        raise OutputError(f"expected a JSON object, got {line[:80]!r}")
    match message.get("type"):
        case "trigger":
            product = _product(message) if "product" in message else ""
            master = _text(message, "master") if "master" in message else ""
            return Trigger(_part_id(message), product, _cameras(message), master)
        case "ack":
            return Ack(_part_id(message))
        case "ping":
            return Ping()
        case "listen":
            return Listen()
        case other:
            return _by_people(other, message)


def _by_people(kind: object, message: dict[str, object]) -> Choose | VerifyMasters | Feedback | RetryDead:
    match kind:
        case "product":
            return Choose(_product(message))
        case "verify_masters":
            given = {name: _text(message, name) for name in ("asked_by", "shown") if name in message}
            return VerifyMasters(_product(message), **given)
        case "feedback":
            return _feedback(message)
        case "retry_dead":
            return _retry_dead(message.get("stream"))
        case other:
            known = "trigger, ack, product, ping, listen, verify_masters, feedback or retry_dead"
            raise OutputError(f"expected type {known}, got {other!r:.140}")


def _retry_dead(stream: object) -> RetryDead:
    if stream is not None and (not isinstance(stream, str) or stream not in set(Stream)):
        raise OutputError(f"stream must be one of {', '.join(Stream)}, got {stream!r:.140}")
    return RetryDead(None if stream is None else Stream(stream))


def _feedback(message: dict[str, object]) -> Feedback:
    is_right = message.get("is_right")
    if not isinstance(is_right, bool):
        raise OutputError(f"is_right must be true or false, got {is_right!r:.140}")
    label = _text(message, "label") if message.get("label") else ""
    note = _text(message, "note", NOTE_LIMIT) if message.get("note") else ""
    inspection = _text(message, "inspection_id", _INSPECTION_ID_LIMIT) if message.get("inspection_id") else ""
    boxes = boxes_from(message.get("boxes"))
    return Feedback(_part_id(message), is_right, _text(message, "by"), label, note, boxes, inspection)


def _part_id(message: dict[str, object]) -> str:
    return _text(message, "part_id")


def _product(message: dict[str, object]) -> str:
    return _text(message, "product")


def _text(message: dict[str, object], name: str, limit: int = PART_ID_LIMIT) -> str:
    value = message.get(name)
    if not isinstance(value, str) or not 1 <= len(value) <= limit or not value.isprintable():
        raise OutputError(f"{name} must be a string of 1 to {limit} printable characters, got {value!r:.140}")
    return value


def _cameras(message: dict[str, object]) -> tuple[str, ...]:
    value = message.get("cameras")
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise OutputError(f"trigger: cameras must be a list of camera ids, got {value!r:.140}")
    return tuple(dict.fromkeys(value))


def verdict_line(
    part_id: str,
    verdict: Verdict,
    reasons: tuple[str, ...],
    inspection_id: str | None,
    record_sha256: str | None,
    code: str | None = None,
    master: str = "",
) -> bytes:
    """The one verdict of a part; without `inspection_id` there is no record of it, and it can only be UNDECIDED.

    What the part's code says stands in it where it was read, and of a master part its name.

    Raises:
        OutputError: PASS or REJECT without a committed record.
    """
    if inspection_id is None and verdict is not Verdict.UNDECIDED:
        raise OutputError(f"part {part_id!r}: {verdict} may be told only after its commit")
    message: dict[str, object] = {
        "type": "verdict",
        "part_id": part_id,
        "verdict": verdict.value,
        "reasons": list(reasons),
        "inspection_id": inspection_id,
        "record_sha256": record_sha256,
        "image": "pending" if inspection_id else "none",
    }
    more = {name: value for name, value in (("code", code), ("master", master or None)) if value is not None}
    return _encode(message | more)


def told_line(product: str, verdict: bytes, *, in_turn: bool) -> bytes:
    """A `verdict` line as those hear it who listen; `in_turn`: parts are told in the order of their triggers."""
    said = json.loads(verdict)
    told = {name: value for name, value in said.items() if name not in {"type", "image"}}
    return _encode({"type": "told", "product": product, **told, "in_turn": in_turn})


def trigger_line(trigger: Trigger) -> bytes:
    """The line's own word, for one who plays the line."""
    cameras = {"cameras": list(trigger.cameras)} if trigger.cameras else {}
    master = {"master": trigger.master} if trigger.master else {}
    return _encode({"type": "trigger", "part_id": trigger.part_id, "product": trigger.product, **cameras, **master})


def ack_line(ack: Ack) -> bytes:
    """The line's own word, for one who plays the line."""
    return _encode({"type": "ack", "part_id": ack.part_id})


def listen_line() -> bytes:
    """The word of one who wants to hear of every part."""
    return _encode({"type": "listen"})


def verify_masters_line(asked: VerifyMasters) -> bytes:
    """The word of one who wants a product's master parts checked."""
    more = {name: value for name, value in (("asked_by", asked.asked_by), ("shown", asked.shown)) if value}
    return _encode({"type": "verify_masters", "product": asked.product, **more})


def masters_line(answer: MastersAnswer) -> bytes:
    """What came of a check of master parts.

    Raises:
        OutputError: it passed, and is not on disk.
    """
    if answer.check_id is None and answer.outcome == "passed":
        raise OutputError(f"masters of {answer.product!r}: a passed check may be told only after its commit")
    return _encode({"type": "masters", **dataclasses.asdict(answer)})


def feedback_line(said: Feedback) -> bytes:
    """The word of a person who looked at a part."""
    content = {"type": "feedback", **dataclasses.asdict(said)}
    content = {name: value for name, value in content.items() if value or name not in {"boxes", "inspection_id"}}
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def feedback_answer_line(answer: FeedbackAnswer) -> bytes:
    """Said once it is on disk."""
    return _encode({"type": "feedback", **dataclasses.asdict(answer)})


def retry_dead_line(stream: Stream | None) -> bytes:
    """Asks for the dead letters of a stream, or of all, to be tried again."""
    asked: dict[str, object] = {"type": "retry_dead"}
    return _encode(asked if stream is None else asked | {"stream": stream.value})


def retried_line(records: int) -> bytes:
    """So many records are back in the outbox."""
    return _encode({"type": "retry_dead", "records": records})


def ready_line(ready: bool, why: str) -> bytes:  # noqa: FBT001 - ready is what is said
    """Whether the station can inspect now, and why not."""
    return _encode({"type": "ready", "ready": ready, "why": why})


def product_line(product: str) -> bytes:
    """What a trigger that names no product means from now on."""
    return _encode({"type": "product", "product": product})


def heartbeat_line(ready: bool) -> bytes:  # noqa: FBT001 - ready is what is said
    """The station lives."""
    return _encode({"type": "heartbeat", "ready": ready})


def pong_line() -> bytes:
    """Answer to a ping."""
    return _encode({"type": "pong"})


def error_line(why: str) -> bytes:
    """The line sent something that is no message of this protocol."""
    return _encode({"type": "error", "why": why})


def _encode(message: dict[str, object]) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"
