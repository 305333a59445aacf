"""What a running station says of itself, from its status file alone."""

import json
from typing import Any

from edge.doctor.around import Around

_MAX_BYTES = 1 << 20


def said_by(around: Around) -> dict[str, Any]:
    """The daemon's last word; empty where there is none that can be read."""
    path = around.data_dir / "status.json"
    try:
        content = json.loads(path.read_bytes()[:_MAX_BYTES])
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def faults_of(around: Around) -> dict[str, str]:
    """What is wrong at the station, by its own word: each fault's name and why."""
    faults = said_by(around).get("faults")
    return {str(name): str(why) for name, why in faults.items()} if isinstance(faults, dict) else {}
