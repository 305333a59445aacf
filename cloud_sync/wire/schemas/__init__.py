"""JSON Schemas of what travels, for whoever reads the wire in another language. Made from the models, never by hand."""

import json
from pathlib import Path

from cloud_sync.wire.records import ImagesRecord, InspectionRecord, OutcomeRecord, Record

FOLDER = Path(__file__).parent

_MODELS: dict[str, type[Record]] = {
    "inspection.v1.json": InspectionRecord,
    "outcome.v1.json": OutcomeRecord,
    "images.v1.json": ImagesRecord,
}


def schemas() -> dict[str, str]:
    """Each schema's file name and text."""
    return {name: _text(model) for name, model in _MODELS.items()}


def write(folder: Path = FOLDER) -> list[Path]:
    """Write the schemas into a folder; says which files it wrote. Raises OSError."""
    written = []
    for name, text in schemas().items():
        written.append(folder / name)
        written[-1].write_text(text, encoding="utf-8")
    return written


def _text(model: type[Record]) -> str:
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **model.model_json_schema(by_alias=True)}
    return json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
