"""How a station is, asked from outside: what its daemon last said, and what its database holds."""

import json
import os
import sqlite3
from datetime import UTC, datetime
from typing import cast

from edge.config import StationConfig
from edge.domain.errors import StorageError
from edge.record.checks import last_checks
from edge.record.counts import counts_under, read_counts
from edge.record.database import open_reader

_SILENT_S = 5.0


def read_status(config: StationConfig) -> dict[str, object]:
    """The daemon's last word, marked not running where it is dead or silent, with the database's counts.

    Raises:
        StorageError: there is no status to read: the station never ran here.
    """
    try:
        status = cast("dict[str, object]", json.loads(config.status_path.read_text(encoding="utf-8")))
        written_at, pid = datetime.fromisoformat(str(status["written_at"])), int(str(status["pid"]))
        alive = bool(status["running"]) and _lives(pid)
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise StorageError(f"no status at {config.status_path}: has `edge run` ever run here? ({error})") from error
    silent_s = abs((datetime.now(UTC) - written_at).total_seconds())
    if not alive or silent_s > _SILENT_S:
        why = status["why"] if not status["running"] else f"daemon {'silent' if alive else 'dead'} for {silent_s:.0f} s"
        status |= {"running": False, "ready": False, "why": why}
    return status | {"database": _counts(config), "master_checks": _master_checks(config)}


def _counts(config: StationConfig) -> dict[str, object]:
    connection = open_reader(config.database_path)
    try:
        counts = read_counts(connection)
    except sqlite3.Error as error:
        raise StorageError(f"cannot read {config.database_path}: {error}") from error
    finally:
        connection.close()
    kinds = {"verdicts": "verdict", "outcomes": "outcome", "outbox": "outbox", "dead_letters": "dead"}
    kinds |= {"lost": "lost", "evicted": "evicted", "samples": "sample"}
    return {name: counts_under(counts, kind) for name, kind in kinds.items()}


def _master_checks(config: StationConfig) -> dict[str, object]:
    """Of each product its last check of master parts, and how old that is."""
    now = datetime.now(UTC)
    return {
        product: {
            "outcome": check.outcome,
            "at": check.at.isoformat(),
            "age_h": round((now - check.at).total_seconds() / 3600, 2),
            "why": check.why,
            "check": number,
        }
        for product, (number, check) in last_checks(config.database_path).items()
    }


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
