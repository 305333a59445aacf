"""The wire as an AsyncAPI 3 document: who sends what where. Made from the topics and schemas, never by hand."""

import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cloud_sync.wire import topics
from cloud_sync.wire.messages import BLOCK_BYTES

PATH = Path(__file__).parent / "asyncapi.json"
SPECIFICATION = "3.0.0"

_SCHEMA_FORMAT = "application/schema+json;version=draft-2020-12"
_MQTT_BINDING = "0.2.0"
_DESCRIPTION = (
    "Stations send records, files and their state up; the cloud sends acknowledgements, commands and releases down. "
    "MQTT 5, QoS 1. A record is gone from its station only after the collector's acknowledgement, which comes after "
    "its commit; the broker's word counts for nothing. Whoever reads leaves unknown members unread. Who may publish "
    "and subscribe where is the broker's to enforce: a station writes its own `up/` and reads its own `down/`."
)
_TRANSPORT = "Mutual TLS 1.3. Plain MQTT is spoken to a broker on the same machine's loopback only."
_CERTIFICATE = "The station's certificate, whose common name is its id; a collector's begins with '_'."
_PARAMETERS = {
    "station": "The station's id: 1 to 63 of a-z, 0-9 and '-'.",
    "file_id": "The sha256 of the file, 64 hex digits.",
    "offset": f"Of the block's first byte, a multiple of {BLOCK_BYTES}.",
    "job_id": "The id of what was offered.",
    "name": "The release's file name.",
    "number": f"Which block: its first byte's offset divided by {BLOCK_BYTES}.",
}


@dataclass(frozen=True, slots=True)
class Channel:
    """A topic and what goes there.

    Args:
        topic: builds the topic's name.
        message: what is published: a schema's name without its version, or a kind of raw bytes.
        retain: whether the broker keeps the last one.
        reply: the channel on which the other end answers, if it does.
    """

    topic: Callable[..., str]
    message: str
    retain: bool = False
    reply: str | None = None


CHANNELS = {
    "inspections": Channel(topics.inspections, "batch", reply="ack"),
    "feedback": Channel(topics.feedback, "batch", reply="ack"),
    "samples": Channel(topics.samples, "batch", reply="ack"),
    "drift": Channel(topics.drift, "drift"),
    "state": Channel(topics.state, "state", retain=True),
    "health": Channel(topics.health, "health"),
    "file_init": Channel(topics.file_init, "file-init", reply="file_ack"),
    "file_chunk": Channel(topics.file_chunk, "chunk", reply="file_ack"),
    "file_fin": Channel(topics.file_fin, "file-fin", reply="file_ack"),
    "want": Channel(topics.want, "want", reply="block"),
    "job_state": Channel(topics.job_state, "job-state"),
    "ack": Channel(topics.ack, "ack"),
    "file_ack": Channel(topics.file_ack, "file-ack"),
    "command": Channel(topics.command, "command"),
    "job": Channel(topics.job, "job", retain=True, reply="job_state"),
    "block": Channel(topics.block, "block"),
}
RAW = {
    "chunk": f"{BLOCK_BYTES} bytes of a file as they are; the last block is shorter.",
    "block": f"{BLOCK_BYTES} bytes of a release as they are; the last block is shorter.",
}
CORRELATIONS = {
    "batch": "/data/epoch",
    "ack": "/epoch",
    "file-init": "/file",
    "file-fin": "/file",
    "file-ack": "/file",
    "job": "/job",
    "job-state": "/job",
    "command": "/epoch",
    "want": "/name",
}


def document() -> dict[str, object]:
    """The whole document."""
    operations: dict[str, object] = {}
    for name, channel in CHANNELS.items():
        operations |= _operations(name, channel)
    return {
        "asyncapi": SPECIFICATION,
        "info": {
            "title": "inspectd sync",
            "version": "1.0.0",
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {"broker": _server()},
        "channels": {name: _channel(channel) for name, channel in CHANNELS.items()},
        "operations": operations,
        "components": {
            "messages": {name: _message(name) for name in dict.fromkeys(item.message for item in CHANNELS.values())},
            "operationTraits": {"kept": _trait(retain=True), "passing": _trait(retain=False)},
        },
    }


def text() -> str:
    """The document as it lies beside this module."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


def address(topic: Callable[..., str]) -> str:
    """A topic's name with its parameters in braces."""
    names = list(inspect.signature(topic).parameters)
    name = topic(*(_mark(parameter) for parameter in names))
    for parameter in names:
        name = name.replace(_mark(parameter), f"{{{parameter}}}")
    return name


def _mark(parameter: str) -> str:
    """A word that can stand in a topic and in no topic of ours by itself."""
    return f"0{parameter}0"


def _server() -> dict[str, object]:
    where = {"default": "localhost:8883", "description": "HOST:PORT of any MQTT 5 broker."}
    return {
        "host": "{broker}",
        "protocol": "secure-mqtt",
        "protocolVersion": "5.0",
        "description": _TRANSPORT,
        "variables": {"broker": where},
        "security": [{"type": "X509", "description": _CERTIFICATE}],
    }


def _trait(*, retain: bool) -> dict[str, object]:
    return {"bindings": {"mqtt": {"qos": 1, "retain": retain, "bindingVersion": _MQTT_BINDING}}}


def _channel(channel: Channel) -> dict[str, object]:
    return {
        "address": address(channel.topic),
        "description": " ".join((inspect.getdoc(channel.topic) or "").split()),
        "messages": {channel.message: {"$ref": f"#/components/messages/{channel.message}"}},
        "parameters": {
            parameter: {"description": _PARAMETERS[parameter]}
            for parameter in inspect.signature(channel.topic).parameters
        },
    }


def _operations(name: str, channel: Channel) -> dict[str, object]:
    """What both ends do on a channel."""
    goes_up = "/up/" in address(channel.topic)
    sender, receiver = ("station", "collector") if goes_up else ("collector", "station")
    return {
        f"{sender}_sends_{name}": _operation("send", name, channel),
        f"{receiver}_receives_{name}": _operation("receive", name, channel),
    }


def _operation(action: str, name: str, channel: Channel) -> dict[str, object]:
    place = f"#/channels/{name}"
    content: dict[str, object] = {
        "action": action,
        "channel": {"$ref": place},
        "messages": [{"$ref": f"{place}/messages/{channel.message}"}],
        "traits": [{"$ref": f"#/components/operationTraits/{'kept' if channel.retain else 'passing'}"}],
    }
    if channel.reply is not None:
        content["reply"] = {"channel": {"$ref": f"#/channels/{channel.reply}"}}
    return content


def _message(name: str) -> dict[str, object]:
    if name in RAW:
        return {"contentType": "application/octet-stream", "description": RAW[name], "payload": {"type": "string"}}
    schema = {"schemaFormat": _SCHEMA_FORMAT, "schema": {"$ref": f"schemas/{name}.v1.json"}}
    content: dict[str, object] = {"contentType": "application/json", "payload": schema}
    if name in CORRELATIONS:
        content["correlationId"] = {"location": f"$message.payload#{CORRELATIONS[name]}"}
    return content
