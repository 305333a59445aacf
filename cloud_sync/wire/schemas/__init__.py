"""JSON Schemas of what travels, for whoever reads the wire in another language. Made from the models, never by hand.

A schema names the members that there are today. Others may stand beside them: a version that comes later may add
members, and whoever reads leaves unread what it does not know. What a name means never changes.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel

from cloud_sync.wire import messages, records
from cloud_sync.wire.schemas.envelopes import ack_schema, batch_schema

FOLDER = Path(__file__).parent
DIALECT = "https://json-schema.org/draft/2020-12/schema"

MODELS: Mapping[str, type[BaseModel]] = {
    "inspection.v1.json": records.InspectionRecord,
    "outcome.v1.json": records.OutcomeRecord,
    "images.v1.json": records.ImagesRecord,
    "feedback.v1.json": records.FeedbackRecord,
    "loss.v1.json": records.LossRecord,
    "sample.v1.json": records.SampleRecord,
    "state.v1.json": messages.StateMessage,
    "health.v1.json": messages.HealthMessage,
    "drift.v1.json": messages.DriftMessage,
    "command.v1.json": messages.CommandMessage,
    "file-init.v1.json": messages.FileInit,
    "file-fin.v1.json": messages.FileFin,
    "file-ack.v1.json": messages.FileAck,
    "want.v1.json": messages.Want,
    "job.v1.json": messages.Job,
    "job-state.v1.json": messages.JobState,
}


def schemas() -> dict[str, str]:
    """Each schema's file name and text."""
    made = {name: _text(_open(model.model_json_schema(by_alias=True))) for name, model in MODELS.items()}
    return made | {"batch.v1.json": _text(batch_schema()), "ack.v1.json": _text(ack_schema())}


def write(folder: Path = FOLDER) -> list[Path]:
    """Write the schemas into a folder; says which files it wrote. Raises OSError."""
    written = []
    for name, text in schemas().items():
        written.append(folder / name)
        written[-1].write_text(text, encoding="utf-8")
    return written


def _open(schema: object) -> object:
    """The schema without its ban on unknown members: that binds who makes a message, not who reads one."""
    if isinstance(schema, list):
        return [_open(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {name: _open(value) for name, value in schema.items() if (name, value) != ("additionalProperties", False)}


def _text(schema: object) -> str:
    assert isinstance(schema, dict)  # noqa: S101 - each is an object schema
    return json.dumps({"$schema": DIALECT, **schema}, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
