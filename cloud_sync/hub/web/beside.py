"""What is shown beside a sample: the golden picture that its station holds up, else a part that was labelled good."""

import logging
from collections.abc import Callable, Sequence
from urllib.parse import urlencode

import sqlalchemy as sa

from cloud_sync.hub.files.blobs import Blobs
from cloud_sync.hub.labels.golden import Seen, golden_of
from cloud_sync.hub.labels.listing import SampleView
from cloud_sync.hub.labels.second_looks import is_hidden
from cloud_sync.hub.store.errors import BlobError
from cloud_sync.hub.store.label_tables import labels, samples

_GOOD_LOOKED_AT = 500
_LOG = logging.getLogger(__name__)


def beside_of(
    connection: sa.Connection, blobs: Blobs, views: Sequence[SampleView], words: Callable[..., str], reader: str
) -> dict[str, dict[str, str] | None]:
    """By the sample's id: the address of what is shown beside it and what that is; None where there is nothing.

    Args:
        connection: to the store.
        blobs: where kits lie.
        views: the samples.
        words: says a key's text in the reader's language.
        reader: by name.

    Raises:
        SQLAlchemyError: the store fails; without the blobs a good part has to do.
    """
    golden = {seen: _golden(connection, blobs, seen, words) for seen in {_seen(view) for view in views}}
    good = {view.camera: _good(connection, view, words, reader) for view in views if golden[_seen(view)] is None}
    return {view.id: golden[_seen(view)] or good.get(view.camera) for view in views}


def _golden(connection: sa.Connection, blobs: Blobs, seen: Seen, words: Callable[..., str]) -> dict[str, str] | None:
    try:
        found = golden_of(connection, blobs, seen)
    except BlobError as error:
        _LOG.warning("no golden picture beside a sample of station %s: %s", seen.station, error)
        return None
    if found is None:
        return None
    query = urlencode({"station": seen.station, "product": seen.product, "camera": seen.camera, "width": "960"})
    says = words("review.golden_master", name=found.master) if found.master else words("review.golden_reference")
    return {"address": f"/pictures/golden/{found.sha256}?{query}", "says": says}


def _good(connection: sa.Connection, view: SampleView, words: Callable[..., str], reader: str) -> dict[str, str] | None:
    found = good_one(connection, view, reader)
    return None if found is None else {"address": f"/pictures/{found}?width=960", "says": words("review.good_one")}


def _seen(view: SampleView) -> Seen:
    return Seen(view.station, view.product, view.camera)


def good_one(connection: sa.Connection, view: SampleView, reader: str) -> str | None:
    """The picture of the part of this product that was labelled good first and still is; of the same camera, if any.

    The first one, so that a reviewer has the same before them all day. None that waits for the reader's second look: it
    would be told as good before they judge it.
    """
    mine = sa.select(labels.c.sample, labels.c.says, labels.c.seq).where(labels.c.product == view.product)
    first = mine.order_by(labels.c.seq).limit(_GOOD_LOOKED_AT).subquery()
    query = (
        sa.select(samples.c.sha256, samples.c.camera)
        .join(first, (first.c.sample == samples.c.id) & (first.c.seq == samples.c.label))
        .where(first.c.says == "good", ~samples.c.conflict, samples.c.sha256.is_not(None), samples.c.id != view.id)
        .where(~is_hidden(samples.c.id, reader))
        .order_by(first.c.seq)
    )
    rows = connection.execute(query).all()
    same = (row for row in rows if row.camera == view.camera)
    found = next(same, None) or next(iter(rows), None)
    return None if found is None else found.sha256
