"""Version 6: what triggered, what was trained, what was proven."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add three tables."""
    op.create_table(
        "retraining_runs",
        sa.Column("run", sa.String(64), primary_key=True),
        sa.Column("product", sa.String(64), nullable=False),
        sa.Column("trigger", sa.String(32), nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("started_at_ms", sa.BigInteger, nullable=False),
        sa.Column("step", sa.String(16), nullable=False),
        sa.Column("step_since_ms", sa.BigInteger, nullable=False),
        sa.Column("worker", sa.String(64)),
        sa.Column("labels_seq", sa.BigInteger),
        sa.Column("images", sa.BigInteger),
        sa.Column("dataset_sha256", sa.String(64)),
        sa.Column("snapshot_sha256", sa.String(64)),
        sa.Column("snapshot_bytes", sa.BigInteger),
        sa.Column("classes", sa.Text),
        sa.Column("champion_sha256", sa.String(64)),
        sa.Column("bundle", sa.String(128)),
        sa.Column("bundle_sha256", sa.String(64)),
        sa.Column("archive_sha256", sa.String(64)),
        sa.Column("archive_bytes", sa.BigInteger),
        sa.Column("proof", sa.Text),
        sa.Column("report_sha256", sa.String(64)),
        sa.Column("release", sa.String(128)),
        sa.Column("rollout", sa.String(128)),
        sa.Column("result", sa.String(16)),
        sa.Column("reason", sa.Text),
        sa.Column("ended_at_ms", sa.BigInteger),
    )
    op.create_index("retraining_runs_by_product", "retraining_runs", ["product", "started_at_ms"])
    op.create_table(
        "retraining_open",
        sa.Column("product", sa.String(64), primary_key=True),
        sa.Column("run", sa.String(64), nullable=False),
    )
    op.create_table(
        "retraining_workers",
        sa.Column("worker", sa.String(64), primary_key=True),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("seen_at_ms", sa.BigInteger, nullable=False),
    )
