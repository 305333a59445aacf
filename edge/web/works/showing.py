"""The part of a page that shows a work; it asks for itself again as long as the work runs."""

from starlette.requests import Request
from starlette.responses import Response

from cloud_sync.pages.showing import show
from edge.web.here import here


def work_part(request: Request, kind: str) -> Response:
    """How far it is; once it has ended the whole page is loaded anew, for that shows what came of it."""
    work = here(request).works[kind].find()
    answer = show(request, "work_part.html", work=work, kind=kind)
    if work is None or not work.running:
        answer.headers["HX-Refresh"] = "true"
    return answer
