"""How the cloud itself is: its collector, its workers, its store, and how long what it signed is good."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from cloud_sync.hub.plain import plain, without_password
from cloud_sync.hub.store.condition import COUNTED_MOST, condition, held_back, letters
from cloud_sync.hub.trust.kept import state_in
from cloud_sync.hub.web.board import show_board
from cloud_sync.hub.web.hub import hub, now_ms
from cloud_sync.hub.web.standing import SILENT_MS
from cloud_sync.hub.web.workers import ALIVE_MS, workers_seen
from cloud_sync.pages.guard import Operator
from models.trust.errors import TrustError
from models.trust.keys import ROLES
from models.trust.signing import LIFE, SignedState

router = APIRouter()
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Signed:
    """How long a role's newest file is good: `state` is good, soon or expired."""

    role: str
    version: int
    until: datetime
    days_left: float
    state: str


@router.get("/health")
def health_page(
    request: Request,
    session: Operator,  # noqa: ARG001 - the guard
    most: Annotated[int, Query(ge=1, le=500)] = 20,
) -> Response:
    """All of it."""
    here, now = hub(request), now_ms()
    with here.reading() as connection:
        found = condition(connection, now)
        dead, held = letters(connection, most), held_back(connection, most)
        workers = workers_seen(connection)
        try:
            signed, unreadable = signed_until(state_in(connection), datetime.now(UTC)), ""
        except TrustError as error:
            signed, unreadable = [], str(error)
    silent_ms = None if found.last_heard_at_ms is None else max(0, now - found.last_heard_at_ms)
    return show_board(
        request,
        "health.html",
        now,
        found=found,
        most_counted=COUNTED_MOST,
        silent_ms=silent_ms,
        collects=not found.online or (silent_ms is not None and silent_ms < SILENT_MS),
        workers=[(one, now - one.seen_at_ms < ALIVE_MS) for one in workers],
        signed=signed,
        unreadable=unreadable,
        letters=dead,
        held=held,
        most=most,
        store=without_password(here.config.cloud.store),
        readable=lambda content: plain(content.decode("utf-8", "backslashreplace")),
    )


def signed_until(state: SignedState | None, now: datetime) -> list[Signed]:
    """Each role's file; one with less than a third of its life left should have been signed anew by now."""
    if state is None:
        return []
    found = []
    for role in ROLES:
        until = state.expires(role)
        left = until - now
        word = "expired" if left.total_seconds() <= 0 else "soon" if left < LIFE[role] / 3 else "good"
        found.append(Signed(role, state.version(role), until, left.total_seconds() / _DAY_S, word))
    return found
