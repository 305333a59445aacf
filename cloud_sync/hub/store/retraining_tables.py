"""The tables of what triggered, what was trained, what was proven.

- `retraining_runs` holds each run for good: why it began, of which labels, what came of it, and the proof.
- `retraining_steps` says when each step of a run began first; after a kill it may have begun again.
- `retraining_open` has a row for each product whose run is under way: it is what makes them one at a time.
- `retraining_workers` says when each worker was last heard of, by the database's clock.
"""

import sqlalchemy as sa

from cloud_sync.hub.store.tables import metadata

retraining_runs = sa.Table(
    "retraining_runs",
    metadata,
    sa.Column("run", sa.String(64), primary_key=True),
    sa.Column("product", sa.String(64), nullable=False),
    sa.Column("trigger", sa.String(32), nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("started_at_ms", sa.BigInteger, nullable=False),
    sa.Column("step", sa.String(16), nullable=False),  # the one under way, or the last
    sa.Column("step_since_ms", sa.BigInteger, nullable=False),
    sa.Column("worker", sa.String(64)),  # who does it now
    sa.Column("labels_seq", sa.BigInteger),  # the newest label that it was trained by
    sa.Column("images", sa.BigInteger),
    sa.Column("dataset_sha256", sa.String(64)),  # its digest
    sa.Column("snapshot_sha256", sa.String(64)),  # the list of its files, in the blob store as they are
    sa.Column("snapshot_bytes", sa.BigInteger),  # of the list
    sa.Column("classes", sa.Text),  # of the labels, as JSON
    sa.Column("champion_sha256", sa.String(64)),  # the digest of the bundle it was measured against
    sa.Column("bundle", sa.String(128)),  # ID-vN
    sa.Column("bundle_sha256", sa.String(64)),
    sa.Column("archive_sha256", sa.String(64)),  # the bundle as one file, in the blob store
    sa.Column("archive_bytes", sa.BigInteger),
    sa.Column("proof", sa.Text),  # as JSON
    sa.Column("report_sha256", sa.String(64)),  # the page for people, in the blob store
    sa.Column("release", sa.String(128)),
    sa.Column("rollout", sa.String(128)),
    sa.Column("result", sa.String(16)),  # published, refused, failed
    sa.Column("reason", sa.Text),
    sa.Column("ended_at_ms", sa.BigInteger),
    sa.Index("retraining_runs_by_product", "product", "started_at_ms"),
    sa.Index("retraining_runs_by_time", "started_at_ms"),
)

retraining_steps = sa.Table(
    "retraining_steps",
    metadata,
    sa.Column("run", sa.String(64), primary_key=True),
    sa.Column("step", sa.String(16), primary_key=True),
    sa.Column("began_at_ms", sa.BigInteger, nullable=False),
)

retraining_open = sa.Table(
    "retraining_open",
    metadata,
    sa.Column("product", sa.String(64), primary_key=True),
    sa.Column("run", sa.String(64), nullable=False),
)

retraining_workers = sa.Table(
    "retraining_workers",
    metadata,
    sa.Column("worker", sa.String(64), primary_key=True),
    sa.Column("host", sa.String(255), nullable=False),
    sa.Column("version", sa.String(64), nullable=False),
    sa.Column("seen_at_ms", sa.BigInteger, nullable=False),
)

ALL: tuple[sa.Table, ...] = (retraining_runs, retraining_steps, retraining_open, retraining_workers)
