"""What to make of a message that came up from a station. Pure: it reads, judges and sorts, and stores nothing.

- Whatever the bytes, the answer is an `Intake`; nothing is raised.
- A record goes in only if topic, envelope and record agree on station, epoch and stream, and the record is valid.
- A record that fails becomes a dead letter with its bytes and the reason. Where its identity can be trusted it counts
  as settled, since its bytes are kept: otherwise one bad record would be sent for ever.
"""

from dataclasses import dataclass
from datetime import UTC

from pydantic import ValidationError

from cloud_sync.hub.store.entries import DeadLetter, Key, NewRecord, storable
from cloud_sync.wire import topics
from cloud_sync.wire.envelopes import Batch, unpack_batch
from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.link import Message
from cloud_sync.wire.outbox import Stream
from cloud_sync.wire.records import (
    SEQ_LIMIT,
    FeedbackRecord,
    ImagesRecord,
    InspectionRecord,
    LossRecord,
    OutcomeRecord,
    PartRecord,
    Record,
    SampleRecord,
    read_record,
)
from cloud_sync.wire.strict_json import loads

RECORD_SUBJECTS = {
    "inspections": frozenset({Stream.LOSSES, Stream.INSPECTIONS, Stream.OUTCOMES, Stream.IMAGES}),
    "feedback": frozenset({Stream.FEEDBACK}),
    "samples": frozenset({Stream.SAMPLES}),
}  # where records come, and which
_REASON_SHOWN = 300
_LOST_MOST = 10**12  # what one tombstone counts for at most: the sum of any number of them stays an integer

_MODELS: dict[Stream, type[Record]] = {
    Stream.INSPECTIONS: InspectionRecord,
    Stream.OUTCOMES: OutcomeRecord,
    Stream.IMAGES: ImagesRecord,
    Stream.LOSSES: LossRecord,
    Stream.FEEDBACK: FeedbackRecord,
    Stream.SAMPLES: SampleRecord,
}


@dataclass(frozen=True, slots=True)
class Intake:
    """What one message holds.

    Args:
        records: what is to be stored.
        dead: what is to be kept as dead letters.
        settled: the identities that, once all this is committed, the station need not send again.
    """

    records: tuple[NewRecord, ...] = ()
    dead: tuple[DeadLetter, ...] = ()
    settled: tuple[Key, ...] = ()


def take_in(message: Message, topic: topics.Topic | None = None) -> Intake:
    """Sort a message's content into records and dead letters; `topic` is its own, if that was parsed before."""
    station: str | None = None
    try:
        parsed = topic or topics.parse(message.topic)
        station = parsed.station
        streams = _streams(parsed)
        batch = unpack_batch(message.payload)
        _check_sender(station, streams, batch)
    except LinkError as error:
        return Intake(dead=(DeadLetter(storable(message.topic), message.payload, storable(str(error)), station),))
    return _sort(batch, message.topic)


def _streams(topic: topics.Topic) -> frozenset[Stream]:
    if topic.direction != "up" or topic.subject not in RECORD_SUBJECTS:
        found = f"{topic.direction}/{topic.subject}"
        raise LinkError(f"expected a topic .../up/inspections, .../up/feedback or .../up/samples, got .../{found}")
    return RECORD_SUBJECTS[topic.subject]


def _check_sender(station: str, streams: frozenset[Stream], batch: Batch) -> None:
    if batch.station != station:
        raise LinkError(f"expected records of {station!r}, as their topic says, got some of {batch.station!r}")
    if batch.stream not in streams:
        raise LinkError(f"expected records of {', '.join(sorted(streams))} here, got some of {batch.stream}")


def _sort(batch: Batch, topic: str) -> Intake:
    records: list[NewRecord] = []
    dead: list[DeadLetter] = []
    settled: list[Key] = []
    for payload in batch.payloads:
        try:
            records.append(_record(batch, payload))
            settled.append(records[-1].key)
        except LinkError as error:
            claimed = _claimed(batch, payload)
            dead.append(DeadLetter(topic, payload, storable(str(error)), batch.station, claimed))
            settled += [claimed] if claimed else []
    return Intake(tuple(records), tuple(dead), tuple(settled))


def _record(batch: Batch, payload: bytes) -> NewRecord:
    try:
        record = read_record(_MODELS[batch.stream], payload)
    except ValidationError as error:
        raise LinkError(_reason(batch.stream, error)) from error
    if (record.station, record.epoch) != (batch.station, batch.epoch):
        expected = f"station {batch.station!r} and epoch {batch.epoch}, as its envelope says"
        raise LinkError(f"expected a record of {expected}, got {record.station!r} and {record.epoch}")
    verdict = outcome = None
    product = model = ""
    if isinstance(record, InspectionRecord):
        verdict = None if record.master else record.verdict  # a known part shown to the camera is no production
        product, model = storable(record.product), storable(_model_of(record))
    elif isinstance(record, OutcomeRecord):
        verdict, outcome = record.told_verdict, record.outcome
    key = Key(batch.station, batch.epoch, batch.stream, record.seq)
    part_id = storable(record.part_id) if isinstance(record, PartRecord) else ""
    lost = min(record.records, _LOST_MOST) if isinstance(record, LossRecord) else 0
    return NewRecord(key, payload, part_id, verdict, outcome, _made_at_ms(record), lost, product, model)


def _model_of(record: InspectionRecord) -> str:
    return next((f"{view.model.id}-v{view.model.version}" for view in record.views if view.model is not None), "")


def _made_at_ms(record: Record) -> int | None:
    match record:
        case InspectionRecord():
            made = record.triggered_at
        case FeedbackRecord() | LossRecord() | SampleRecord():
            made = record.at
        case _:
            return None
    return int((made if made.tzinfo else made.replace(tzinfo=UTC)).timestamp() * 1000)


def _reason(stream: Stream, error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(step) for step in first["loc"]) or "record"
    return f"expected a record of {stream}, got {error.error_count()} faults, first {where}: {first['msg']}"[
        :_REASON_SHOWN
    ]


def _claimed(batch: Batch, payload: bytes) -> Key | None:
    """The identity of a record that is not valid, if at least that can be read and is the sender's own."""
    content = loads(payload)
    if not isinstance(content, dict) or (content.get("station"), content.get("epoch")) != (batch.station, batch.epoch):
        return None
    seq = content.get("seq")
    if type(seq) is not int or not 1 <= seq <= SEQ_LIMIT:
        return None
    return Key(batch.station, batch.epoch, batch.stream, seq)
