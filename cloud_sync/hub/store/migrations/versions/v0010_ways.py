"""Version 10: ways to what pages ask for, so that none of them reads a whole table."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add eight indexes; two of them hold next to nothing, for they are of what is wrong."""
    op.create_index("retraining_runs_by_time", "retraining_runs", ["started_at_ms"])
    op.create_index("dead_letters_by_time", "dead_letters", ["received_at_ms"])
    op.create_index("dead_letter_hours_by_hour", "dead_letter_hours", ["hour"])
    op.create_index("rollouts_by_state", "rollouts", ["state", "made_at_ms"])
    op.create_index("rollout_stations_by_station", "rollout_stations", ["station", "asked_at_ms", "release"])
    op.create_index("jobs_by_release", "jobs", ["name", "station", "job"])
    faulty = sa.text("fault IS NOT NULL")
    op.create_index("arrivals_faulty", "arrivals", ["station"], sqlite_where=faulty, postgresql_where=faulty)
    of_sqlite, of_postgresql = sa.text("alarm = 1"), sa.text("alarm")
    sign = ["station", "product", "camera", "sign"]
    op.create_index("drift_alarms", "drift_signs", sign, sqlite_where=of_sqlite, postgresql_where=of_postgresql)
