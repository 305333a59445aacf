"""What is wrong with a station now, by what its daemon last said. Pure: status in, troubles out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import cast

# What is said of a fault or an alarm by its name: what follows a colon names the thing.
KNOWN = frozenset(
    {
        "camera", "picture", "code", "output", "storage", "storage_slow", "images", "status", "pipeline", "model",
        "masters", "hung", "drift", "verdicts_lost", "records_filling", "dead_letters", "disk_low", "release",
        "sync_denied", "records_given_up", "triage", "daemon", "link", "masters_due", "pages",
    }
)  # fmt: skip
Status = Mapping[str, object]


class Weight(StrEnum):
    """How bad it is: with a fault no part passes; an alarm wants somebody to look while the station inspects."""

    FAULT = "fault"
    ALARM = "alarm"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that is wrong.

    Args:
        name: as the daemon calls it, `camera:top`.
        kind: one of `KNOWN`, by which there is something to do, or `other`.
        why: in the daemon's words.
        since: since when, where that is on record, UTC.
    """

    name: str
    kind: str
    weight: Weight
    why: str
    since: datetime | None = None


def troubles(status: Status) -> list[Trouble]:
    """Everything that is wrong, what stops the line first."""
    return [*_daemon(status), *_faults(status), *_alarms(status), *_link(status), *_masters(status)]


def of_pages(*, outdated: bool) -> list[Trouble]:
    """What is wrong with the pages themselves: they show the station that station.toml was when they began."""
    why = "station.toml was changed since the pages began"
    return [Trouble("pages", "pages", Weight.NOTE, why)] if outdated else []


def kind_of(name: str) -> str:
    """What there is to do about a fault or an alarm goes by this."""
    parts = name.split(":")
    if parts[0] == "camera" and len(parts) > 2:  # noqa: PLR2004 - camera, id, check: its picture, not the camera
        return "picture"
    return parts[0] if parts[0] in KNOWN else "other"


def said(status: Status, name: str) -> Mapping[str, object]:
    """A table of the status; an empty one where the daemon said nothing of it."""
    found = status.get(name)
    return cast("Mapping[str, object]", found) if isinstance(found, Mapping) else {}


def moment_of(text: object) -> datetime | None:
    """A moment of the status; None where none stands there."""
    try:
        return datetime.fromisoformat(str(text)) if text else None
    except ValueError:
        return None


def _daemon(status: Status) -> Iterator[Trouble]:
    if not status.get("running"):
        why, at = str(status.get("why", "")), moment_of(status.get("written_at"))
        yield Trouble("daemon", "daemon", Weight.FAULT, why, at)


def _faults(status: Status) -> Iterator[Trouble]:
    for name, why in said(status, "faults").items():
        yield Trouble(name, kind_of(name), Weight.FAULT, str(why))


def _alarms(status: Status) -> Iterator[Trouble]:
    for name, why in said(status, "alarms").items():
        since = _drift_since(status) if name == "drift" else None
        yield Trouble(name, kind_of(name), Weight.ALARM, str(why), since)


def _drift_since(status: Status) -> datetime | None:
    """Since when the oldest open alarm of drift is."""
    signs = cast("Sequence[Mapping[str, object]]", said(status, "triage").get("drift") or [])
    found = [moment_of(sign.get("since")) for sign in signs if sign.get("alarm")]
    return min((at for at in found if at is not None), default=None)


def _link(status: Status) -> Iterator[Trouble]:
    sync = said(status, "sync")
    if sync and not sync.get("connected") and status.get("running"):
        yield Trouble("link", "link", Weight.NOTE, str(sync.get("last_error") or ""), moment_of(sync["last_ack_at"]))


def _masters(status: Status) -> Iterator[Trouble]:
    """Those that are due soon; where they are overdue, the daemon has a fault of that."""
    for product, standing in said(status, "masters").items():
        if isinstance(standing, Mapping) and standing.get("word") == "due":
            left_min = float(standing.get("left_s") or 0) / 60
            yield Trouble(f"masters:{product}", "masters_due", Weight.NOTE, f"{product}: {left_min:.0f} min")
