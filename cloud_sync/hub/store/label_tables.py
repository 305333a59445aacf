"""The tables of samples as the trainer sees them, labels, drift.

- `arrivals` names records that came and are not yet seen to; each is written in the transaction that stores its record.
- `samples` holds each image once that was kept for training: one camera's view of an inspection, or an imported file.
  Its id is made of that identity. `sha256` is empty until the station has said which image it is.
- `sample_reasons` says why a sample was kept; reasons are added and never taken away.
- `labels` holds everything that anybody ever said of a sample. Nothing is changed there. `seq` counts in the order of
  commits; `supersedes` is the newest label that the person had seen: it and all before it count no more.
- `samples.label` is the newest label; `samples.conflict` says that another one stands beside it that says otherwise.
- `feedback` holds what operators said of verdicts, with the product that the inspection names.
- `memberships` says which samples are held out for ever, and which were learned from.
- `drift_signs` holds the last word of each station on each sign, `drift_changes` each time an alarm began or ended.
"""

from collections.abc import Sequence

import sqlalchemy as sa

from cloud_sync.hub.store.tables import metadata

_HEAP = ("usefulness", "at_ms", "id")
_FAULTY = sa.text("fault IS NOT NULL")
_UNSAID = sa.text("label IS NULL AND sha256 IS NOT NULL")


def _to_review(name: str, *first: str, last: Sequence[str] = ()) -> sa.Index:
    """Samples that nobody judged, heap by heap, of what the first columns say."""
    return sa.Index(name, *first, *_HEAP, *last, sqlite_where=_UNSAID, postgresql_where=_UNSAID)


arrivals = sa.Table(
    "arrivals",
    metadata,
    sa.Column("station", sa.String(63), primary_key=True),
    sa.Column("epoch", sa.String(32), primary_key=True),
    sa.Column("stream", sa.String(32), primary_key=True),
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("fault", sa.Text),  # why it could not be seen to; it is not tried again
    sa.Index("arrivals_faulty", "station", sqlite_where=_FAULTY, postgresql_where=_FAULTY),
)

samples = sa.Table(
    "samples",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("product", sa.String(128), nullable=False),
    sa.Column("station", sa.String(63), nullable=False),  # "" of an imported one
    sa.Column("epoch", sa.String(32), nullable=False),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("camera", sa.String(128), nullable=False),
    sa.Column("part_id", sa.Text, nullable=False),
    sa.Column("belongs", sa.Text, nullable=False),  # of an imported one: the group that its data set says
    sa.Column("sha256", sa.String(64)),
    sa.Column("size_bytes", sa.BigInteger),
    sa.Column("dropped", sa.Boolean, nullable=False),  # its station kept no image of it
    sa.Column("champion", sa.Text),
    sa.Column("challenger", sa.Text),
    sa.Column("at_ms", sa.BigInteger, nullable=False),  # by the station's clock
    sa.Column("seen_at_ms", sa.BigInteger, nullable=False),
    sa.Column("label", sa.BigInteger),
    sa.Column("conflict", sa.Boolean, nullable=False),
    sa.Column("usefulness", sa.Integer, nullable=False, server_default="0"),  # why it was kept, as one number
    sa.Column("proposed", sa.String(128), nullable=False, server_default=""),  # the champion's best class
    sa.Index("samples_by_product", "product", "id"),
    sa.Index("samples_by_inspection", "station", "epoch", "seq"),
    sa.Index("samples_by_image", "sha256", "id"),
    _to_review("samples_to_review", "product"),
    _to_review("samples_to_review_by_station", "product", "station"),
    _to_review("samples_to_review_by_class", "product", "proposed", last=["station"]),
    sa.Index(
        "samples_in_conflict",
        "product",
        "id",
        sqlite_where=sa.text("conflict = 1"),
        postgresql_where=sa.text("conflict"),
    ),
)

sample_reasons = sa.Table(
    "sample_reasons",
    metadata,
    sa.Column("sample", sa.String(32), primary_key=True),
    sa.Column("reason", sa.String(16), primary_key=True),
)

labels = sa.Table(
    "labels",
    metadata,
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("sample", sa.String(32), nullable=False),
    sa.Column("product", sa.String(128), nullable=False),
    sa.Column("says", sa.String(16), nullable=False),  # good, unsure, defect, boxes
    sa.Column("classes", sa.Text, nullable=False),  # names, one a line, in order; "" of good and unsure
    sa.Column("boxes", sa.Text, nullable=False),  # JSON; "" where it says no boxes
    sa.Column("source", sa.String(16), nullable=False),  # review, import, feedback
    sa.Column("said_by", sa.Text, nullable=False),
    sa.Column("said_at_ms", sa.BigInteger, nullable=False),
    sa.Column("written_at_ms", sa.BigInteger, nullable=False),
    sa.Column("supersedes", sa.BigInteger, nullable=False),  # 0: had seen none
    sa.Index("labels_by_sample", "sample", "seq"),
    sa.Index("labels_by_product", "product", "seq"),
    sa.Index("labels_by_day", "product", "source", "written_at_ms", "said_by"),
)

label_counter = sa.Table(
    "label_counter",
    metadata,
    sa.Column("name", sa.String(16), primary_key=True),
    sa.Column("value", sa.BigInteger, nullable=False),
)

label_classes = sa.Table(
    "label_classes",
    metadata,
    sa.Column("product", sa.String(128), primary_key=True),
    sa.Column("name", sa.String(128), primary_key=True),
    sa.Column("said_by", sa.Text, nullable=False),
    sa.Column("at_ms", sa.BigInteger, nullable=False),
)

label_imports = sa.Table(
    "label_imports",
    metadata,
    sa.Column("product", sa.String(128), primary_key=True),
    sa.Column("sha256", sa.String(64), primary_key=True),
    sa.Column("said_by", sa.Text, nullable=False),
    sa.Column("at_ms", sa.BigInteger, nullable=False),
)

feedback = sa.Table(
    "feedback",
    metadata,
    sa.Column("station", sa.String(63), primary_key=True),
    sa.Column("epoch", sa.String(32), primary_key=True),
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("inspection_epoch", sa.String(32), nullable=False),
    sa.Column("inspection_seq", sa.BigInteger, nullable=False),
    sa.Column("product", sa.String(128)),  # empty until its inspection came
    sa.Column("views", sa.Integer),
    sa.Column("verdict", sa.String(16), nullable=False),
    sa.Column("is_right", sa.Boolean, nullable=False),
    sa.Column("label", sa.String(128), nullable=False),
    sa.Column("said_by", sa.String(128), nullable=False),
    sa.Column("said_at_ms", sa.BigInteger, nullable=False),
    sa.Column("seen_at_ms", sa.BigInteger, nullable=False),
    sa.Index("feedback_by_inspection", "station", "inspection_epoch", "inspection_seq"),
    sa.Index("feedback_by_product", "product", "said_at_ms"),
)

memberships = sa.Table(
    "memberships",
    metadata,
    sa.Column("product", sa.String(128), primary_key=True),
    sa.Column("sample", sa.String(32), primary_key=True),
    sa.Column("role", sa.String(16), nullable=False),  # holdout, learned
    sa.Column("audit", sa.Boolean, nullable=False),  # it was a random audit's when it was taken
    sa.Column("since_ms", sa.BigInteger, nullable=False),
)

drift_signs = sa.Table(
    "drift_signs",
    metadata,
    sa.Column("station", sa.String(63), primary_key=True),
    sa.Column("product", sa.String(128), primary_key=True),
    sa.Column("camera", sa.String(128), primary_key=True),
    sa.Column("sign", sa.String(16), primary_key=True),
    sa.Column("alarm", sa.Boolean, nullable=False),
    sa.Column("statistic", sa.Float, nullable=False),
    sa.Column("threshold", sa.Float, nullable=False),
    sa.Column("parts", sa.BigInteger, nullable=False),
    sa.Column("since_ms", sa.BigInteger),
    sa.Column("epoch", sa.String(32), nullable=False),
    sa.Column("said_at_ms", sa.BigInteger, nullable=False),  # by the station's clock
    sa.Column("heard_at_ms", sa.BigInteger, nullable=False),
    sa.Index(
        "drift_alarms",
        "station",
        "product",
        "camera",
        "sign",
        sqlite_where=sa.text("alarm = 1"),
        postgresql_where=sa.text("alarm"),
    ),
)

drift_changes = sa.Table(
    "drift_changes",
    metadata,
    sa.Column("station", sa.String(63), primary_key=True),
    sa.Column("product", sa.String(128), primary_key=True),
    sa.Column("camera", sa.String(128), primary_key=True),
    sa.Column("sign", sa.String(16), primary_key=True),
    sa.Column("said_at_ms", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("alarm", sa.Boolean, nullable=False),
    sa.Column("statistic", sa.Float, nullable=False),
    sa.Column("threshold", sa.Float, nullable=False),
    sa.Column("heard_at_ms", sa.BigInteger, nullable=False),
)

ALL: tuple[sa.Table, ...] = (
    arrivals,
    samples,
    sample_reasons,
    labels,
    label_counter,
    label_classes,
    label_imports,
    feedback,
    memberships,
    drift_signs,
    drift_changes,
)
