"""Stations and collectors of different versions get along, whichever was brought up to date first.

`previous/` holds records as earlier versions made them; `released/` the schemas of the last release: a release copies
`cloud_sync/wire/schemas/*.json` there.
"""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from clouds import stored
from compatible import breaks
from outboxes import AT, EPOCH, STATION, hashes
from wire_samples import MESSAGES

from cloud_sync.hub.intake import take_in
from cloud_sync.hub.store.writing import StoreWriter
from cloud_sync.wire import topics
from cloud_sync.wire.envelopes import pack_batch
from cloud_sync.wire.link import Message
from cloud_sync.wire.outbox import OutboxRow, Stream
from cloud_sync.wire.records import InspectionRecord, read_record
from cloud_sync.wire.schemas import FOLDER

PREVIOUS = Path(__file__).parent / "previous"
RELEASED = Path(__file__).parent / "released"
# Words added since the last release, by schema and the list that they were added to. The collector comes first: a
# station says them, or is told them of what it said itself. A release copies the schemas, and empties this.
SAMPLES = {"inspections", "outcomes", "images", "feedback"}, {"samples"}
WIDENED: dict[str, tuple[set[str], set[str]]] = {
    "ack.v1.json": SAMPLES,
    "loss.v1.json": SAMPLES,
    "batch.v1.json": ({"inspectd.inspections.v1", "inspectd.feedback.v1"}, {"inspectd.samples.v1"}),
    "job-state.v1.json": (
        {"offered", "downloading", "verified", "rejected"},
        {"selftest", "shadow", "live", "back"},
    ),
}
STREAMS = {"inspection": Stream.INSPECTIONS, "outcome": Stream.OUTCOMES, "images": Stream.IMAGES}


def of_earlier(path: Path) -> OutboxRow:
    payload = path.read_bytes()
    return OutboxRow(STREAMS[path.name.split("-")[0]], json.loads(payload)["seq"], payload, EPOCH)


def of_later(path: Path) -> OutboxRow:
    """As a later version might make it: new members at every level."""
    content = json.loads(path.read_bytes())
    content["zeta"] = {"new": [1, 2.50001, None, "ß"]}
    content["alpha"] = True
    for view in content.get("views", []):
        view["exposure_ms"] = 4.0
        for detection in view["detections"]:
            detection["angle_deg"] = 12
        if "heat" in view:
            view["heat"]["unit"] = "sigma"
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return OutboxRow(STREAMS[path.name.split("-")[0]], content["seq"], text.encode(), EPOCH)


@pytest.mark.parametrize("made", [of_earlier, of_later])
@pytest.mark.parametrize("path", sorted(PREVIOUS.glob("*.json")), ids=lambda path: path.stem)
def test_a_record_of_another_version_is_taken_in_and_stored_byte_for_byte(
    path: Path, made: Callable[[Path], OutboxRow], tmp_path: Path
) -> None:
    row = made(path)

    intake = take_in(Message(topics.inspections(STATION), pack_batch(STATION, EPOCH, [row], AT)))

    assert [letter.reason for letter in intake.dead] == []
    assert [record.payload for record in intake.records] == [row.payload]
    with StoreWriter(str(tmp_path / "cloud.db")) as store:
        store.insert(intake.records, intake.dead, 0)
    assert stored(tmp_path / "cloud.db") == hashes([row])


def test_what_an_earlier_record_says_is_read_as_ever() -> None:
    rows = [
        of_earlier(PREVIOUS / f"inspection-{name}.json") for name in ("first", "with-code", "with-master", "with-heat")
    ]

    intake = take_in(Message(topics.inspections(STATION), pack_batch(STATION, EPOCH, rows, AT)))

    assert [record.verdict for record in intake.records] == ["REJECT", "REJECT", None, "REJECT"]
    assert [record.part_id for record in intake.records] == ["part-1 Größe", "part-2", "part-3", "part-4"]
    heats = [view.heat for view in read_record(InspectionRecord, rows[3].payload).views]
    assert [heat and list(heat.levels) for heat in heats] == [[0, 0, 0, 0, 0, 222, 128, 0, 0, 0, 0, 0], None]


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_of_a_later_version_means_what_its_known_members_say(name: str) -> None:
    message = MESSAGES[name]
    later = json.loads(message.pack()) | {"later": {"a": 1}}

    assert type(message).unpack(json.dumps(later).encode()) == message


def as_before(schema: object, held: set[str], added: set[str]) -> Any:  # noqa: ANN401 - as json.loads gives it
    """The schema without what only the added words brought: in the list that holds the others, and their own forms."""
    if isinstance(schema, list):
        return [as_before(one, held, added) for one in schema if not is_form_of(one, added)]
    if not isinstance(schema, dict):
        return schema
    today = {name: as_before(value, held, added) for name, value in schema.items()}
    if held <= set(schema.get("enum", [])):
        today["enum"] = [word for word in schema["enum"] if word not in added]
    return today


def is_form_of(schema: object, added: set[str]) -> bool:
    """Whether it says how a batch of an added type looks."""
    members = schema.get("properties", {}) if isinstance(schema, dict) else {}
    return isinstance(members.get("type"), dict) and members["type"].get("const") in added


@pytest.mark.parametrize("name", sorted(path.name for path in RELEASED.glob("*.json")))
def test_since_the_last_release_members_and_written_down_words_were_added_at_most(name: str) -> None:
    released, today = (json.loads((folder / name).read_text()) for folder in (RELEASED, FOLDER))
    if name in WIDENED:
        today = as_before(today, *WIDENED[name])

    assert breaks(released, today) == [], "stations in the field say what the released schema says: give it a new name"


@pytest.mark.parametrize("name", WIDENED)
def test_each_word_that_is_written_down_as_added_is_new_and_there(name: str) -> None:
    released, today = ((folder / name).read_text() for folder in (RELEASED, FOLDER))

    for word in WIDENED[name][1]:
        assert f'"{word}"' not in released
        assert f'"{word}"' in today


def test_a_word_that_is_not_written_down_is_a_break() -> None:
    released = json.loads((RELEASED / "job-state.v1.json").read_text())
    today = json.loads((FOLDER / "job-state.v1.json").read_text())
    today["properties"]["state"]["enum"].append("paused")

    assert len(breaks(released, as_before(today, *WIDENED["job-state.v1.json"]))) == 1


def removed(schema: dict[str, Any]) -> None:
    del schema["properties"]["product"]


def required(schema: dict[str, Any]) -> None:
    schema["properties"]["shift"] = {"type": "string"}
    schema["required"].append("shift")


def no_longer_required(schema: dict[str, Any]) -> None:
    schema["required"].remove("product")


def narrowed(schema: dict[str, Any]) -> None:
    schema["properties"]["verdict"]["enum"].remove("UNDECIDED")


def widened(schema: dict[str, Any]) -> None:
    schema["properties"]["verdict"]["enum"].append("REWORK")


def another_type(schema: dict[str, Any]) -> None:
    schema["properties"]["seq"]["type"] = "string"


def tighter(schema: dict[str, Any]) -> None:
    schema["properties"]["part_id"]["maxLength"] = 64


def below(schema: dict[str, Any]) -> None:
    schema["$defs"]["ViewRecord"]["required"].append("exposure_ms")


def closed(schema: dict[str, Any]) -> None:
    schema["additionalProperties"] = {"type": "string"}


@pytest.mark.parametrize(
    "change", [removed, required, no_longer_required, narrowed, widened, another_type, tighter, below, closed]
)
def test_a_change_that_an_older_end_would_not_understand_is_found(change: Callable[[dict[str, Any]], None]) -> None:
    released = json.loads((FOLDER / "inspection.v1.json").read_text())
    today = copy.deepcopy(released)
    assert breaks(released, today) == []

    change(today)

    assert len(breaks(released, today)) == 1


def test_an_added_optional_member_is_no_break() -> None:
    released = json.loads((FOLDER / "inspection.v1.json").read_text())
    today = copy.deepcopy(released)
    today["properties"]["shift"] = {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}

    assert breaks(released, today) == []
