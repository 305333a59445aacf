import copy
import inspect
import json
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest
from jsonschema import Draft7Validator
from schemas_kit import channel_of

from cloud_sync.wire import asyncapi, topics
from cloud_sync.wire.schemas import FOLDER, MODELS
from cloud_sync.wire.schemas.envelopes import RECORDS

OFFICIAL = Path(__file__).parent / "asyncapi-3.0.0" / "schema.json.xz"


def published() -> dict[str, object]:
    content: dict[str, object] = json.loads(asyncapi.PATH.read_text(encoding="utf-8"))
    return content


def official_faults(document: object) -> list[str]:
    specification = Draft7Validator(json.loads(lzma.decompress(OFFICIAL.read_bytes())))
    return [f"{error.json_path}: {error.message[:200]}" for error in specification.iter_errors(document)]


def test_the_file_is_that_of_the_topics_and_schemas() -> None:
    assert asyncapi.PATH.read_text(encoding="utf-8") == asyncapi.text(), "run `python -m cloud_sync.wire.schemas`"


def test_the_document_is_valid_by_the_specifications_own_schema() -> None:
    assert official_faults(published()) == []


@pytest.mark.parametrize(
    ("member", "value"),
    [
        pytest.param("asyncapi", "3.9.9", id="another version"),
        pytest.param("channels", {"state": {"adress": "x"}}, id="a member that no channel has"),
        pytest.param(
            "operations", {"send": {"channel": {"$ref": "#/channels/state"}}}, id="an operation without action"
        ),
        pytest.param("servers", {"broker": {"host": "x"}}, id="a server without protocol"),
    ],
)
def test_the_specifications_schema_refuses_damage(member: str, value: object) -> None:
    document = copy.deepcopy(published())
    document[member] = value

    assert official_faults(document)


def references(value: object) -> list[str]:
    if isinstance(value, list):
        return [found for item in value for found in references(item)]
    if not isinstance(value, dict):
        return []
    own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
    return own + [found for item in value.values() for found in references(item)]


def test_every_reference_leads_somewhere() -> None:
    document = published()
    for reference in references(document):
        if not reference.startswith("#/"):
            assert (asyncapi.PATH.parent / reference).is_file(), reference
            continue
        found: object = document
        for step in reference.removeprefix("#/").split("/"):
            assert isinstance(found, dict), reference
            found = found[step]


def topic_functions() -> dict[str, Callable[..., str]]:
    """Every function that builds a topic's name or a filter, by its name."""
    return {
        name: function
        for name, function in vars(topics).items()
        if inspect.isfunction(function)
        and not name.startswith("_")
        and name not in {"checked_station", "parse"}
        and function.__module__ == topics.__name__
    }


def filters(name: str) -> bool:
    return "#" in topic_functions()[name]("press-3")


def test_every_topic_has_a_channel_and_every_channel_a_topic() -> None:
    built = {name: function for name, function in topic_functions().items() if name not in {"blocks", "shared"}}

    assert built == {name: channel.topic for name, channel in asyncapi.CHANNELS.items()}
    assert filters("blocks")


@pytest.mark.parametrize("name", sorted(asyncapi.CHANNELS))
def test_a_topic_that_is_built_is_on_its_channel_and_no_other(name: str) -> None:
    topic = asyncapi.CHANNELS[name].topic
    samples = {
        "station": "press-3",
        "file_id": "ab" * 32,
        "offset": 32768,
        "job_id": "r-7",
        "name": "a.tar",
        "number": 3,
    }
    built = topic(*(samples[parameter] for parameter in inspect.signature(topic).parameters))

    assert channel_of(built) == name
    assert topics.parse(built).direction == ("up" if "/up/" in asyncapi.address(topic) else "down")


def test_every_kind_of_message_appears() -> None:
    payloads = {channel.message for channel in asyncapi.CHANNELS.values()} - set(asyncapi.RAW)
    in_batches = {name.removesuffix(".v1.json") for name in RECORDS.values()}

    assert payloads - {"batch", "ack"} | in_batches == {name.removesuffix(".v1.json") for name in MODELS}
    assert set(RECORDS.values()) == set(references(json.loads((FOLDER / "batch.v1.json").read_text())))


def test_each_channel_has_one_end_that_sends_and_one_that_receives() -> None:
    operations = asyncapi.document()["operations"]
    assert isinstance(operations, dict)
    for name, channel in asyncapi.CHANNELS.items():
        up = "/up/" in asyncapi.address(channel.topic)
        sends = operations[f"station_sends_{name}" if up else f"collector_sends_{name}"]
        hears = operations[f"collector_receives_{name}" if up else f"station_receives_{name}"]
        assert (sends["action"], hears["action"]) == ("send", "receive")
    assert len(operations) == 2 * len(asyncapi.CHANNELS)
