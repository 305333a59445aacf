"""The published schemas as they check: by file name, and by the topic that a message came on."""

import json
import re
from functools import cache

import referencing
from jsonschema import Draft202012Validator
from referencing.jsonschema import DRAFT202012

from cloud_sync.wire import asyncapi
from cloud_sync.wire.schemas import FOLDER


@cache
def validator(name: str) -> Draft202012Validator:
    """Checks by the schema in a file, and by those it refers to."""
    registry: referencing.Registry[object] = referencing.Registry().with_resources(
        (path.name, DRAFT202012.create_resource(json.loads(path.read_text()))) for path in FOLDER.glob("*.json")
    )
    return Draft202012Validator({"$ref": name}, registry=registry, format_checker=None)


def channel_of(topic: str) -> str | None:
    """The channel of the AsyncAPI document that a topic belongs to."""
    for name, channel in asyncapi.CHANNELS.items():
        numbered = re.sub(r"\\{(offset|number)\\}", "[0-9]+", re.escape(asyncapi.address(channel.topic)))
        pattern = re.sub(r"\\{\w+\\}", "[^/]+", numbered)
        if re.fullmatch(pattern, topic):
            return name
    return None


def faults(topic: str, payload: bytes) -> list[str]:
    """What is wrong with a message on a topic, by the published documents alone; [] if nothing is."""
    name = channel_of(topic)
    if name is None:
        return [f"{topic}: no channel"]
    message = asyncapi.CHANNELS[name].message
    if message in asyncapi.RAW or (name == "job" and not payload):  # an offer that is taken back
        return []
    errors = validator(f"{message}.v1.json").iter_errors(json.loads(payload))
    return [f"{topic}: {error.json_path}: {error.message[:200]}" for error in errors]
