import json
from pathlib import Path

import pytest
from brokers import local_broker
from jsonschema import Draft202012Validator
from line_kit import STATION as LINE_STATION
from line_kit import make_line
from outboxes import AT, EPOCH, STATION, images, inspection, outcome
from schemas_kit import channel_of, faults, validator
from wire_samples import MESSAGES, feedback, loss, sample
from wiretap import wiretap

from cloud_sync.wire import messages, records
from cloud_sync.wire.broker import available_kinds
from cloud_sync.wire.envelopes import Ack, pack_ack, pack_batch, to_ranges
from cloud_sync.wire.outbox import OutboxRow, Stream
from cloud_sync.wire.schemas import FOLDER, MODELS, schemas
from cloud_sync.wire.schemas.envelopes import RECORDS

ROWS = {row.stream: row for row in (inspection(1), outcome(1), images(1), feedback(1), loss(1), sample(1))}


def test_the_files_are_those_of_the_models() -> None:
    on_disk = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")}

    assert on_disk == schemas(), "run `python -m cloud_sync.wire.schemas`"


def test_every_record_and_message_has_a_schema() -> None:
    kinds = {
        kind
        for module in (records, messages)
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, records.Record | messages.WireMessage)
    }

    assert kinds - {records.Record, records.PartRecord, messages.WireMessage} == set(MODELS.values())
    assert set(RECORDS) == set(Stream)


@pytest.mark.parametrize("name", sorted(schemas()))
def test_each_is_a_schema(name: str) -> None:
    Draft202012Validator.check_schema(json.loads(schemas()[name]))


@pytest.mark.parametrize("stream", Stream)
def test_a_record_has_the_members_its_schema_names(stream: Stream) -> None:
    content = json.loads(ROWS[stream].payload)

    assert set(content) == set(json.loads(schemas()[RECORDS[stream]])["properties"])
    assert validator(RECORDS[stream]).is_valid(content)


@pytest.mark.parametrize("stream", Stream)
def test_a_batch_is_what_its_schema_says_and_holds_records_of_its_stream(stream: Stream) -> None:
    batch = json.loads(pack_batch(STATION, EPOCH, [ROWS[stream]], AT))
    assert validator("batch.v1.json").is_valid(batch)

    others = [row for row in ROWS.values() if row.stream is not stream]
    for row in others:
        batch["data"]["records"] = [json.loads(row.payload)]
        assert not validator("batch.v1.json").is_valid(batch), row.stream


def test_an_acknowledgement_is_what_its_schema_says() -> None:
    ack = Ack(Stream.OUTCOMES, EPOCH, to_ranges([1, 2, 7]), to_ranges([2]))

    assert validator("ack.v1.json").is_valid(json.loads(pack_ack(ack)))


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_is_what_its_schema_says(name: str) -> None:
    assert [error.message for error in validator(name).iter_errors(json.loads(MESSAGES[name].pack()))] == []


def damaged(content: dict[str, object], schema: dict[str, object]) -> list[tuple[str, object]]:
    """The content with each required member left out, and each member turned into what it cannot be."""
    required = schema["required"]
    assert isinstance(required, list)
    without = [(f"no {name}", {key: value for key, value in content.items() if key != name}) for name in required]
    return without + [(f"{name} is no such thing", content | {name: [{"": []}]}) for name in content]


DAMAGEABLE = {RECORDS[stream]: row.payload for stream, row in ROWS.items()}
DAMAGEABLE |= {name: message.pack() for name, message in MESSAGES.items()}
DAMAGEABLE |= {
    "batch.v1.json": pack_batch(STATION, EPOCH, [inspection(1)], AT),
    "ack.v1.json": pack_ack(Ack(Stream.OUTCOMES, EPOCH, to_ranges([1]), to_ranges([1]))),
}


@pytest.mark.parametrize("name", sorted(schemas()))
def test_a_schema_refuses_what_is_damaged(name: str) -> None:
    accepted = [
        what
        for what, content in damaged(json.loads(DAMAGEABLE[name]), json.loads(schemas()[name]))
        if validator(name).is_valid(content)
    ]

    assert accepted == []


def test_all_that_a_real_line_says_fits_channels_and_schemas(tmp_path: Path) -> None:
    """A station, a broker and a collector as processes; every message on the broker, and every record at rest."""
    broker = local_broker(available_kinds()[0], tmp_path)
    line = make_line(tmp_path, broker)
    with broker, wiretap(broker.address, "inspectd/v1/#") as heard, line.collector(), line.daemon():
        line.run_parts(30, "--in-flight", "4")
        line.await_acknowledged()

    assert [fault for message in heard for fault in faults(message.topic, message.payload)] == []
    said = {channel_of(message.topic) for message in heard}
    assert {"inspections", "ack", "state"} <= said
    for stream, name in RECORDS.items():
        wrong = [key for key, content in line.records(stream).items() if not validator(name).is_valid(content)]
        assert wrong == []
    assert len(line.records(Stream.INSPECTIONS)) == 30
    assert f"inspectd/v1/{LINE_STATION}/up/inspections" in {message.topic for message in heard}


def test_the_test_can_tell_a_message_that_has_no_channel_or_does_not_fit() -> None:
    row = OutboxRow(Stream.INSPECTIONS, 1, b'{"seq":1}', EPOCH)

    assert faults("inspectd/v1/press-3/up/secrets", b"{}") == ["inspectd/v1/press-3/up/secrets: no channel"]
    assert faults("inspectd/v1/press-3/up/inspections", pack_batch(STATION, EPOCH, [row], AT))
