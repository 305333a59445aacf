"""How each station is, the worst first: a hundred on a page, and counts of all."""

from collections.abc import Mapping, Sequence
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from cloud_sync.hub.store.hours import together
from cloud_sync.hub.store.overview import StationLine, overview
from cloud_sync.hub.web.board import page_from, show_board
from cloud_sync.hub.web.charts import hour_bars
from cloud_sync.hub.web.hub import hub, now_ms
from cloud_sync.hub.web.standing import Order, Show, Word, is_shown, ordered, undecided_much, word_of
from cloud_sync.pages.guard import Operator

router = APIRouter()
MOST = 100  # on one page


@router.get("/")
def fleet_page(
    request: Request,
    session: Operator,  # noqa: ARG001 - the guard
    show: Show = Show.ALL,
    order: Order = Order.STATE,
    text: Annotated[str, Query(max_length=100)] = "",
    first: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
) -> Response:
    """All stations, or those that are asked for."""
    here, now = hub(request), now_ms()
    with here.reading() as connection:
        lines = overview(connection, now, past=here.past)
    words = {line.station: word_of(line, now) for line in lines}
    wanted = ordered((line for line in lines if is_shown(line, words[line.station], show, text.strip())), order, words)
    first = page_from(first, len(wanted), MOST)
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
        counts=_counts(lines, words),
        hours=hours,
        day=together(hours),
        words=words,
        undecided_much=undecided_much,
        bars=hour_bars,
        asked={"show": show.value, "order": order.value, "text": text},
        shows=list(Show),
    )


def _counts(lines: Sequence[StationLine], words: Mapping[str, Word]) -> dict[str, int]:
    """How many stations each way of showing finds."""
    found = {show.value: sum(is_shown(line, words[line.station], show, "") for line in lines) for show in Show}
    return found | {"ready": sum(word in {Word.READY, Word.ALARM} for word in words.values())}
