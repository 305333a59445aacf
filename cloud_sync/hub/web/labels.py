"""What people said: to look through, sample by sample; and to settle where two say different things."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from fastapi import APIRouter, Form, Path, Query
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from cloud_sync.hub.labels.browsing import ALL_LABELS, Sought, browse, counts, disputed
from cloud_sync.hub.labels.classes import check_known, known_classes
from cloud_sync.hub.labels.errors import LabelError
from cloud_sync.hub.labels.facts import labels_seq
from cloud_sync.hub.labels.labelling import NewLabel, Standing, add_labels, heads, history, lock_labels
from cloud_sync.hub.labels.listing import SampleView, sample_views
from cloud_sync.hub.labels.pictures import read_blob, size_px
from cloud_sync.hub.labels.review_queue import products
from cloud_sync.hub.labels.second_looks import hidden_from
from cloud_sync.hub.labels.truths import LabelTruth, defect
from cloud_sync.hub.store.errors import BlobError
from cloud_sync.hub.web.heat import heat_of
from cloud_sync.hub.web.hub import NO_NUL, Hub, hub, now_ms
from cloud_sync.pages.acts import noted, turned_out
from cloud_sync.pages.guard import Engineer, Operator
from cloud_sync.pages.showing import say, show

router = APIRouter()
SampleId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]
Product = Annotated[str, Query(max_length=128, pattern=NO_NUL)]
_PER_PAGE = 48
_SOURCES = ("review", "import", "feedback")


@router.get("/labels")
def labels_page(  # noqa: PLR0913, PLR0917 - what one can look for
    request: Request,
    session: Operator,
    product: Product = "",
    name: Annotated[str, Query(max_length=128, pattern=NO_NUL)] = "",
    by: Annotated[str, Query(max_length=128, pattern=NO_NUL)] = "",
    source: Literal["", "review", "import", "feedback"] = "",
    only: Literal["", "disputed"] = "",
    before: Annotated[int, Query(ge=0, le=ALL_LABELS)] = ALL_LABELS,
    after: Annotated[str, Query(pattern=r"^([0-9a-f]{32})?$")] = "",
) -> Response:
    """Labelled samples, or those of which people say different things.

    Of one that waits for a second look, who may still give it sees no label.
    """
    with hub(request).reading() as connection:
        listed = products(connection)
        own = product or (listed[0] if listed else "")
        sought = Sought(own, name, by, source, session.person.name)
        if only:
            found = disputed(connection, own, after, _PER_PAGE)
            further: dict[str, object] = {"after": found[-1].id} if len(found) == _PER_PAGE else {}
        else:
            page = browse(connection, sought, before, _PER_PAGE)
            found, further = page.samples, {"before": page.next_before} if page.next_before else {}
        hidden = hidden_from(connection, [each.id for each in found], session.person.name)
        names = ("good", "unsure", *known_classes(connection, own))
    values: dict[str, Any] = {"hidden": hidden, "products": listed, "names": names}
    return show(
        request, "labels.html", sought=sought, only=only, found=found, further=further, sources=_SOURCES, **values
    )


@router.get("/labels/counts")
def counts_part(request: Request, session: Operator, product: Product) -> Response:  # noqa: ARG001 - the guard
    """How many of each class, learned from and held out."""
    return show(request, "labels_counts.html", counted=_counted(request, product))


@router.get("/labels/{sample}")
def sample_page(request: Request, session: Operator, sample: SampleId) -> Response:
    """One sample: its picture, what models and people ever said of it."""
    here = hub(request)
    with here.reading() as connection:
        view = _view(connection, sample)
        said = history(connection, sample)
        classes = known_classes(connection, view.product)
        hidden = hidden_from(connection, [sample], session.person.name)
        heat = None if hidden else heat_of(connection, view)
    if hidden:  # whoever gives the second look shall not know the first one's word
        return show(request, "labels_blind.html", view=view)
    size, away = _size_px(here, view)
    stand = heads(said)
    boxes = [box for label in stand for box in label.truth.boxes]
    values: dict[str, Any] = {
        "said": [(label, when(label.at_ms)) for label in reversed(said)],
        "standing": {label.seq for label in stand},
        "boxes": boxes,
        "classes": classes,
        "size": size,
        "away": away,
        "heat": None if heat is None else heat.plain(),
    }
    return show(request, "labels_sample.html", view=view, choices=_choices(said), **values)


@router.post("/labels/{sample}/resolve")
@noted("resolve label", "{sample} as {truth}")
def resolve(
    request: Request,
    session: Engineer,
    sample: SampleId,
    truth: Annotated[str, Form(max_length=140, pattern=r"^(good|unsure|label:\d{1,15}|class:[^\x00\n]{1,100})$")],
    seen: Annotated[int, Form(ge=0, lt=2**53)],
) -> Response:
    """Settle what a sample is; everything said before, as far as it was seen, is superseded."""
    at_ms, by = now_ms(), session.person.name
    with hub(request).writing() as connection:
        lock_labels(connection)
        view = _view(connection, sample)
        if hidden_from(connection, [sample], by):  # nobody settles what they shall not see
            raise LabelError(say(request)("labels.blind"))
        what = _truth(connection, view, truth)
        add_labels(connection, [NewLabel(sample, what, "review", by, at_ms, seen)], at_ms)
    turned_out(request, subject=f"{sample} as {', '.join(what.names) or what.says}")
    return RedirectResponse(f"/labels/{sample}", 303)


def when(at_ms: int) -> datetime:
    """A moment of the store."""
    return datetime.fromtimestamp(min(max(at_ms, 0), 2**42) / 1000, UTC)


def _size_px(here: Hub, view: SampleView) -> tuple[tuple[int, int] | None, str]:
    """The picture's width and height, None without a readable one; why it cannot be fetched now, "" where it can.

    Raises LabelError where it is damaged.
    """
    if view.image != "ready" or not view.sha256:
        return None, ""
    try:
        return size_px(read_blob(here.blobs(), view.sha256, view.size_bytes or 0)), ""
    except BlobError as error:  # what people said is here, and worth showing
        return None, str(error)


def _view(connection: sa.Connection, sample: str) -> SampleView:
    found = sample_views(connection, [sample])
    if not found:
        raise HTTPException(404)
    return found[0]


def _choices(said: list[Standing]) -> list[Standing]:
    """What stands side by side, each truth once."""
    return list({label.truth: label for label in heads(said)}.values())


def _truth(connection: sa.Connection, view: SampleView, word: str) -> LabelTruth:
    """What a form's word means. Raises LabelError."""
    kind, _, rest = word.partition(":")
    if kind == "label":
        found = next((label.truth for label in history(connection, view.id) if label.seq == int(rest)), None)
        if found is None:
            raise LabelError(f"label {rest} is none of this sample: load the page again")
        return found
    if kind == "class":
        check_known(known_classes(connection, view.product), [rest])
        return defect(rest)
    return LabelTruth("good" if kind == "good" else "unsure")


def _counted(request: Request, product: str) -> Mapping[str, Mapping[str, int]]:
    """Of every label; see `Counted`."""
    here = hub(request)
    with here.reading() as connection:
        newest = labels_seq(connection)
        return here.counted.of("by role", product, newest, lambda: counts(connection, product))
