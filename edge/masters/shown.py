"""Master parts that were put under the cameras: their inspections, as recorded, against what was expected."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cloud_sync.wire.records import InspectionRecord
from edge.domain.errors import StorageError
from edge.domain.part import Verdict
from edge.line.protocol import master_part_id
from edge.masters.check import judged
from edge.masters.store import Master
from edge.pipeline import Product
from edge.record.checks import MasterRecord
from edge.record.database import open_reader
from edge.record.inspections import inspection_of

SHOWN_WITHIN = timedelta(hours=1)
_CLOCKS_DIFFER = timedelta(minutes=1)


def shown_master(path: Path, shown: str, product: Product, since: datetime, master: Master) -> MasterRecord:
    """What a master's last inspection of this session says. Raises StorageError where the database cannot be read.

    Args:
        path: the station's database.
        shown: the session's name; one used before names inspections of that time too.
        product: what judges parts now.
        since: since when it does.
        master: which one.
    """
    try:
        with closing(open_reader(path)) as connection:
            record = inspection_of(connection, master_part_id(shown, master.name))
            return judge_shown(master, record, product, since, datetime.now(UTC))
    except sqlite3.Error as error:
        raise StorageError(f"cannot read {path}: {error}") from error


def judge_shown(
    master: Master, record: InspectionRecord | None, product: Product, since: datetime, now: datetime
) -> MasterRecord:
    """What a master got under the camera. Pure.

    An inspection counts only as the master's own, through its camera, by the bundle and rules that judge parts now,
    and of the last hour. A known bad part must be rejected by its own camera: another that saw it too proves nothing.
    """
    if record is None:
        missing = judged(master, Verdict.UNDECIDED, ("not_shown",), None)
        return missing.model_copy(update={"got": None})
    scores = [view.score for view in record.views if view.score is not None]
    reason = _foreign(master, record, product) or _untimely(record, since, now)
    if reason:
        return judged(master, Verdict.UNDECIDED, (reason,), max(scores, default=None))
    if not master.good and record.verdict == Verdict.REJECT:
        own = next(view for view in record.views if view.camera == master.camera)
        return judged(master, Verdict(own.verdict), tuple(own.reasons), own.score)
    return judged(master, Verdict(record.verdict), tuple(record.reasons), max(scores, default=None))


def _foreign(master: Master, record: InspectionRecord, product: Product) -> str:
    if (record.master, record.product) != (master.name, product.product_id):
        return "not_triggered_as_this_master"
    if master.camera not in {view.camera for view in record.views}:
        return "not_seen_by_its_camera"
    models = {view.model.sha256 for view in record.views if view.model is not None}
    if models - {product.engine.model_id.sha256} or record.recipe_version != product.recipe.version:
        return "by_another_bundle"
    return ""


def _untimely(record: InspectionRecord, since: datetime, now: datetime) -> str:
    in_time = max(since, now - SHOWN_WITHIN) <= record.triggered_at <= now + _CLOCKS_DIFFER
    return "" if in_time else "shown_at_another_time"
