"""Version 4: samples as the trainer sees them, labels, drift."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add its tables; what operators said before is queued to be seen to."""
    _add_samples()
    _add_labels()
    _add_feedback()
    _add_memberships()
    _add_drift()
    op.execute("INSERT INTO label_counter (name, value) VALUES ('labels', 0)")
    op.execute(
        "INSERT INTO arrivals (station, epoch, stream, seq)"
        " SELECT station, epoch, stream, seq FROM records WHERE stream IN ('feedback', 'samples')"
    )


def _add_samples() -> None:
    op.create_table(
        "arrivals",
        sa.Column("station", sa.String(63), primary_key=True),
        sa.Column("epoch", sa.String(32), primary_key=True),
        sa.Column("stream", sa.String(32), primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("fault", sa.Text),
    )
    op.create_table(
        "samples",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("product", sa.String(128), nullable=False),
        sa.Column("station", sa.String(63), nullable=False),
        sa.Column("epoch", sa.String(32), nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("camera", sa.String(128), nullable=False),
        sa.Column("part_id", sa.Text, nullable=False),
        sa.Column("belongs", sa.Text, nullable=False),
        sa.Column("sha256", sa.String(64)),
        sa.Column("size_bytes", sa.BigInteger),
        sa.Column("dropped", sa.Boolean, nullable=False),
        sa.Column("champion", sa.Text),
        sa.Column("challenger", sa.Text),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("seen_at_ms", sa.BigInteger, nullable=False),
        sa.Column("label", sa.BigInteger),
        sa.Column("conflict", sa.Boolean, nullable=False),
    )
    op.create_index("samples_by_product", "samples", ["product", "id"])
    op.create_index("samples_by_inspection", "samples", ["station", "epoch", "seq"])
    op.create_index("samples_by_image", "samples", ["sha256", "id"])
    op.create_table(
        "sample_reasons",
        sa.Column("sample", sa.String(32), primary_key=True),
        sa.Column("reason", sa.String(16), primary_key=True),
    )


def _add_labels() -> None:
    op.create_table(
        "labels",
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("sample", sa.String(32), nullable=False),
        sa.Column("product", sa.String(128), nullable=False),
        sa.Column("says", sa.String(16), nullable=False),
        sa.Column("classes", sa.Text, nullable=False),
        sa.Column("boxes", sa.Text, nullable=False),
        sa.Column("source", sa.String(16), nullable=False),
        sa.Column("said_by", sa.Text, nullable=False),
        sa.Column("said_at_ms", sa.BigInteger, nullable=False),
        sa.Column("written_at_ms", sa.BigInteger, nullable=False),
        sa.Column("supersedes", sa.BigInteger, nullable=False),
    )
    op.create_index("labels_by_sample", "labels", ["sample", "seq"])
    op.create_index("labels_by_product", "labels", ["product", "seq"])
    op.create_table(
        "label_counter",
        sa.Column("name", sa.String(16), primary_key=True),
        sa.Column("value", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "label_classes",
        sa.Column("product", sa.String(128), primary_key=True),
        sa.Column("name", sa.String(128), primary_key=True),
        sa.Column("said_by", sa.Text, nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "label_imports",
        sa.Column("product", sa.String(128), primary_key=True),
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("said_by", sa.Text, nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
    )


def _add_feedback() -> None:
    op.create_table(
        "feedback",
        sa.Column("station", sa.String(63), primary_key=True),
        sa.Column("epoch", sa.String(32), primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("inspection_epoch", sa.String(32), nullable=False),
        sa.Column("inspection_seq", sa.BigInteger, nullable=False),
        sa.Column("product", sa.String(128)),
        sa.Column("views", sa.Integer),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("is_right", sa.Boolean, nullable=False),
        sa.Column("label", sa.String(128), nullable=False),
        sa.Column("said_by", sa.String(128), nullable=False),
        sa.Column("said_at_ms", sa.BigInteger, nullable=False),
        sa.Column("seen_at_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("feedback_by_inspection", "feedback", ["station", "inspection_epoch", "inspection_seq"])
    op.create_index("feedback_by_product", "feedback", ["product", "said_at_ms"])


def _add_memberships() -> None:
    op.create_table(
        "memberships",
        sa.Column("product", sa.String(128), primary_key=True),
        sa.Column("sample", sa.String(32), primary_key=True),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("audit", sa.Boolean, nullable=False),
        sa.Column("since_ms", sa.BigInteger, nullable=False),
    )


def _add_drift() -> None:
    op.create_table(
        "drift_signs",
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
        sa.Column("said_at_ms", sa.BigInteger, nullable=False),
        sa.Column("heard_at_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "drift_changes",
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
