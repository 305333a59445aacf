"""The part of a page that shows a work; it asks for itself again as long as the work runs."""

import re
from collections.abc import Callable
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from cloud_sync.pages.showing import say, show
from edge.web.here import here

_PRECISION = re.compile(r" (FP32|BF16|INT8)$")


def work_values(request: Request, kind: str) -> dict[str, object]:
    """What the part's template needs."""
    return {"work": here(request).works[kind].find(), "kind": kind, "step_name": partial(_step_name, say(request))}


def work_part(request: Request, kind: str) -> Response:
    """How far it is; once it has ended the whole page is loaded anew, for that shows what came of it."""
    values = work_values(request, kind)
    answer = show(request, "work_part.html", 200, **values)
    if not here(request).works[kind].runs:
        answer.headers["HX-Refresh"] = "true"
    return answer


def _step_name(words: Callable[..., str], stage: str) -> str:
    """A stage in the language of who looks; one that the catalogue does not know is called as the command calls it."""
    precision = _PRECISION.search(stage)
    name = stage if precision is None else stage[: precision.start()]
    try:
        known = words(f"step.{name.replace(' ', '_').replace('-', '_')}")
    except LookupError:
        return stage
    return known if precision is None else f"{known} {precision[1]}"
