"""A page that asks itself anew every few seconds."""

from starlette.requests import Request
from starlette.responses import HTMLResponse

from cloud_sync.pages.showing import show


def show_board(request: Request, template: str, now_ms: int, **values: object) -> HTMLResponse:
    """A template that extends fleet_page.html.

    Args:
        request: its address, with what was asked for, is the one that the page asks anew.
        template: its name.
        now_ms: when what it shows was read.
        values: for the template.
    """
    asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return show(request, template, 200, now_ms=now_ms, request_path=asked, **values)


def page_from(first: int, total: int, most: int) -> int:
    """How many come before the page that is shown: as was asked, or those before the last page.

    A board asks itself anew for hours, and what it is filtered by may have become less meanwhile: an empty page would
    say that nothing is like that.

    Args:
        first: how many, as was asked.
        total: there are so many.
        most: on one page.
    """
    return first if first < total else max(0, total - 1) // most * most
