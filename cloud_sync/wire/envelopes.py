"""Batches of records and their acknowledgements, as bytes on the wire. Pure: no clock, no network, no disk.

- A batch is one JSON object with CloudEvents' names, at most 64 KiB.
- A record lies in its batch as the very bytes that the station made. `unpack_batch` returns exactly those bytes, or
  raises: each record is made canonical again and the result must be found, whole, in the message.
- A batch's id is the hash of its records, so that damage on the way, also on a broker's disk, is found.
- Whatever comes in, the only exception is LinkError, and it says what was expected and what came.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.outbox import OutboxRow, SeqRange, Stream
from cloud_sync.wire.records import EPOCH_PATTERN, SEQ_LIMIT, content_hash
from cloud_sync.wire.strict_json import canonical, is_text, loads, members
from cloud_sync.wire.topics import checked_station

BATCH_LIMIT_BYTES = 64 * 1024
BATCH_LIMIT_RECORDS = 512  # no 64 KiB hold more valid ones; 32,000 zeros would keep the store busy for seconds
SOURCE = "inspectd/"

_HEADER_ROOM_BYTES = 512
_ENVELOPE = ("specversion", "id", "source", "type", "time", "data")
_ID_DIGITS = 32
_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Batch:
    """Records of one stream of one station, as they arrived.

    Args:
        station: who says it has sent them (to be compared with the topic).
        epoch: the station's database.
        stream: what kind all of them are.
        payloads: each record's exact bytes, as the station made them.
    """

    station: str
    epoch: str
    stream: Stream
    payloads: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Ack:
    """What the collector holds durably.

    Args:
        stream: which kind of record.
        epoch: of which database of the station.
        ranges: records that the station may delete.
        quarantined: those of them whose identity the collector already held with other content.
    """

    stream: Stream
    epoch: str
    ranges: tuple[SeqRange, ...]
    quarantined: tuple[SeqRange, ...] = ()


def pack_batch(station: str, epoch: str, rows: Sequence[OutboxRow], at: datetime) -> bytes:
    """One batch of rows of one stream, in the order given. Raises LinkError if there is none or they do not fit."""
    if not rows or any(row.stream != rows[0].stream for row in rows):
        raise LinkError(f"a batch holds one or more rows of one stream, got {[row.stream for row in rows][:3]}")
    stream, records = rows[0].stream, b",".join(row.payload for row in rows)
    header = {
        "specversion": "1.0",
        "id": _id(records),
        "source": SOURCE + checked_station(station),
        "type": _type(stream),
        "time": at.astimezone(UTC).isoformat(),
    }
    data = f'"data":{{"stream":"{stream}","epoch":"{epoch}","records":['
    packed = canonical(header)[:-1] + b"," + data.encode() + records + b"]}}"
    if len(packed) > BATCH_LIMIT_BYTES:
        raise LinkError(f"a batch holds at most {BATCH_LIMIT_BYTES} bytes, got {len(packed)}: split it")
    return packed


def split(rows: Iterable[OutboxRow], limit_bytes: int = BATCH_LIMIT_BYTES) -> list[list[OutboxRow]]:
    """Cut rows of one stream into runs that fit one batch each, keeping their order.

    A row that is larger than a batch by itself gets a run of its own, so that it holds up no other.
    """
    runs: list[list[OutboxRow]] = []
    room_bytes = 0
    for row in rows:
        size_bytes = len(row.payload) + 1
        if not runs or size_bytes > room_bytes or len(runs[-1]) == BATCH_LIMIT_RECORDS:
            runs.append([])
            room_bytes = limit_bytes - _HEADER_ROOM_BYTES
        runs[-1].append(row)
        room_bytes -= size_bytes
    return runs


def unpack_batch(payload: bytes) -> Batch:
    """The batch in a message, each record's bytes intact. Raises LinkError on anything but a whole, canonical batch."""
    if len(payload) > BATCH_LIMIT_BYTES:
        raise LinkError(f"a batch holds at most {BATCH_LIMIT_BYTES} bytes, got {len(payload)}")
    envelope = members(loads(payload), _ENVELOPE, "a batch")
    data = members(envelope["data"], ("stream", "epoch", "records"), "a batch's data")
    stream, epoch = _stream(data["stream"]), _epoch(data["epoch"])
    if envelope["specversion"] != "1.0" or envelope["type"] != _type(stream):
        raise LinkError(f"expected specversion 1.0 and type {_type(stream)}, got {_shown(envelope['type'])}")
    payloads = _exact_payloads(data["records"], payload)
    if envelope["id"] != (found := _id(b",".join(payloads))):
        raise LinkError(f"the id says {_shown(envelope['id'])}, the records hash to {found}: damaged on its way")
    return Batch(_station(envelope["source"]), epoch, stream, payloads)


def pack_ack(ack: Ack) -> bytes:
    """An acknowledgement as bytes."""
    content: dict[str, object] = {"stream": ack.stream, "epoch": ack.epoch, "ranges": _pairs(ack.ranges)}
    if ack.quarantined:
        content["quarantined"] = _pairs(ack.quarantined)
    return canonical(content)


def unpack_ack(payload: bytes) -> Ack:
    """The acknowledgement in a message. Raises LinkError on anything else; unknown members are left unread."""
    content = loads(payload, unambiguous=True)
    if not isinstance(content, dict):
        raise LinkError(f"an acknowledgement is a JSON object, got {_shown(content)}")
    ranges, quarantined = _ranges(content.get("ranges")), _ranges(content.get("quarantined", []))
    return Ack(_stream(content.get("stream")), _epoch(content.get("epoch")), ranges, quarantined)


def to_ranges(seqs: Iterable[int]) -> tuple[SeqRange, ...]:
    """The fewest ranges that hold exactly these numbers, ascending; repeats and order do not matter."""
    ranges: list[SeqRange] = []
    for seq in sorted(set(seqs)):
        if ranges and seq == ranges[-1].last + 1:
            ranges[-1] = SeqRange(ranges[-1].first, seq)
        else:
            ranges.append(SeqRange(seq, seq))
    return tuple(ranges)


def _id(records: bytes) -> str:
    return content_hash(records)[:_ID_DIGITS]


def _type(stream: Stream) -> str:
    return f"inspectd.{stream}.v1"


def _exact_payloads(records: object, payload: bytes) -> tuple[bytes, ...]:
    if not isinstance(records, list) or not records:
        raise LinkError(f"expected a list of one or more records, got {_shown(records)}")
    if len(records) > BATCH_LIMIT_RECORDS:
        raise LinkError(f"a batch holds at most {BATCH_LIMIT_RECORDS} records, got {len(records)}")
    payloads = tuple(canonical(record) for record in records)
    if b'"records":[' + b",".join(payloads) + b"]" not in payload:
        raise LinkError(f"expected records as canonical JSON (sorted keys, no spaces), got {_shown(records[0])}")
    return payloads


def _stream(value: object) -> Stream:
    if not isinstance(value, str) or value not in set(Stream):
        raise LinkError(f"expected a stream of {', '.join(Stream)}, got {_shown(value)}")
    return Stream(value)


def _epoch(value: object) -> str:
    if not is_text(value, EPOCH_PATTERN):
        raise LinkError(f"expected an epoch of 32 hex digits, got {_shown(value)}")
    return str(value)


def _station(source: object) -> str:
    if not isinstance(source, str) or not source.startswith(SOURCE):
        raise LinkError(f"expected a source {SOURCE}STATION, got {_shown(source)}")
    return checked_station(source.removeprefix(SOURCE))


def _ranges(value: object) -> tuple[SeqRange, ...]:
    if not isinstance(value, list):
        raise LinkError(f"expected a list of [first, last], got {_shown(value)}")
    return tuple(_range(pair) for pair in value)


def _range(pair: object) -> SeqRange:
    match pair:
        case [int(first), int(last)] if type(first) is int and type(last) is int and 1 <= first <= last <= SEQ_LIMIT:
            return SeqRange(first, last)
    raise LinkError(f"expected [first, last] with 1 <= first <= last <= {SEQ_LIMIT}, got {_shown(pair)}")


def _pairs(ranges: Iterable[SeqRange]) -> list[list[int]]:
    return [[item.first, item.last] for item in ranges]


def _shown(value: object) -> str:
    return ascii(value)[:_SHOWN]
