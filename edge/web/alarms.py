"""What is wrong now: since when, and what to do."""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from cloud_sync.pages.guard import Operator
from cloud_sync.pages.showing import show
from edge.domain.errors import StorageError
from edge.web.here import Here, here
from edge.web.live import spoken, watch_of
from edge.web.trouble import Trouble, Weight, of_pages, said, troubles
from edge.web.watch import Noticed

router = APIRouter()
_DEAD = "SELECT stream, reason, count(*), min(at) FROM dead_letters GROUP BY stream, reason ORDER BY 4 LIMIT 20"


@dataclass(frozen=True, slots=True)
class Shown:
    """A trouble as it is shown.

    Args:
        trouble: what is wrong.
        noticed: since when these pages know of it, where it says of itself no since.
    """

    trouble: Trouble
    noticed: Noticed | None


@dataclass(frozen=True, slots=True)
class DeadLetters:
    """Records of one stream that cannot be sent for one reason, the oldest since `since`."""

    stream: str
    reason: str
    records: int
    since: datetime


@router.get("/alarms")
def alarms_page(request: Request, session: Operator) -> Response:
    """Everything that is wrong with the station."""
    return show(request, "alarms.html", words=spoken(request, session, "alarms_now"), now=_now(request))


@router.get("/alarms/now")
def alarms_now(request: Request, session: Operator) -> Response:  # noqa: ARG001 - the guard
    """The same, the part of the page that changes."""
    return show(request, "alarms_now.html", now=_now(request))


@dataclass(frozen=True, slots=True)
class Now:
    """What the page shows."""

    troubles: Sequence[Shown]
    dead: Sequence[DeadLetters] = ()
    masters: Mapping[str, object] = field(default_factory=dict)


def _now(request: Request) -> Now:
    station = here(request)
    try:
        status, dead = station.status(), _dead_letters(station)
    except StorageError as error:
        trouble = Trouble("daemon", "daemon", Weight.FAULT, str(error))
        return Now([Shown(trouble, None)])
    found = [_dated(trouble, dead) for trouble in (*troubles(status), *of_pages(outdated=station.is_outdated))]
    noticed: Mapping[str, Noticed] = watch_of(request).noticed
    shown = [Shown(each, noticed.get(each.name) if each.since is None else None) for each in found]
    return Now(shown, dead, said(status, "master_checks"))


def _dated(trouble: Trouble, dead: Sequence[DeadLetters]) -> Trouble:
    """Since when records cannot be sent stands beside them."""
    if trouble.kind != "dead_letters" or not dead:
        return trouble
    return replace(trouble, since=min(each.since for each in dead))


def _dead_letters(station: Here) -> list[DeadLetters]:
    try:
        with station.reading() as connection:
            rows = connection.execute(_DEAD).fetchall()
    except sqlite3.Error as error:
        raise StorageError(f"cannot read {station.config.database_path}: {error}") from error
    return [DeadLetters(stream, reason, records, datetime.fromisoformat(at)) for stream, reason, records, at in rows]
