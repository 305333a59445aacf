"""How each station is: all of them on one page, the worst findable at once."""

from collections import Counter
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from cloud_sync.hub.store.overview import StationLine, overview, together
from cloud_sync.hub.web.board import show_board
from cloud_sync.hub.web.charts import hour_bars
from cloud_sync.hub.web.hub import hub, now_ms
from cloud_sync.hub.web.standing import Order, Show, Word, is_shown, ordered, undecided_much, word_of
from cloud_sync.pages.guard import Operator

router = APIRouter()
MOST = 500  # on one page


@router.get("/")
def fleet_page(
    request: Request,
    session: Operator,  # noqa: ARG001 - the guard
    show: Show = Show.ALL,
    order: Order = Order.STATION,
    text: Annotated[str, Query(max_length=100)] = "",
    first: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
) -> Response:
    """All stations, or those that are asked for."""
    now = now_ms()
    with hub(request).reading() as connection:
        lines = overview(connection, now)
    wanted = ordered((line for line in lines if is_shown(line, show, text.strip(), now)), order, now)
    page = wanted[first : first + MOST]
    hours = tuple(together(hour) for hour in zip(*(line.hours for line in lines), strict=True))
    return show_board(
        request,
        "fleet.html",
        now,
        lines=page,
        total=len(wanted),
        first=first,
        more=len(wanted) > first + MOST,
        most=MOST,
        counts=_counts(lines, now),
        hours=hours,
        day=together(hours),
        word_of=lambda line: word_of(line, now),
        undecided_much=undecided_much,
        bars=hour_bars,
        asked={"show": show.value, "order": order.value, "text": text},
        shows=list(Show),
    )


def _counts(lines: Sequence[StationLine], now: int) -> dict[str, int]:
    """How many stations each way of showing finds."""
    found = Counter(show.value for show in Show for line in lines if is_shown(line, show, "", now))
    words = Counter(word_of(line, now) for line in lines)
    return {show.value: found[show.value] for show in Show} | {"ready": words[Word.READY] + words[Word.ALARM]}
