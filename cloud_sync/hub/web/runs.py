"""Retraining runs: why each began, how far it came, and what the gate said of its model."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated

from fastapi import APIRouter, Form, Path, Query
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from cloud_sync.hub.plain import plain
from cloud_sync.hub.retraining.asking import ask
from cloud_sync.hub.retraining.ending import end_run
from cloud_sync.hub.retraining.runs import Run, Runs, UnknownRunError
from cloud_sync.hub.retraining.triggers import Trigger
from cloud_sync.hub.web import proof_figures
from cloud_sync.hub.web.board import show_board
from cloud_sync.hub.web.charts import interval_bar
from cloud_sync.hub.web.hub import hub, now_ms
from cloud_sync.pages.acts import noted, turned_out
from cloud_sync.pages.guard import Engineer, Operator
from cloud_sync.pages.showing import show

router = APIRouter()
RunId = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}-[0-9a-f]{12}$")]
STEPS = ("snapshot", "champion", "train", "prove", "publish", "roll out")
_REPORT_MOST_BYTES = 64 * 1024 * 1024
_STEP_WORDS = {name: name.replace(" ", "_") for name in STEPS}
_TRIGGER_WORDS = {each.value: each.name.lower() for each in Trigger}


@router.get("/runs")
def runs_page(
    request: Request,
    session: Operator,  # noqa: ARG001 - the guard
    product: Annotated[str, Query(pattern=r"^[a-z0-9._-]{0,64}$")] = "",
    most: Annotated[int, Query(ge=1, le=500)] = 50,
) -> Response:
    """The runs, the newest first."""
    here, now = hub(request), now_ms()
    runs = here.runs()
    found = runs.of(product, most) if product else runs.newest(most)
    names = [one.id for one in here.config.product]
    said = {"runs": found, "product": product, "products": names, "most": most, "triggers": _TRIGGER_WORDS}
    return show_board(request, "runs.html", now, steps=_STEP_WORDS, **said)


@router.post("/runs")
@noted("retrain", "{product}")
def begin_run(
    request: Request,
    session: Engineer,  # noqa: ARG001 - the guard
    product: Annotated[str, Form(max_length=64)],
) -> Response:
    """Ask for a training by hand, as `cloud retrain` does."""
    run = ask(hub(request).config, product)
    turned_out(request, subject=f"{product}: {run.run}")
    return RedirectResponse(f"/runs/{run.run}", 303)


@router.get("/runs/{run}")
def run_page(request: Request, session: Operator, run: RunId) -> Response:  # noqa: ARG001 - the guard
    """One run."""
    here, now = hub(request), now_ms()
    runs = here.runs()
    found, began = _found(runs, run), runs.steps(run)
    proof = found.proof or {}
    return show_board(
        request,
        "run.html",
        now,
        run=found,
        steps=_timed(found, began, now),
        step_words=_STEP_WORDS,
        trigger=_TRIGGER_WORDS.get(found.trigger, ""),
        rules=proof_figures.rules(proof),
        rows=proof_figures.rows(proof),
        pairs=proof_figures.pairs(proof),
        disagree=proof_figures.disagreements(proof),
        interval=interval_bar,
    )


@router.get("/runs/{run}/report")
def run_report(request: Request, session: Operator, run: RunId) -> Response:  # noqa: ARG001 - the guard
    """The report that the gate wrote, as a file: it is a page of its own, with its own looks."""
    here = hub(request)
    digest = _found(here.runs(), run).report_sha256
    if digest is None:
        raise HTTPException(404)
    blobs = here.blobs()
    content = blobs.read(digest, 0, min(blobs.size(digest), _REPORT_MOST_BYTES))
    headers = {"Content-Disposition": f'attachment; filename="{run}.html"'}
    return Response(content, media_type="text/html; charset=utf-8", headers=headers)


@router.get("/runs/{run}/end")
def ask_to_end(request: Request, session: Engineer, run: RunId) -> Response:  # noqa: ARG001 - the guard
    """Say what ending it means, and ask."""
    return show(request, "run_end.html", run=_found(hub(request).runs(), run))


@router.post("/runs/{run}/end")
@noted("run end", lambda given: f"{given['run']}: {plain(given['why'])}")
def end(request: Request, session: Engineer, run: RunId, why: Annotated[str, Form(max_length=300)] = "") -> Response:
    """End it, as `cloud runs end` does."""
    end_run(hub(request).config.cloud.store, run, session.person.name, plain(why))
    return RedirectResponse(f"/runs/{run}", 303)


def _found(runs: Runs, run: str) -> Run:
    try:
        return runs.find(run)
    except UnknownRunError as error:
        raise HTTPException(404) from error


def _timed(run: Run, began: Sequence[tuple[str, int]], now: int) -> list[dict[str, object]]:
    """Each step with when it began and how long it took; one that never began has neither."""
    starts = dict(began) or ({run.step: run.step_since_ms} if run.step in STEPS else {})
    over = run.ended_at_ms or now
    order = [name for name in STEPS if name in starts]
    ends = {name: starts[later] for name, later in pairwise(order)}
    return [
        {
            "name": name,
            "began_ms": starts.get(name),
            "took_ms": ends.get(name, over) - starts[name] if name in starts else None,
            "is_now": run.result is None and name == run.step,
            "is_through": run.result == "published" or name in ends,
            "is_last": run.result is not None and bool(order) and name == order[-1] and run.result != "published",
        }
        for name in STEPS
    ]
