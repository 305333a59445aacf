"""The JSON Schema of station.toml, each key explained, for editors."""

import json
import os
import tomllib
from importlib import resources
from pathlib import Path
from typing import cast

from edge.config import StationConfig
from edge.domain.errors import StorageError

SCHEMA_FILE = "station.schema.json"
_Keys = dict[str, dict[str, object]]


def station_schema() -> dict[str, object]:
    """The schema; what a key means comes from config_keys.toml, beside this file."""
    schema = StationConfig.model_json_schema()
    told = explanations()
    for name, section in (("StationConfig", schema), *schema["$defs"].items()):
        for key, value in cast("_Keys", section.get("properties", {})).items():
            value["description"] = told.get(name, {}).get(key, value.get("description", ""))
    named = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "inspectd station.toml"}
    return schema | named


def explanations() -> dict[str, dict[str, str]]:
    """What every key of every section means, by the section's class and the key."""
    return tomllib.loads(resources.files("edge").joinpath("config_keys.toml").read_text(encoding="utf-8"))


def write_schema(path: Path) -> None:
    """Put the schema there, whole; one that is there is replaced.

    Raises:
        StorageError: it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(json.dumps(station_schema(), indent=2) + "\n", encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise StorageError(f"cannot write {path}: {error.strerror}") from error
